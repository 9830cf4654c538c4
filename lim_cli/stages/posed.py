"""Posed multi-view video (a scene folder) to the views of every keyframe; no diffusion."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.scene import Scene
from lim_cli.data.scene_folder import read_scene
from lim_cli.data.scene_normalise import normalise_scene, reframe_scene
from lim_cli.stages.config import PosedConfig
from lim_cli.video.checking import check_mode
from lim_cli.video.matting import matte

STAGE_VERSION = 3
VIEWS = 4


def run(folder: Path, config: PosedConfig, *, progress: Progress | None = None) -> ViewsArtifact:
    """Reads a scene's input views, brings them to the models' frame and keeps four well-spread ones a keyframe.

    Raises:
        InputError: the scene cannot be used; the text says why.
    """
    check_mode(config.matte, masks=False)
    progress = progress or SilentProgress()
    with progress.task("Reading posed views", 1) as task:
        scene = read_scene(
            folder,
            split="input",
            input_fps=config.input_fps,
            start=config.start,
            end=config.end,
            max_frames=config.max_frames,
            matte_views=partial(matte, mode=config.matte),
        )
        scene, info = normalise_scene(scene)
        scene = reframe_scene(scene, size=config.size)
        chosen = keyframe_indices(len(scene.keyframes), config.keyframe_stride)
        picked = [spread_views(scene, k) for k in chosen]
        task.advance()
    if len({len(p) for p in picked}) != 1:
        raise InputError(f"{folder}: time steps have different numbers of views; give every one the same cameras.")
    rgba = np.stack([scene.keyframes[k].rgba[p] for k, p in zip(chosen, picked, strict=True)])
    cameras = [scene.keyframes[k].cameras[torch.as_tensor(p)] for k, p in zip(chosen, picked, strict=True)]
    return ViewsArtifact(
        rgba=rgba,
        cameras=Cameras(
            torch.stack([c.world_from_camera for c in cameras]).float(),
            torch.stack([c.intrinsics for c in cameras]).float(),
            (config.size, config.size),
        ),
        keyframe_times=np.asarray(scene.times_seconds, np.float64)[chosen],
        source="posed",
        world_from_model=info.world_from_model,
    )


def keyframe_indices(count: int, stride: int) -> list[int]:
    """Every stride-th of `count` frames, and the last, so that no output time lies past a keyframe."""
    indices = list(range(0, count, stride))
    return indices if indices[-1] == count - 1 else [*indices, count - 1]


def spread_views(scene: Scene, keyframe: int) -> list[int]:
    """Up to four views of a keyframe, each as far in azimuth from those chosen before as can be."""
    positions = scene.keyframes[keyframe].cameras.world_from_camera[:, :3, 3].numpy()
    azimuth = np.arctan2(positions[:, 0], positions[:, 2])
    chosen = [0]
    while len(chosen) < min(VIEWS, len(azimuth)):
        gaps = np.abs(np.angle(np.exp(1j * (azimuth[:, None] - azimuth[chosen][None])))).min(1)
        chosen.append(int(np.argmax(gaps)))
    return sorted(chosen)  # the reader's order: by viewing direction from the front
