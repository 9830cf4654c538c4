"""Mattes of clips in front of any scene: GrabCut seeded by border, centre and motion, then flow."""

from __future__ import annotations

import cv2
import numpy as np

from lim_cli.core.progress import Progress
from lim_cli.video.edges import decontaminate, fill_holes, main_pieces

WORKING_SIDE = 256
"""Longest side at which GrabCut runs; the outline is then refined at full size by a guided filter."""


def matte_grabcut(rgba: np.ndarray, *, progress: Progress) -> np.ndarray:
    """RGBA [time, height, width, 4] uint8 of the one object about the centre of a clip of the same shape.

    Frame 0 is seeded by colour (border against centre) and, under a still camera, by motion; every later
    frame starts from the previous outline moved by optical flow.
    """
    height, width = rgba.shape[1:3]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    small_size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = np.stack([cv2.resize(f[..., :3], small_size, interpolation=cv2.INTER_AREA) for f in rgba])
    moving = _motion(small)
    trimap = _first_trimap(small[0], None if moving is None else moving[0])
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    result = np.empty_like(rgba)
    mask: np.ndarray | None = None
    with progress.task("Cutting out the object", total=len(rgba)) as task:
        for index, frame in enumerate(small):
            if mask is not None and mask.any() and not mask.all():
                carried = _carried(mask, small[index - 1], frame, flow)
                trimap = _next_trimap(carried, None if moving is None else moving[index])
            mask = _cut(frame, trimap, models, rounds=5 if index == 0 else 2)
            result[index] = _refined(rgba[index], mask)
            task.advance()
    return result


def _motion(small: np.ndarray) -> np.ndarray | None:
    """[time, height, width] bool, what differs from the still scene; None if camera or nothing moves."""
    if len(small) < 4:
        return None
    scene = np.median(small[:: max(1, len(small) // 32)], axis=0)
    change = np.abs(small.astype(np.float32) - scene).max(-1)
    edge = max(2, min(small.shape[1:3]) // 20)
    rim = np.concatenate([change[:, :edge].ravel(), change[:, :, :edge].ravel(), change[:, :, -edge:].ravel()])
    moving = change > 28.0
    if np.quantile(rim, 0.8) > 16.0 or not 0.002 < moving.mean() < 0.5:
        return None
    return np.asarray(moving, dtype=bool)


def _first_trimap(frame: np.ndarray, moving: np.ndarray | None) -> np.ndarray:
    """GrabCut labels [height, width]: by how much commoner a colour is at the centre than at the border."""
    height, width = frame.shape[:2]
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2Lab)
    ys, xs = np.mgrid[0:height, 0:width]
    radius = np.hypot((xs + 0.5) / width - 0.5, (ys + 0.5) / height - 0.5)
    edge = max(2, min(height, width) // 16)
    rim = np.zeros((height, width), np.uint8)
    rim[:edge] = rim[:, :edge] = rim[:, -edge:] = 255  # The foot of the picture often belongs to the object.
    middle = ((radius < 0.25) * 255).astype(np.uint8)
    ratio = _likelihood(lab, middle) / (_likelihood(lab, middle) + _likelihood(lab, rim) + 1e-6)
    ratio = cv2.GaussianBlur(ratio, (0, 0), 2.0)
    probable = (ratio > 0.5) & (radius < 0.45)
    if moving is not None:
        probable |= moving
    if probable.mean() < 0.01:
        probable = radius < 0.3
    trimap = np.where(probable, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    sure_rim = max(1, edge // 3)
    still = np.ones_like(probable) if moving is None else ~moving
    rim_sure = np.zeros_like(probable)
    rim_sure[:sure_rim] = rim_sure[:, :sure_rim] = rim_sure[:, -sure_rim:] = True
    trimap[rim_sure & still & ~((ratio > 0.5) & (radius < 0.3))] = cv2.GC_BGD
    return trimap


def _likelihood(lab: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Smoothed histogram likelihood [height, width] of each pixel's colour among `where` (0 or 255)."""
    bins, ranges = [8, 16, 16], [0, 256, 0, 256, 0, 256]
    histogram = cv2.calcHist([lab], [0, 1, 2], where, bins, ranges) + 0.05
    histogram /= histogram.sum()
    index = (lab // np.array([32, 16, 16], np.uint8)).astype(np.int64)
    return np.asarray(histogram[index[..., 0], index[..., 1], index[..., 2]], dtype=np.float32)


def _carried(mask: np.ndarray, before: np.ndarray, now: np.ndarray, flow: cv2.DISOpticalFlow) -> np.ndarray:
    """The previous outline moved to the present frame by backward optical flow."""
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (now, before)]
    shift = flow.calc(grey[0], grey[1], np.zeros((*mask.shape, 2), np.float32))
    ys, xs = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]].astype(np.float32)
    moved = cv2.remap(mask.astype(np.float32), xs + shift[..., 0], ys + shift[..., 1], cv2.INTER_LINEAR)
    return np.asarray(moved > 0.5, dtype=bool)


def _next_trimap(mask: np.ndarray, moving: np.ndarray | None) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    inner = cv2.erode(mask.astype(np.uint8), kernel).astype(bool)
    outer = cv2.dilate(mask.astype(np.uint8), kernel, iterations=2).astype(bool)
    trimap = np.full(mask.shape, cv2.GC_BGD, np.uint8)
    trimap[outer if moving is None else outer | moving] = cv2.GC_PR_BGD
    trimap[mask] = cv2.GC_PR_FGD
    trimap[inner] = cv2.GC_FGD
    return trimap


def _cut(frame: np.ndarray, trimap: np.ndarray, models: tuple[np.ndarray, np.ndarray], *, rounds: int) -> np.ndarray:
    """One GrabCut; `models` (background, object colours) are refitted. One-sided seeds stand as they are."""
    labels = trimap.copy()
    foreground = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if foreground.sum() < 16 or (~foreground).sum() < 16:
        return np.asarray(foreground, dtype=bool)
    cv2.setRNGSeed(0)  # GrabCut's k-means draws from OpenCV's generator; the same clip must give the same matte.
    cv2.grabCut(frame, labels, (0, 0, 0, 0), models[0], models[1], rounds, cv2.GC_INIT_WITH_MASK)
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(bool)
    return fill_holes(main_pieces(opened, least_share=0.1), below=max(8, mask.size // 500))


def _refined(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Full-size RGBA: the small mask, enlarged and drawn to the frame's own edges by a guided filter."""
    height, width = frame.shape[:2]
    coarse = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    radius = max(2, round(max(height, width) / WORKING_SIDE * 2))
    grey = cv2.cvtColor(np.ascontiguousarray(frame[..., :3]), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    alpha = _guided_filter(grey, coarse, radius=radius, softness=1e-3)
    alpha = np.clip((alpha - 0.15) / 0.7, 0.0, 1.0)
    band = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    alpha *= cv2.resize(band.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0
    return decontaminate(frame[..., :3], alpha)


def _guided_filter(guide: np.ndarray, values: np.ndarray, *, radius: int, softness: float) -> np.ndarray:
    """He et al. 2010: values that are locally linear in `guide`; both [height, width] float32."""
    window = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_values = cv2.blur(guide, window), cv2.blur(values, window)
    covariance = cv2.blur(guide * values, window) - mean_guide * mean_values
    variance = cv2.blur(guide * guide, window) - mean_guide * mean_guide
    slope = covariance / (variance + softness)
    offset = mean_values - slope * mean_guide
    return np.asarray(cv2.blur(slope, window) * guide + cv2.blur(offset, window), dtype=np.float32)
