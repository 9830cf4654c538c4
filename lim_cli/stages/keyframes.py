"""Stage 20: LRM on every keyframe (sec. 3.1)."""

from __future__ import annotations

from pathlib import Path

import torch

from lim_cli.artifacts.keyframes import save_keyframe, save_keyframe_times
from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.errors import NumericalError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.stages.networks import Networks

STAGE_VERSION = 1


def run(views: ViewsArtifact, networks: Networks, folder: Path, *, progress: Progress | None = None) -> None:
    """Writes a KeyframesArtifact into `folder`: triplane, block features F_k and image tokens per keyframe.

    Raises:
        NumericalError: LRM returned NaN.
    """
    progress = progress or SilentProgress()
    count = len(views.keyframe_times)
    with progress.task("Reconstructing keyframes", count) as task:
        for k in range(count):
            output = networks.encode(views.rgba[k], views.cameras_at(k))
            if not bool(torch.isfinite(output.triplane).all()):
                raise NumericalError(f"LRM returned NaN at keyframe {k}; its weights may be damaged.")
            save_keyframe(folder, k, output)
            task.advance()
    save_keyframe_times(folder, views.keyframe_times)
