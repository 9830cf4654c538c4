"""Stage 30: LIM's triplanes at chosen times (sec. 3.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.store import TriplaneArtifact
from lim_cli.core.errors import NumericalError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.stages.intervals import Interval, place
from lim_cli.stages.networks import Networks

STAGE_VERSION = 1


def run(
    keyframes: KeyframesArtifact, times: np.ndarray, networks: Networks, *, progress: Progress | None = None
) -> TriplaneArtifact:
    """Triplanes at `times` (seconds, increasing), half precision.

    Raises:
        NumericalError: LIM returned NaN.
    """
    progress = progress or SilentProgress()
    planes = []
    with progress.task("Interpolating triplanes", len(times)) as task:
        for triplane in iterate(keyframes, times, networks):
            planes.append(triplane.half().cpu().numpy())
            if not np.isfinite(planes[-1]).all():
                raise NumericalError("LIM returned NaN; its weights may be damaged (see lim weights verify).")
            task.advance()
    return TriplaneArtifact(triplanes=np.stack(planes), times=np.asarray(times, np.float64))


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
