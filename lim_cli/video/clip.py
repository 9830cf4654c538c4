"""A clip in memory: frames with opacity and their real times."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LARGEST_SIDE = 16384


@dataclass(frozen=True)
class Clip:
    """Frames of one video.

    rgba: [time, height, width, 4] uint8, sRGB, straight (not premultiplied) alpha.
    times: [time] float64 seconds, strictly increasing, the first is 0.
    has_alpha: some pixel of the source is not opaque.
    source_name: name of the file or folder, for messages.
    frame_numbers: [time] int64, number of each frame in its source (0 is the source's first frame).
    """

    rgba: np.ndarray
    times: np.ndarray
    has_alpha: bool
    source_name: str
    frame_numbers: np.ndarray

    def __post_init__(self) -> None:
        if self.rgba.ndim != 4 or self.rgba.shape[-1] != 4 or self.rgba.dtype != np.uint8:
            raise ValueError(f"expected rgba uint8 [time, height, width, 4], got {self.rgba.dtype} {self.rgba.shape}")
        count = len(self.rgba)
        if self.times.shape != (count,) or self.frame_numbers.shape != (count,):
            raise ValueError(f"expected {count} times and frame numbers, got {self.times.shape}")
        if count > 1 and not bool(np.all(np.diff(self.times) > 0)):
            raise ValueError("times must increase strictly")

    def __len__(self) -> int:
        return len(self.rgba)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.rgba.shape[1]), int(self.rgba.shape[2])


def resize_rgba(rgba: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes one straight-alpha frame [height, width, 4] uint8 to (height, width).

    Colours are weighted by their alpha, so hidden colours never bleed into the edge; shrinking averages
    areas, growing interpolates linearly.
    """
    if rgba.shape[:2] == size:
        return rgba
    shrinking = size[0] * size[1] <= rgba.shape[0] * rgba.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    if int(rgba[..., 3].min()) == 255:
        return np.asarray(cv2.resize(rgba, size[::-1], interpolation=method), dtype=np.uint8)
    premultiplied = rgba.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255.0
    resized = cv2.resize(premultiplied, size[::-1], interpolation=method)
    return unpremultiply(resized)


def unpremultiply(premultiplied: np.ndarray) -> np.ndarray:
    """Premultiplied float [..., 4] in [0, 255] -> straight uint8 [..., 4]; fully transparent pixels are 0."""
    alpha = premultiplied[..., 3:]
    rgb = premultiplied[..., :3] * (255.0 / np.maximum(alpha, 1e-3))
    straight = np.concatenate([np.where(alpha >= 0.5, rgb, 0.0), alpha], -1)
    return np.clip(straight + 0.5, 0, 255).astype(np.uint8)


def bounded_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """(height, width) shrunk in proportion so that neither exceeds `max_side`; never grown."""
    if max_side is None or max(size) <= max_side:
        return size
    scale = max_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
