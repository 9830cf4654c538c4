"""Chamfer distances over space and time, as ActionBench (2026) defines them: CD-3D, CD-4D, CD-M.

Distances are Euclidean (not squared), in the ground truth's units; the two directions' means are added.
ActionBench aligns with gradient steps on rotation, translation and one scale per axis; we align with ICP over
similarities (one scale), so that a prediction cannot gain by being stretched. Lower is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from lim_cli.metrics.alignment import Similarity, align_similarity


@dataclass(frozen=True)
class Chamfer4D:
    """cd_3d, cd_4d, cd_motion as in `chamfer_4d`."""

    cd_3d: float
    cd_4d: float
    cd_motion: float


def chamfer(points: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of `points` [N, 3] to the nearest of `truth` [M, 3] plus the same the other way round."""
    _check_cloud(points)
    _check_cloud(truth)
    forward, _ = cKDTree(truth).query(points)
    backward, _ = cKDTree(points).query(truth)
    return float(forward.mean() + backward.mean())


def chamfer_3d(points: np.ndarray, truth: np.ndarray, *, all_rotations: bool = True) -> float:
    """CD-3D: every frame [time, N, 3] is aligned to its truth [time, M, 3] by itself; mean chamfer over time.

    It judges shape only: pose and scale errors that vary from frame to frame are forgiven.
    """
    _check_same_times(points, truth)
    aligned = [align_similarity(p, t, all_rotations=all_rotations).apply(p) for p, t in zip(points, truth, strict=True)]
    return float(np.mean([chamfer(a, t) for a, t in zip(aligned, truth, strict=True)]))


def chamfer_sequence(points: np.ndarray, truth: np.ndarray, similarity: Similarity | None = None) -> float:
    """CD-4D: one alignment for the whole sequence, that of the first frame; mean chamfer over time.

    Pass `similarity` to use a known alignment, e.g. the identity for posed input.
    """
    _check_same_times(points, truth)
    similarity = similarity or align_similarity(points[0], truth[0])
    return float(np.mean([chamfer(similarity.apply(p), t) for p, t in zip(points, truth, strict=True)]))


def chamfer_motion(points: np.ndarray, truth: np.ndarray, similarity: Similarity | None = None) -> float:
    """CD-M: tracked points [time, N, 3] against tracked truth [time, M, 3].

    In both, an index is one surface point through all times. After CD-4D's alignment, nearest neighbours at
    the first frame pair every truth point with a point and every point with a truth point; the pairs stay,
    and their distances are averaged over pairs and all times (the first included); the directions are added.
    """
    _check_same_times(points, truth)
    similarity = similarity or align_similarity(points[0], truth[0])
    points = similarity.apply(points)
    _, to_points = cKDTree(points[0]).query(truth[0])
    _, to_truth = cKDTree(truth[0]).query(points[0])
    of_truth = np.linalg.norm(points[:, to_points] - truth, axis=-1)  # [time, M]
    of_points = np.linalg.norm(truth[:, to_truth] - points, axis=-1)  # [time, N]
    return float(of_truth.mean() + of_points.mean())


def chamfer_4d(points: np.ndarray, truth: np.ndarray, *, all_rotations: bool = True) -> Chamfer4D:
    """All three for points tracked on the predicted surface [time, N, 3] and tracked truth [time, M, 3].

    Draw the points by area on the first mesh and carry them by their barycentric coordinates; a prediction
    that stretches strongly should be sampled afresh per frame for `chamfer_3d` and `chamfer_sequence`.
    """
    _check_same_times(points, truth)
    first = align_similarity(points[0], truth[0], all_rotations=all_rotations)
    return Chamfer4D(
        cd_3d=chamfer_3d(points, truth, all_rotations=all_rotations),
        cd_4d=chamfer_sequence(points, truth, first),
        cd_motion=chamfer_motion(points, truth, first),
    )


def _check_cloud(points: np.ndarray) -> None:
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"expected points [N > 0, 3], got {points.shape}")


def _check_same_times(points: np.ndarray, truth: np.ndarray) -> None:
    if points.ndim != 3 or truth.ndim != 3 or len(points) != len(truth) or points.shape[2] != 3:
        raise ValueError(f"expected [time, N, 3] and [time, M, 3], got {points.shape} and {truth.shape}")
