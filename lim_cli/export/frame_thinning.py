"""Which frames of a track a linear morph animation must keep."""

from __future__ import annotations

import heapq

import numpy as np


def choose_frames(
    vertices: np.ndarray, times: np.ndarray, *, tolerance: float, max_frames: int | None = None
) -> tuple[np.ndarray, float]:
    """Frames to keep, ends included, and the largest error of the ones left out.

    Frames are added one after another where linear interpolation is worst, until every dropped frame is within
    `tolerance` or, if given, `max_frames` are kept.

    Args:
        vertices: [time, vertex, 3]; times: [time] seconds.
        tolerance: largest vertex error accepted, world units.
        max_frames: keeps at most this many (at least two).

    Returns:
        kept frame indices [kept] int64, increasing; largest distance of a vertex from where it should be.
    """
    count = len(times)
    kept = {0, count - 1}
    segments = [_worst(vertices, times, 0, count - 1)]
    while -segments[0][0] > tolerance and (max_frames is None or len(kept) < max_frames):
        _, middle, start, end = heapq.heappop(segments)
        kept.add(middle)
        heapq.heappush(segments, _worst(vertices, times, start, middle))
        heapq.heappush(segments, _worst(vertices, times, middle, end))
    return np.array(sorted(kept)), max(0.0, -segments[0][0])


def _worst(vertices: np.ndarray, times: np.ndarray, start: int, end: int) -> tuple[float, int, int, int]:
    """(-error, frame, start, end) of the frame between two kept ones that interpolation misses most."""
    largest, frame = -1.0, start
    for middle in range(start + 1, end):
        alpha = np.float32((times[middle] - times[start]) / (times[end] - times[start]))
        guess = vertices[start] + alpha * (vertices[end] - vertices[start])
        error = float(np.sqrt(np.max(np.sum((guess - vertices[middle]) ** 2, axis=1))))
        if error > largest:
            largest, frame = error, middle
    return -largest, frame, start, end
