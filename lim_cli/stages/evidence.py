"""The mattes that bind a track: the input's, exactly; generated views', loosely."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.geometry.sight_lines import Picture
from lim_cli.geometry.silhouettes import Silhouette

SIZE = 256
KEPT = 32
"""Instants whose silhouettes are kept: more than an interval has."""
GENERATED_TOLERANCE = 8.0
"""Pixels of a 256-pixel picture by which a shape may reach beyond a generated view's matte."""


class Evidence:
    """Silhouettes by time. clip: the input frames of a single-camera clip; None for posed views.

    direction: 1, or -1 for a clock that runs backwards: then all times, here and below, are negated seconds.
    """

    def __init__(self, views: ViewsArtifact, clip: ClipArtifact | None, direction: int = 1) -> None:
        self._views, self._clip = views, clip
        self._keyframe_times = direction * views.keyframe_times
        self.times = direction * clip.times if clip is not None else self._keyframe_times
        self._real = lru_cache(maxsize=KEPT)(self._real_at)  # a stop is asked for to cut its surface, then to fit it

    def real(self, time: float) -> list[Silhouette]:
        """What the input itself shows at `time` (seconds); empty where there is no picture."""
        index = _at(self.times, time)
        return [] if index is None else list(self._real(index))

    def _real_at(self, index: int) -> list[Silhouette]:
        if self._clip is None:
            return self._views_of(index, range(self._views.rgba.shape[1]), 0.5)
        cameras = self._views.cameras_at(0).resized((SIZE, SIZE))
        pose, intrinsics = cameras.world_from_camera[0].numpy(), cameras.intrinsics[0].numpy()
        return _silhouettes([(self._clip.rgba[index, ..., 3], pose, intrinsics)], 0.5)

    def pictures(self, time: float) -> list[Picture]:
        """The input's own pictures at `time`, SIZE pixels on a side; empty where there is none."""
        if self._clip is None:
            index = _at(self._keyframe_times, time)
            if index is None:
                return []
            rgba, cameras = self._views.rgba[index], self._views.cameras_at(index)
        else:
            index = _at(self.times, time)
            if index is None:
                return []
            rgba, cameras = self._clip.rgba[index : index + 1], self._views.cameras_at(0)
        cameras = cameras.resized((SIZE, SIZE))
        return [
            Picture(_resized(picture), cameras.world_from_camera[v].numpy(), cameras.intrinsics[v].numpy())
            for v, picture in enumerate(rgba)
        ]

    def loose(self, time: float) -> list[Silhouette]:
        """What generated views show at `time`: agreement is asked for only roughly."""
        index = _at(self._keyframe_times, time)
        if self._clip is None or index is None:
            return []
        return self._views_of(index, range(1, self._views.rgba.shape[1]), GENERATED_TOLERANCE)

    def _views_of(self, keyframe: int, chosen: range, tolerance: float) -> list[Silhouette]:
        cameras = self._views.cameras_at(keyframe).resized((SIZE, SIZE))
        return _silhouettes(
            [
                (
                    self._views.rgba[keyframe, v, ..., 3],
                    cameras.world_from_camera[v].numpy(),
                    cameras.intrinsics[v].numpy(),
                )
                for v in chosen
            ],
            tolerance,
        )


def _silhouettes(pictures: list[tuple[np.ndarray, np.ndarray, np.ndarray]], tolerance: float) -> list[Silhouette]:
    """From (alpha [h, w] uint8, pose, intrinsics at SIZE); empty mattes say nothing."""
    found = []
    for alpha, pose, intrinsics in pictures:
        matte = cv2.resize(alpha, (SIZE, SIZE), interpolation=cv2.INTER_AREA) > 127
        if matte.any():
            found.append(Silhouette.of(matte, pose, intrinsics, tolerance=tolerance))
    return found


def _resized(rgba: np.ndarray) -> np.ndarray:
    """A picture [h, w, 4] at SIZE; colours are averaged by opacity."""
    if rgba.shape[:2] == (SIZE, SIZE):
        return rgba
    premultiplied = rgba.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    small = cv2.resize(premultiplied, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    small[..., :3] *= 255 / np.maximum(small[..., 3:], 1)
    return np.asarray(small.round().clip(0, 255), np.uint8)


def _at(times: np.ndarray, time: float) -> int | None:
    index = int(np.abs(times - time).argmin())
    return index if abs(float(times[index]) - time) < 1e-6 else None
