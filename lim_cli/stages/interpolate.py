"""LIM's triplanes at chosen times (sec. 3.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.stages.intervals import Interval, Intervals, place
from lim_cli.stages.networks import Networks


def iterate(keyframes: KeyframesArtifact, times: np.ndarray, networks: Networks) -> Iterator[Tensor]:
    """Triplanes [3, channel, h, w] at increasing times, four keyframes in memory at once."""
    intervals, last = Intervals(networks, keyframes), len(keyframes) - 1
    current: tuple[int, Interval] | None = None
    for time in times:
        where = place(float(time), keyframes.times)
        if current is None or current[0] != where.interval:
            current = (where.interval, intervals.between(where.interval, min(where.interval + 1, last)))
        yield current[1].triplane(where.alpha)
