"""LIM's triplanes at chosen times (sec. 3.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.stages.intervals import Interval, place
from lim_cli.stages.networks import Networks


def iterate(keyframes: KeyframesArtifact, times: np.ndarray, networks: Networks) -> Iterator[Tensor]:
    """Triplanes [3, channel, h, w] at increasing times, two keyframes in memory at once."""
    current: tuple[int, Interval] | None = None
    for time in times:
        where = place(float(time), keyframes.times)
        if current is None or current[0] != where.interval:
            current = (where.interval, load_interval(keyframes, where.interval, networks))
        yield current[1].triplane(where.alpha)


def load_interval(keyframes: KeyframesArtifact, interval: int, networks: Networks) -> Interval:
    """The interval's two ends; a clip of one keyframe stands still."""
    last = min(interval + 1, len(keyframes) - 1)
    return Interval(networks, keyframes.output(interval, networks.device), keyframes.output(last, networks.device))
