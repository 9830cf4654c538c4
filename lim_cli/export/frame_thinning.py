"""Which frames of an animation must be kept where readers join those with straight lines."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np


def choose_frames(
    vertices: np.ndarray, times: np.ndarray, *, tolerance: float, max_frames: int | None = None
) -> tuple[np.ndarray, float]:
    """Frames of a track to keep, ends included, and the largest error of the ones left out; see `choose_keys`.

    Args:
        vertices: [time, vertex, 3]; times: [time] seconds.
        tolerance: largest vertex error accepted, world units.
        max_frames: keeps at most this many (at least two).

    Returns:
        kept frame indices [kept] int64, increasing; largest distance of a vertex from where it should be.
    """

    def missed(start: int, end: int) -> np.ndarray:
        change = vertices[end] - vertices[start]
        errors = np.zeros(end - start - 1)
        for i, middle in enumerate(range(start + 1, end)):
            alpha = np.float32((times[middle] - times[start]) / (times[end] - times[start]))
            guess = vertices[start] + alpha * change
            errors[i] = np.sqrt(np.max(np.sum((guess - vertices[middle]) ** 2, axis=1)))
        return errors

    return choose_keys(len(times), missed, tolerance=tolerance, max_keys=max_frames)


def choose_keys(
    count: int, missed: Callable[[int, int], np.ndarray], *, tolerance: float, max_keys: int | None = None
) -> tuple[np.ndarray, float]:
    """Keys to keep of `count`, ends included, and the largest error of the ones left out.

    Keys are added one after another where interpolation is worst, until every dropped one is within `tolerance` or, if
    given, `max_keys` are kept.

    Args:
        missed: (start, end) -> [end - start - 1], the errors of the keys between two that are kept.
    """

    def worst(start: int, end: int) -> tuple[float, int, int, int]:
        """(-error, key, start, end) of the key that interpolation misses most."""
        if end - start < 2:
            return 1.0, start, start, end  # nothing between: below every error
        errors = missed(start, end)
        most = int(np.argmax(errors))
        return -float(errors[most]), start + 1 + most, start, end

    kept = {0, count - 1}
    spans = [worst(0, count - 1)]
    while -spans[0][0] > tolerance and (max_keys is None or len(kept) < max_keys):
        _, middle, start, end = heapq.heappop(spans)
        kept.add(middle)
        heapq.heappush(spans, worst(start, middle))
        heapq.heappush(spans, worst(middle, end))
    return np.array(sorted(kept)), max(0.0, -spans[0][0])
