"""Takes the jitter out of a track without slowing its motion."""

from __future__ import annotations

import numpy as np
from scipy.signal import savgol_filter


def smooth_track(
    vertices: np.ndarray, *, window: int = 5, order: int = 2, outlier: float = 4.0, block: int = 4096
) -> np.ndarray:
    """Smoothed vertices [time, vertex, 3] float32 of a track at equally spaced times.

    A polynomial of degree `order` is fitted over `window` times around each time (Savitzky and Golay): motion
    with constant acceleration passes unchanged, frame-to-frame jitter is damped. Where the
    polynomial would move a vertex more than `outlier` times the track's usual jitter, the motion is taken to
    be real (an impact, a turning point) and left alone.

    Args:
        vertices: [time, vertex, 3], world frame; a track shorter than `window` is returned as it is.
        window: odd number of times. order: degree, less than `window`.
        block: vertices worked on at once, which bounds the memory.
    """
    if window % 2 == 0 or order >= window:
        raise ValueError(f"expected an odd window larger than order, got window={window}, order={order}")
    if len(vertices) < window:
        return vertices
    result = np.empty_like(vertices, dtype=np.float32)
    for start in range(0, vertices.shape[1], block):
        part = vertices[:, start : start + block].astype(np.float64)
        residual = part - savgol_filter(part, window, order, axis=0, mode="interp")
        size = np.linalg.norm(residual, axis=2)
        usual = max(float(np.median(size)), 1e-12)
        gain = np.exp(-((size / (outlier * usual)) ** 4))
        result[:, start : start + block] = part - gain[..., None] * residual
    return result
