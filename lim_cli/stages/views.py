"""Stage 10: three more viewpoints of every keyframe of a single-camera clip (sec. 3.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.core.device import generator
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.diffusion.adapter import works_in_windows
from lim_cli.stages.config import ViewsConfig
from lim_cli.stages.failures import require_finite
from lim_cli.stages.harmony import harmonised
from lim_cli.stages.networks import Networks
from lim_cli.stages.posed import keyframe_indices

STAGE_VERSION = 4


def camera_distance(field_of_view: float) -> float:
    """Where the unit ball just fits a view of `field_of_view` degrees: the training cameras' distance."""
    return float(1.0 / np.sin(np.radians(field_of_view) / 2))


def run(
    clip: ClipArtifact,
    config: ViewsConfig,
    networks: Networks,
    *,
    seed: int = 0,
    pieces: Pieces | None = None,
    progress: Progress | None = None,
) -> ViewsArtifact:
    """The input view (azimuth 0) and generated views at 90, 180 and 270 degrees of every keyframe.

    pieces: keeps every finished window of our own generator; another pipeline starts over.

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
            **(_resumable(len(chosen), pieces) if pieces is not None and works_in_windows(pipeline) else {}),
        )
    made = output.images.float().cpu()  # [keyframe, view, 4, size, size]
    require_finite("What the view generator made", made)
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


def _resumable(count: int, pieces: Pieces) -> dict[str, Any]:
    """Arguments by which the pipeline leaves out the windows of `count` keyframes already made, and hands on others.

    Only an unbroken row of windows from the first on counts: each is made to fit those before it.
    """
    from lim_cli.diffusion.pipeline import KnownViews

    found: list[dict[str, np.ndarray]] = []
    while (arrays := pieces.load(f"window_{len(found):05d}")) is not None:
        found.append(arrays)
    first = len(found)

    def window_done(index: int, start: int, made: Tensor) -> None:
        require_finite(f"What the view generator made of keyframes {start} to {start + len(made) - 1}", made)
        if index >= first:
            pieces.save(f"window_{index:05d}", {"start": np.array([start]), "images": made.numpy()})

    arguments: dict[str, Any] = {"callback_on_window_end": window_done}
    if found:
        images = torch.zeros(count, *found[0]["images"].shape[1:])
        known = torch.zeros(images.shape[:2], dtype=torch.bool)
        for window in found:
            start = window["start"].item()
            span = slice(start, start + len(window["images"]))
            images[span], known[span] = torch.from_numpy(window["images"]), True
        arguments["known_views"] = KnownViews(images, known)
    return arguments
