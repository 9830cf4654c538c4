"""The weights of a skinning decomposition: at most four per vertex, none negative, summing to one.

For one vertex the squared error is the quadratic form w^T G w - 2 c^T w + s. All vertices are solved at once.
"""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.skinning_bones import Fit

VERTICES_AT_ONCE = 2048
SWAPS = 2
RIDGE = 1e-9


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
    for start in range(0, len(points), VERTICES_AT_ONCE):
        part = slice(start, start + VERTICES_AT_ONCE)
        here = points[part]
        outer = np.einsum("vi,vj->vij", here, here).reshape(-1, 16)
        quadratic = (outer @ flat).reshape(-1, count, count)
        linear = np.einsum("vbi,vi->vb", vertex_bone[part], here)
        if fresh:
            weights = _grow(quadratic, linear, width)
        else:
            weights = np.zeros_like(linear)
            np.put_along_axis(weights, fit.joints[part], fit.weights[part], axis=1)
            weights = _keep_better(quadratic, linear, weights, _solve(quadratic, linear, weights > 0))
            for _ in range(SWAPS):
                weights = _keep_better(quadratic, linear, weights, _swap(quadratic, linear, weights, width))
        total += float(np.sum(_error(quadratic, linear, weights) + squares[part]))
        order = np.argsort(-weights, axis=1, kind="stable")[:, :width]
        fit.joints[part, :width] = order
        fit.weights[part, :width] = np.take_along_axis(weights, order, axis=1)
        # Unused places name bone zero, as glTF wants.
        fit.joints[part][fit.weights[part] == 0] = 0
    return total


def _grow(quadratic: np.ndarray, linear: np.ndarray, width: int) -> np.ndarray:
    alone = np.einsum("vbb->vb", quadratic) - 2 * linear
    weights = np.zeros_like(linear)
    weights[np.arange(len(linear)), np.argmin(alone, axis=1)] = 1.0
    for _ in range(width - 1):
        weights = _keep_better(quadratic, linear, weights, _swap(quadratic, linear, weights, width))
    return weights


def _swap(quadratic: np.ndarray, linear: np.ndarray, weights: np.ndarray, width: int) -> np.ndarray:
    """Weights with the bone added that promises most, and the least useful dropped where there are too many."""
    rows = np.arange(len(linear))
    slope = np.einsum("vbc,vc->vb", quadratic, weights)
    held = np.einsum("vb,vb->v", slope, weights)[:, None]
    # Moving a share s of the weight to bone b changes the error by s^2 bend + 2 s lean.
    lean = (slope - linear) - np.einsum("vb,vb->v", slope - linear, weights)[:, None]
    bend = np.maximum(np.einsum("vbb->vb", quadratic) - 2 * slope + held, 1e-12)
    share = np.clip(-lean / bend, 0.0, 1.0)
    change = share**2 * bend + 2 * share * lean
    change[weights > 0] = 0.0
    used = weights > 0
    used[rows, np.argmin(change, axis=1)] = True
    solved = _solve(quadratic, linear, used)
    many = np.count_nonzero(solved, axis=1) > width
    if many.any():
        left = solved[many]
        left[left == 0] = np.inf
        keep = np.isfinite(left)
        keep[np.arange(len(left)), np.argmin(left, axis=1)] = False
        solved[many] = _solve(quadratic[many], linear[many], keep)
    return solved


def _solve(quadratic: np.ndarray, linear: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Least squares with sum one over the used bones; bones that come out negative are dropped one by one."""
    width = int(used.sum(axis=1).max())
    places = np.argsort(~used, axis=1, kind="stable")[:, :width]
    active = np.take_along_axis(used, places, axis=1)
    rows = np.arange(len(linear))
    small = quadratic[rows[:, None, None], places[:, :, None], places[:, None, :]]
    right = np.take_along_axis(linear, places, axis=1)
    ridge = RIDGE * np.maximum(np.einsum("vkk->v", small), 1e-12)
    result = np.zeros((len(linear), width))
    todo = rows
    for _ in range(width):
        result[todo] = _equality_solve(small[todo], right[todo], ridge[todo], active[todo])
        negative = result[todo] < 0
        wrong = negative.any(axis=1)
        if not wrong.any():
            break
        todo = todo[wrong]
        active[todo, np.argmin(result[todo], axis=1)] = False
    weights = np.zeros_like(linear)
    np.put_along_axis(weights, places, np.maximum(result, 0.0), axis=1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _equality_solve(small: np.ndarray, right: np.ndarray, ridge: np.ndarray, active: np.ndarray) -> np.ndarray:
    """min w^T G w - 2 c^T w with sum w = 1 and w = 0 where not active, by its optimality system."""
    width = small.shape[1]
    both = active[:, :, None] & active[:, None, :]
    system = np.zeros((len(small), width + 1, width + 1))
    system[:, :width, :width] = np.where(both, small, 0.0)
    diagonal = np.arange(width)
    system[:, diagonal, diagonal] += np.where(active, ridge[:, None], 1.0)
    system[:, :width, width] = system[:, width, :width] = active
    wanted = np.concatenate([np.where(active, right, 0.0), np.ones((len(small), 1))], axis=1)
    return np.asarray(np.linalg.solve(system, wanted[..., None])[:, :width, 0])


def _error(quadratic: np.ndarray, linear: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("vb,vbc,vc->v", weights, quadratic, weights, optimize=True) - 2 * np.sum(linear * weights, axis=1))


def _keep_better(quadratic: np.ndarray, linear: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    better = _error(quadratic, linear, new) < _error(quadratic, linear, old)
    return np.where(better[:, None], new, old)
