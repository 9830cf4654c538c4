"""The weights of a skinning decomposition: at most four per vertex, none negative, summing to one.

With the errors e_b = A_b p - y that a vertex has on each bone alone, its squared error is w^T G w, G_bc = e_b . e_c,
since the weights sum to one. All vertices are solved at once.
"""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.skinning_bones import Fit

NUMBERS_AT_ONCE = 2_000_000
SWAPS = 2
STIFFNESS = 1e-12
"""Added to the squared errors at every time, in squares of the object's size: shares the weight where bones fit equally
well, and keeps rounding errors from deciding where they fit perfectly."""


def fit_weights(fit: Fit, influences: int) -> float:
    """Sets `fit.joints` and `fit.weights`; the sum of squared distances they leave.

    The first time a vertex starts with the one bone that fits it best and takes on the most useful further ones;
    later it keeps its bones unless a swap is better, so that the error never grows.
    """
    points = fit.homogeneous()
    bone_bone, vertex_bone, squares = fit.products()
    count = len(bone_bone)
    width = min(influences, count)
    flat = bone_bone.transpose(1, 3, 0, 2).reshape(16, count * count)
    fresh = len(fit.weights) == 0
    if fresh:
        fit.joints = np.zeros((len(points), influences), np.int64)
        fit.weights = np.zeros((len(points), influences))
    total = 0.0
    together = max(1, NUMBERS_AT_ONCE // count**2)
    for start in range(0, len(points), together):
        part = slice(start, start + together)
        here = points[part]
        outer = np.einsum("vi,vj->vij", here, here).reshape(-1, 16)
        linear = np.einsum("vbi,vi->vb", vertex_bone[part], here)
        form = (outer @ flat).reshape(-1, count, count)
        form += squares[part, None, None] - linear[:, :, None] - linear[:, None, :]
        form[:, np.arange(count), np.arange(count)] += STIFFNESS * len(fit.track)
        if fresh:
            weights = _grow(form, width)
        else:
            weights = np.zeros_like(linear)
            np.put_along_axis(weights, fit.joints[part, :width], fit.weights[part, :width], axis=1)
            weights = _keep_better(form, weights, _solve(form, weights > 0))
            for _ in range(SWAPS):
                weights = _keep_better(form, weights, _swap(form, weights, width))
        total += float(np.sum(_error(form, weights)))
        order = np.argsort(-weights, axis=1, kind="stable")[:, :width]
        fit.joints[part, :width] = order
        fit.weights[part, :width] = np.take_along_axis(weights, order, axis=1)
    return total


def _grow(form: np.ndarray, width: int) -> np.ndarray:
    alone = np.einsum("vbb->vb", form)
    weights: np.ndarray = np.zeros(alone.shape)
    weights[np.arange(len(alone)), np.argmin(alone, axis=1)] = 1.0
    for _ in range(width - 1):
        weights = _keep_better(form, weights, _swap(form, weights, width))
    return weights


def _swap(form: np.ndarray, weights: np.ndarray, width: int) -> np.ndarray:
    """Weights with the bone added that promises most, and the least useful dropped where there are too many."""
    slope = np.einsum("vbc,vc->vb", form, weights)
    now = np.einsum("vb,vb->v", slope, weights)[:, None]
    # Moving a share s of the weight to bone b changes the error by s^2 bend + 2 s lean.
    lean = slope - now
    bend = np.maximum(np.einsum("vbb->vb", form) - 2 * slope + now, 1e-15)
    share = np.clip(-lean / bend, 0.0, 1.0)
    change = share**2 * bend + 2 * share * lean
    used = weights > 0
    change[used] = 0.0
    used[np.arange(len(used)), np.argmin(change, axis=1)] = True
    solved = _solve(form, used)
    many = np.count_nonzero(solved, axis=1) > width
    if many.any():
        left = np.where(solved[many] > 0, solved[many], np.inf)
        keep = np.isfinite(left)
        keep[np.arange(len(left)), np.argmin(left, axis=1)] = False
        solved[many] = _solve(form[many], keep)
    return solved


def _solve(form: np.ndarray, used: np.ndarray) -> np.ndarray:
    """The best weights over the used bones; bones that come out negative are dropped one by one."""
    width = int(used.sum(axis=1).max())
    places = np.argsort(~used, axis=1, kind="stable")[:, :width]
    active = np.take_along_axis(used, places, axis=1)
    rows = np.arange(len(form))
    small = form[rows[:, None, None], places[:, :, None], places[:, None, :]]
    small /= np.einsum("vkk->v", small)[:, None, None]
    result = np.zeros((len(form), width))
    todo = rows
    for _ in range(width):
        result[todo] = _equality_solve(small[todo], active[todo])
        wrong = (result[todo] < 0).any(axis=1)
        if not wrong.any():
            break
        todo = todo[wrong]
        active[todo, np.argmin(result[todo], axis=1)] = False
    weights = np.zeros(used.shape)
    np.put_along_axis(weights, places, np.maximum(result, 0.0), axis=1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _equality_solve(small: np.ndarray, active: np.ndarray) -> np.ndarray:
    """min w^T G w with sum w = 1 and w = 0 where not active, by its optimality system."""
    width = small.shape[1]
    both = active[:, :, None] & active[:, None, :]
    system = np.zeros((len(small), width + 1, width + 1))
    system[:, :width, :width] = np.where(both, small, 0.0)
    diagonal = np.arange(width)
    system[:, diagonal, diagonal] += np.where(active, 0.0, 1.0)
    system[:, :width, width] = system[:, width, :width] = active
    wanted = np.zeros((len(small), width + 1, 1))
    wanted[:, width] = 1.0
    return np.asarray(np.linalg.solve(system, wanted)[:, :width, 0])


def _error(form: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("vb,vb->v", np.einsum("vbc,vc->vb", form, weights), weights))


def _keep_better(form: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    better = _error(form, new) < _error(form, old)
    return np.where(better[:, None], new, old)
