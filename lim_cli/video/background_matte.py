"""Mattes of clips in front of one plain colour, compression noise included."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lim_cli.video.edges import main_pieces, unmix

PLAIN_SHARE = 0.7
"""Share of border pixels that must have the background's colour for it to count as plain."""
STRAY = 32.0
"""Distance from the background, in 8-bit steps, that codec ringing may reach in single pixels."""
EXACT_SHARE = 0.7
"""Share of an enclosed patch that must be exactly the background's colour for it to be a hole."""
LARGE_HOLE = 0.001
"""Share of the picture from which an enclosed patch of the very background colour is a hole in the object."""


@dataclass(frozen=True)
class PlainBackground:
    """colour: [3] float32 RGB. tolerance: largest distance (over channels) of its pixels, in 8-bit steps."""

    colour: np.ndarray
    tolerance: float


def find_plain_background(rgba: np.ndarray) -> PlainBackground | None:
    """The one colour that most border pixels share over a clip [time, height, width, 4] uint8, else None.

    The tolerance follows the noise actually measured there.
    """
    edge = max(2, min(rgba.shape[1:3]) // 100)
    border = np.concatenate(
        [
            rgba[:, :edge].reshape(-1, 4),
            rgba[:, -edge:].reshape(-1, 4),
            rgba[:, :, :edge].reshape(-1, 4),
            rgba[:, :, -edge:].reshape(-1, 4),
        ]
    )[:, :3].astype(np.float32)
    colour = np.median(border, axis=0)
    distance = np.abs(border - colour).max(-1)
    alike = distance <= 24.0
    if alike.mean() < PLAIN_SHARE:
        return None
    noise = float(np.sqrt((distance[alike] ** 2).mean()))
    return PlainBackground(colour.astype(np.float32), float(np.clip(3.0 + 3.5 * noise, 3.0, 24.0)))


def matte_plain(frame: np.ndarray, background: PlainBackground) -> np.ndarray:
    """RGBA [height, width, 4] uint8 of one frame with its plain background taken away.

    Background is what has its colour and is joined to the border; enclosed patches stay object (white eyes
    on white paper) unless they are large and exactly the background's colour (the gap between two legs).
    """
    rgb = frame[..., :3]
    alike, exact = _alike(rgb, background)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(alike.astype(np.uint8), connectivity=4)
    outside = np.zeros(count, dtype=bool)
    outside[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = True
    area = stats[:, cv2.CC_STAT_AREA]
    exact_area = np.bincount(labels.ravel(), exact.ravel(), minlength=count)
    outside |= (area >= LARGE_HOLE * labels.size) & (exact_area >= EXACT_SHARE * area)
    outside[0] = False  # Label 0 is everything unlike the background.
    mask = (~outside[labels]).astype(np.uint8)
    mask = main_pieces(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)).astype(bool))
    result = np.zeros_like(frame)
    if mask.any():
        part = _neighbourhood(mask)
        result[part] = unmix(rgb[part], mask[part], background.colour)
    return result


def _alike(rgb: np.ndarray, background: PlainBackground) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels may be background, and which are exactly its colour; both [height, width] bool.

    Codecs ring around an object: single pixels there stray far from the background, but not their mean. So
    a stray pixel passes if its neighbourhood, strong differences left out, is near the background; faintly
    shaded white parts of an object differ all over and stay.
    """
    difference = rgb.astype(np.float32) - background.colour
    distance = np.abs(difference).max(-1)
    faint = (distance <= STRAY).astype(np.float32)
    share = cv2.blur(faint, (7, 7))
    mean = cv2.blur(difference * faint[..., None], (7, 7)) / np.maximum(share, 1e-6)[..., None]
    mean_distance = np.abs(mean).max(-1)
    near = mean_distance <= background.tolerance + 4.0
    alike = (distance <= background.tolerance) | ((faint > 0) & near)
    return alike, distance <= background.tolerance + 2.0  # Ringing reaches into every gap.


def _neighbourhood(mask: np.ndarray) -> tuple[slice, slice]:
    """The box of a mask's set pixels with a rim of 12 pixels, so that empty surroundings cost nothing."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, int(rows[0]) - 12), int(rows[-1]) + 13),
        slice(max(0, int(columns[0]) - 12), int(columns[-1]) + 13),
    )
