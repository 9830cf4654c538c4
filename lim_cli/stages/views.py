"""Stage 10: three more viewpoints of every keyframe of a single-camera clip (sec. 3.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.core.device import generator
from lim_cli.core.errors import NumericalError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.stages.config import ViewsConfig
from lim_cli.stages.harmony import harmonised
from lim_cli.stages.networks import Networks
from lim_cli.stages.posed import keyframe_indices

STAGE_VERSION = 3


def camera_distance(field_of_view: float) -> float:
    """Where the unit ball just fits a view of `field_of_view` degrees: the training cameras' distance."""
    return float(1.0 / np.sin(np.radians(field_of_view) / 2))


def run(
    clip: ClipArtifact, config: ViewsConfig, networks: Networks, *, seed: int = 0, progress: Progress | None = None
) -> ViewsArtifact:
    """The input view (azimuth 0) and generated views at 90, 180 and 270 degrees of every keyframe.

    Raises:
        NumericalError: the generator returned NaN.
        WeightsError: its weights are missing.
    """
    progress = progress or SilentProgress()
    chosen = keyframe_indices(len(clip.times), config.keyframe_stride)
    images = torch.from_numpy(clip.rgba[chosen]).movedim(-1, 1).float() / 255  # [keyframe, 4, size, size]
    pipeline = networks.views
    with progress.task("Imagining three more views", None) as task:

        def step_done(_pipeline: Any, _step: int, _time: Any, given: dict[str, Any]) -> dict[str, Any]:
            task.advance()
            return given

        output = pipeline(
            images,
            elevation=config.elevation,
            field_of_view=config.field_of_view,
            num_inference_steps=config.steps,
            generator=generator(seed),
            callback_on_step_end=step_done,
        )
    made = output.images.float().cpu()  # [keyframe, view, 4, size, size]
    if not bool(torch.isfinite(made).all()):
        raise NumericalError("The view generator returned NaN; its weights may be damaged (see lim weights verify).")
    made = torch.from_numpy(harmonised(made.clamp(0, 1).numpy()))
    size = int(made.shape[-1])
    cameras = orbit_cameras(
        [0.0, 90.0, 180.0, 270.0],
        elevation=config.elevation,
        field_of_view=config.field_of_view,
        distance=camera_distance(config.field_of_view),
        size=(size, size),
    )
    rgba = (made * 255 + 0.5).byte().movedim(2, -1).numpy()
    return ViewsArtifact(
        rgba=rgba,
        cameras=cameras,
        keyframe_times=clip.times[chosen],
        source="generated",
        world_from_model=np.eye(4),
    )
