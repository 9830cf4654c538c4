"""A posed multi-view video in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.core.camera import Cameras


@dataclass(frozen=True)
class SceneKeyframe:
    """All views of one time.

    rgba: [view, height, width, 4] uint8, straight alpha. cameras: [view], world frame (+Y up), of that size.
    time: 0..1 over the scene's length.
    """

    rgba: np.ndarray
    cameras: Cameras
    time: float

    def __post_init__(self) -> None:
        if self.rgba.ndim != 4 or self.rgba.shape[-1] != 4 or self.rgba.dtype != np.uint8 or not len(self.rgba):
            raise ValueError(f"expected rgba uint8 [view, height, width, 4], got {self.rgba.dtype} {self.rgba.shape}")
        if len(self.cameras) != len(self.rgba) or self.cameras.size != self.rgba.shape[1:3]:
            raise ValueError(f"cameras {len(self.cameras)} of {self.cameras.size} do not fit rgba {self.rgba.shape}")


@dataclass(frozen=True)
class Scene:
    """keyframes sorted by time, at least one; times_seconds: [keyframe] float64; name: for messages."""

    keyframes: tuple[SceneKeyframe, ...]
    times_seconds: np.ndarray
    name: str

    def __post_init__(self) -> None:
        if not self.keyframes or self.times_seconds.shape != (len(self.keyframes),):
            raise ValueError(f"expected one time per keyframe, got {self.times_seconds.shape}")
        times = np.array([k.time for k in self.keyframes])
        if np.any(np.diff(times) <= 0) or np.any(np.diff(self.times_seconds) <= 0):
            raise ValueError("keyframes must be sorted by strictly increasing time")
