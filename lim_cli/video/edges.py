"""Soft edges of a hard mask, clean edge colours, and which pieces of a mask are the object."""

from __future__ import annotations

import cv2
import numpy as np

BAND = 3
"""Pixels either side of a hard outline within which opacity may be fractional."""


def nearest_inside(rgb: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """For every pixel the smoothed colour of its nearest pixel `inside`; [height, width, 3] float32.

    rgb: [height, width, 3] float32. inside: [height, width] bool, at least one pixel set.
    """
    weight = inside.astype(np.float32)
    total = cv2.blur(weight, (5, 5))[..., None]
    smooth = np.where(total > 1e-6, cv2.blur(rgb * weight[..., None], (5, 5)) / np.maximum(total, 1e-6), rgb)
    # Labels number the zero pixels in raster order when asked for pixels, so they index `flatnonzero`.
    _, labels = cv2.distanceTransformWithLabels(
        1 - inside.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(labels.max() + 1, dtype=np.int64)
    source[labels[inside]] = np.flatnonzero(inside)
    return np.asarray(smooth.reshape(-1, 3)[source[labels]], dtype=np.float32)


def unmix(rgb: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """RGBA of an object in front of one known colour, its edge pixels unmixed.

    In a band about the outline a pixel C is taken for a F + (1 - a) B, F the nearest sure object colour and B
    the background: a is the least-squares solution, and the stored colour is F. Where F and B are alike
    nothing can be told apart and the hard mask stands.

    Args:
        rgb: [height, width, 3] uint8. mask: [height, width] bool. background: [3] float.

    Returns:
        [height, width, 4] uint8, straight alpha.
    """
    colour = rgb.astype(np.float32)
    core = _eroded(mask, BAND)
    unlike = np.abs(colour - background).max(-1) > 64.0
    core |= mask & unlike & ~_dilated(core, 2 * BAND)  # Thin parts have no core: take what is surely theirs.
    if not core.any():
        return with_alpha(rgb, mask.astype(np.float32))
    inner = nearest_inside(colour, core)
    span = inner - background.astype(np.float32)
    length = (span**2).sum(-1)
    fraction = ((colour - background) * span).sum(-1) / np.maximum(length, 1.0)
    told_apart = length > 40.0**2
    band = _dilated(mask, 2) & ~core
    alpha = mask.astype(np.float32)
    soft = np.clip((fraction - 0.05) / 0.9, 0.0, 1.0)
    alpha = np.where(band & told_apart, soft, alpha)
    # A pixel far off the line between B and F is another colour of the object, not a mixture.
    off_line = np.linalg.norm(colour - background - fraction[..., None] * span, axis=-1)
    alpha = np.where(mask & (off_line > 48.0), np.maximum(alpha, np.clip(off_line / 96.0, 0, 1)), alpha)
    mixed = (alpha < 0.98) & (alpha > 0)
    pure = (colour - (1 - alpha[..., None]) * background) / np.maximum(alpha[..., None], 0.05)
    trust = np.clip(alpha * 2 - 1, 0, 1)[..., None] ** 2
    clean = np.where(mixed[..., None], trust * pure + (1 - trust) * inner, colour)
    return with_alpha(np.clip(clean, 0, 255), alpha)


def decontaminate(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """RGBA [height, width, 4] uint8 whose half-transparent pixels take the nearest opaque colour.

    rgb: [height, width, 3] uint8. alpha: [height, width] float in [0, 1].
    """
    sure = alpha > 0.97
    if not sure.any():
        return with_alpha(rgb, alpha)
    inner = nearest_inside(rgb.astype(np.float32), sure)
    return with_alpha(np.where(sure[..., None], rgb, inner), alpha)


def with_alpha(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Joins colours [height, width, 3] in [0, 255] and alpha [height, width] in [0, 1] to uint8 RGBA.

    Fully transparent pixels become black.
    """
    opacity = np.clip(alpha * 255 + 0.5, 0, 255).astype(np.uint8)
    colour = np.where(opacity[..., None] > 0, np.asarray(rgb, dtype=np.float32) + 0.5, 0)
    return np.concatenate([np.clip(colour, 0, 255).astype(np.uint8), opacity[..., None]], -1)


def main_pieces(mask: np.ndarray, *, least_share: float = 0.03) -> np.ndarray:
    """The largest connected piece of a mask [height, width] bool and all at least `least_share` of it."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    keep = np.concatenate([[False], areas >= least_share * areas.max()])
    return np.asarray(keep[labels], dtype=bool)


def fill_holes(mask: np.ndarray, *, below: int) -> np.ndarray:
    """Fills the holes of a mask [height, width] bool that have fewer than `below` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < below
    small[0] = False
    touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    small[touching] = False
    return np.asarray(mask | small[labels], dtype=bool)


def _disc(radius: int) -> np.ndarray:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))


def _eroded(mask: np.ndarray, radius: int) -> np.ndarray:
    """Erosion; beyond the picture counts as object, since it may reach over the border."""
    padded = cv2.erode(mask.astype(np.uint8), _disc(radius), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(padded, dtype=bool)


def _dilated(mask: np.ndarray, radius: int) -> np.ndarray:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(radius)), dtype=bool)
