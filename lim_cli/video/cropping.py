"""One fixed square crop that holds the object over a whole clip."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.video.clip import Clip, unpremultiply

VISIBLE = 16
"""Alpha (of 255) from which a pixel counts as object when the crop is chosen."""


@dataclass(frozen=True)
class CropInfo:
    """Where a square crop lies in its source frames.

    left, top: source pixels, may be negative (the crop may reach beyond the picture). side: source pixels.
    source_size: (height, width) of the clip that was cropped.
    """

    left: int
    top: int
    side: int
    source_size: tuple[int, int]


def square_crop(clip: Clip, *, margin: float = 0.1, size: int = 256) -> tuple[Clip, CropInfo]:
    """Crops every frame to the same square about the object and resizes it to [time, size, size, 4].

    Args:
        margin: free space on each side, as a share of the object's larger extent over the whole clip.
        size: pixels on a side of the result.

    Raises:
        InputError: no pixel is visible in any frame, or `margin` or `size` is out of range.
    """
    if not 0 <= margin <= 4 or not 1 <= size <= 8192:
        raise InputError(f"Crop margin must be 0 to 4 and size 1 to 8192, got {margin} and {size}.")
    left, top, right, bottom = visible_box(clip)
    extent = max(right - left, bottom - top)
    side = max(1, math.ceil(extent * (1 + 2 * margin)))
    info = CropInfo(
        left=math.floor((left + right - side) / 2),
        top=math.floor((top + bottom - side) / 2),
        side=side,
        source_size=clip.size,
    )
    cropped = np.stack([crop_frame(frame, info, size) for frame in clip.rgba])
    return replace(clip, rgba=cropped, has_alpha=bool((cropped[..., 3] < 255).any())), info


def visible_box(clip: Clip) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) of the object over all frames, right and bottom exclusive.

    Raises:
        InputError: no pixel is visible in any frame.
    """
    visible = np.zeros(clip.size, dtype=bool)
    for frame in clip.rgba:
        visible |= frame[..., 3] >= VISIBLE
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    if not rows.size:
        raise InputError(f"The matte of {clip.source_name} is empty; try another --matte.")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def crop_frame(frame: np.ndarray, info: CropInfo, size: int) -> np.ndarray:
    """One frame [height, width, 4] uint8 cropped to [size, size, 4], resampled premultiplied; transparent beyond it."""
    height, width = frame.shape[:2]
    square: np.ndarray = np.zeros((info.side, info.side, 4), np.float32)
    top, left = max(0, info.top), max(0, info.left)
    bottom, right = min(height, info.top + info.side), min(width, info.left + info.side)
    part = frame[top:bottom, left:right].astype(np.float32)
    part[..., :3] *= part[..., 3:] / 255.0
    square[top - info.top : bottom - info.top, left - info.left : right - info.left] = part
    if info.side != size:
        method = cv2.INTER_AREA if info.side > size else cv2.INTER_LINEAR
        square = cv2.resize(square, (size, size), interpolation=method)
    return unpremultiply(square)
