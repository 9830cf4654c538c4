"""How pictures of one camera move from one time to the next: dense optical flow, and where to believe it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

BACKGROUND = 128
FINER = 2
"""Pictures are enlarged by this: flow is found on patches of 8 pixels, and limbs are thin."""
MARGIN = 8
"""Pixels kept about the objects: a patch of flow."""


@dataclass(frozen=True)
class Flow:
    """pixels: [h, w, 2] float32, xy from the first picture to the second. sureness: [h, w] float32 in [0, 1]."""

    pixels: np.ndarray
    sureness: np.ndarray

    def at(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Motion [n, 2] and sureness [n] at pixels xy [n, 2] (centres at +0.5)."""
        return sampled(self.pixels, places), sampled(self.sureness, places)


def optical_flow(first: np.ndarray, second: np.ndarray, *, tolerance: float = 1.0, slope: float = 0.1) -> Flow:
    """Flow between two pictures [h, w, 4] uint8 with straight alpha (DIS, Kroeger et al. 2016).

    Sureness is exp(-(d / (tolerance + slope |flow|))^2), d being how far from home a pixel comes by following the
    flow forth and back. It is found within the box about both objects: the rest of the pictures does not move.
    """
    whole = (first.shape[1], first.shape[0])
    left, top, right, bottom = _box(first, second)
    first, second = first[top:bottom, left:right], second[top:bottom, left:right]
    grey = [_grey(picture) for picture in (first, second)]
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    size = (first.shape[1], first.shape[0])
    forth, back = (
        cv2.resize(method.calc(a, b, None), size, interpolation=cv2.INTER_AREA) / FINER for a, b in (grey, grey[::-1])
    )
    columns, rows = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    home = forth + cv2.remap(
        back, columns + forth[..., 0], rows + forth[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    allowed = tolerance + slope * np.linalg.norm(forth, axis=2)
    sureness = np.exp(-((np.linalg.norm(home, axis=2) / allowed) ** 2))
    beyond = (top, whole[1] - bottom, left, whole[0] - right)
    return Flow(
        cv2.copyMakeBorder(forth.astype(np.float32), *beyond, cv2.BORDER_CONSTANT, value=0.0),
        cv2.copyMakeBorder(sureness.astype(np.float32), *beyond, cv2.BORDER_CONSTANT, value=1.0),
    )


def _box(first: np.ndarray, second: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels that show something in either picture, with MARGIN about them."""
    shown = (first[..., 3] > 0) | (second[..., 3] > 0)
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if not len(rows):
        return 0, 0, shown.shape[1], shown.shape[0]
    top, bottom = max(rows[0] - MARGIN, 0), min(rows[-1] + 1 + MARGIN, shown.shape[0])
    left, right = max(columns[0] - MARGIN, 0), min(columns[-1] + 1 + MARGIN, shown.shape[1])
    return int(left), int(top), int(right), int(bottom)


def _grey(rgba: np.ndarray) -> np.ndarray:
    """Enlarged brightness [h, w] uint8 on a middle grey."""
    opacity = rgba[..., 3:].astype(np.float32) / 255
    shown = (rgba[..., :3] * opacity + BACKGROUND * (1 - opacity)).round().clip(0, 255).astype(np.uint8)
    grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_CUBIC))


def sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear values [n, ...] of an image [h, w, ...] at pixels xy [n, 2]."""
    found = [np.zeros((0, 1, *image.shape[2:]), np.float32)]
    for start in range(0, len(places), 30_000):  # remap's pictures end at 32767 rows
        part = places[start : start + 30_000].astype(np.float32) - np.float32(0.5)
        x, y = part[:, 0].reshape(-1, 1), part[:, 1].reshape(-1, 1)
        found.append(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return np.asarray(np.concatenate(found)[:, 0])
