"""Scenes of moving objects, procedural or from rigged assets, as scene folders hold them."""

from __future__ import annotations

import numpy as np
import torch

from lim_cli.core.camera import Cameras
from lim_cli.data.animated_object import AnimatedObject
from lim_cli.data.rigs import random_light, source_rig
from lim_cli.data.scene import Scene, SceneKeyframe


def draw_scene(
    source: AnimatedObject, rng: np.random.Generator, *, times: int, size: int, fps: float = 24.0, name: str = "scene"
) -> Scene:
    """`source` at `times` instants of a random stretch of its motion, seen by four cameras about 90 degrees apart."""
    span = rng.uniform(0.3, 0.9) if times > 1 else 0.0
    start = rng.uniform(0, 1 - span)
    phases = start + span * np.linspace(0, 1, times)
    poses = source.normalised(phases, 0.95).poses(phases)
    light, rig = random_light(rng), source_rig(rng, size)
    cameras = Cameras(torch.from_numpy(rig.world_from_camera), torch.from_numpy(rig.intrinsics), rig.size)
    keyframes = []
    for n, pose in enumerate(poses):
        views = [
            pose.render(rig.world_from_camera[v], rig.intrinsics[v], rig.size, light, poses[0])[0]
            for v in range(len(rig.intrinsics))
        ]
        rgba = np.clip(np.stack(views) * 255 + 0.5, 0, 255).astype(np.uint8)
        keyframes.append(SceneKeyframe(rgba, cameras, n / max(times - 1, 1)))
    return Scene(tuple(keyframes), np.arange(times) / fps, name)


def contact_sheet(scenes: list[Scene], *, side: int = 96) -> np.ndarray:
    """One row a scene: the views of its first time, then view 0 at its last; [h, w, 3] uint8, on white."""
    rows = []
    for scene in scenes:
        pictures = [*scene.keyframes[0].rgba[:4], scene.keyframes[-1].rgba[0]]
        rows.append(np.concatenate([_on_white(p, side) for p in pictures], axis=1))
    return np.concatenate(rows, axis=0)


def _on_white(rgba: np.ndarray, side: int) -> np.ndarray:
    import cv2

    opacity = rgba[..., 3:].astype(np.float32) / 255
    white = rgba[..., :3] * opacity + 255 * (1 - opacity)
    resized = cv2.resize(white, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(resized.round().clip(0, 255), np.uint8)
