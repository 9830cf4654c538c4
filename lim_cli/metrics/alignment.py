"""Similarity alignment of point clouds: Umeyama in closed form, ICP without correspondences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation. rotation [3, 3] proper, translation [3]."""

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] -> [..., 3]."""
        return self.scale * points @ self.rotation.T + self.translation


def umeyama(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The least-squares similarity from `source` [N, 3] to corresponding `target` [N, 3] (Umeyama 1991).

    Raises:
        ValueError: shapes differ, fewer than 3 points, or all source points coincide.
    """
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3 or len(source) < 3:
        raise ValueError(f"expected two [N >= 3, 3] arrays, got {source.shape} and {target.shape}")
    source, target = source.astype(np.float64), target.astype(np.float64)
    mean_source, mean_target = source.mean(0), target.mean(0)
    a, b = source - mean_source, target - mean_target
    variance = (a * a).sum() / len(a)
    if variance < 1e-20:
        raise ValueError("all source points coincide")
    left, singular, right = np.linalg.svd(b.T @ a / len(a))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    scale = float((singular * signs).sum() / variance)
    return Similarity(scale, rotation, mean_target - scale * rotation @ mean_source)


def align_similarity(
    source: np.ndarray,
    target: np.ndarray,
    *,
    iterations: int = 40,
    count: int = 2000,
    all_rotations: bool = True,
    seed: int = 0,
) -> Similarity:
    """The similarity that brings `source` [N, 3] onto `target` [M, 3], found by ICP.

    Starts from centred clouds of equal spread, turned by each of the 24 rotations of the cube (or only by the
    identity), with both clouds thinned to at most `count` points. Starts run for 8 iterations on a quarter of
    them; the best three go on. A step matches nearest neighbours in both directions, since one direction
    alone lets the scale collapse, and solves Umeyama. The result with the least chamfer distance is returned.
    """
    rng = np.random.default_rng(seed)
    source, target = _thin(source, count, rng), _thin(target, count, rng)
    starts = [_start(source, target, r) for r in (_cube_rotations() if all_rotations else [np.eye(3)])]
    if len(starts) > 1:
        few_source, few_target = (
            _thin(source, max(count // 4, 100), rng),
            _thin(target, max(count // 4, 100), rng),
        )
        scored = [_icp(few_source, few_target, start, 8) for start in starts]
        starts = [similarity for _, similarity in sorted(scored, key=lambda entry: entry[0])[:3]]
    return min((_icp(source, target, start, iterations) for start in starts), key=lambda entry: entry[0])[1]


def _start(source: np.ndarray, target: np.ndarray, rotation: np.ndarray) -> Similarity:
    spread = [float(np.sqrt(np.square(p - p.mean(0)).sum(1).mean())) for p in (source, target)]
    scale = spread[1] / max(spread[0], 1e-12)
    return Similarity(scale, rotation, target.mean(0) - scale * rotation @ source.mean(0))


def _icp(source: np.ndarray, target: np.ndarray, start: Similarity, iterations: int) -> tuple[float, Similarity]:
    """Refines `start`; returns the least chamfer distance met and its similarity."""
    tree_target = cKDTree(target)
    best, best_distance, current, last = start, np.inf, start, np.inf
    for _ in range(iterations):
        moved = current.apply(source)
        forward, to_target = tree_target.query(moved)
        backward, to_source = cKDTree(moved).query(target)
        distance = float(forward.mean() + backward.mean())
        if distance < best_distance:
            best, best_distance = current, distance
        if abs(last - distance) < 1e-7 * max(distance, 1e-12) or distance == 0:
            break
        last = distance
        current = umeyama(np.concatenate([source, source[to_source]]), np.concatenate([target[to_target], target]))
    return best_distance, best


def _thin(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    points = points.astype(np.float64)
    return points if len(points) <= count else points[rng.choice(len(points), count, replace=False)]


def _cube_rotations() -> list[np.ndarray]:
    """The 24 proper rotations that map the cube to itself, the identity first."""
    rotations = Rotation.create_group("O").as_matrix()
    return sorted(rotations, key=lambda r: -float(np.trace(r)))
