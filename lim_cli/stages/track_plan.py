"""When the tracer looks, and what it makes of the times between its looks."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import Akima1DInterpolator


def spans(template: int, keyframes: int, length: int) -> list[tuple[int, int]]:
    """Stretches that are traced one by one, `length` keyframe intervals each, as their first and last keyframe:

    from the template to the last keyframe, then from the template back to the first.
    """
    last = keyframes - 1
    onwards = [(start, min(start + length, last)) for start in range(template, last, length)]
    return onwards + [(start, max(start - length, 0)) for start in range(template, 0, -length)]


def looks(start: float, end: float, times: np.ndarray, pictures: np.ndarray, most: int) -> list[float]:
    """When the networks look: at the span's end, and inside it where outputs are wanted, but `most` times at most.

    times: of the output; pictures: of the input, which a look is moved to if it comes near.
    """
    wanted = _inside(times, start, end)
    if len(wanted) > most:
        wanted = [start + (end - start) * (n + 1) / (most + 1) for n in range(most)]
    apart = 0.25 * (end - start) / (most + 1)
    seen = np.asarray(_inside(pictures, start, end))
    near = [seen[np.abs(seen - time) <= apart] for time in wanted]
    moved = {float(p[np.abs(p - w).argmin()]) if len(p) else w for w, p in zip(wanted, near, strict=True)}
    return [*sorted(moved), end]


def stops(start: float, end: float, seen: list[float], pictures: np.ndarray) -> list[float]:
    """All times of a span at which a shape is found: the looks `seen`, the input's pictures, and the end."""
    return sorted({*seen, *_inside(pictures, start, end), end})


def _inside(values: np.ndarray, start: float, end: float) -> list[float]:
    return [float(v) for v in values if start + 1e-6 < v < end - 1e-6]


def between(moments: np.ndarray, shapes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Shapes [moment, vertex, 3] at the output times, by a smooth curve through every vertex's places."""
    if len(moments) == 1:
        return np.repeat(shapes, len(times), 0)
    inside = np.clip(times, moments[0], moments[-1])
    if len(moments) == 2:
        share = np.interp(inside, moments, [0.0, 1.0])[:, None, None]
        return np.asarray(shapes[0] * (1 - share) + shapes[1] * share, np.float32)
    return np.asarray(Akima1DInterpolator(moments, shapes, axis=0, method="makima")(inside), np.float32)


def calm(moments: np.ndarray, times: np.ndarray) -> int:
    """Over how many output times jitter is smoothed: no more than lie between two stops, which hold real motion."""
    if len(times) < 2 or len(moments) < 2:
        return 3
    apart = float(np.median(np.diff(moments)) / np.median(np.diff(times)))
    return 5 if apart >= 4 else 3
