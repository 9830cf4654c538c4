"""How healthy a moving triangulation is: shapes of faces, and faces that have turned over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.geometry.normals import face_normals, vertex_normals


@dataclass(frozen=True)
class FlipStatistics:
    """flipped: [face] bool; count: how many; fraction: of all faces, in [0, 1]."""

    flipped: np.ndarray
    count: int
    fraction: float


def face_quality(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Shape of each face [face] in [0, 1]: 1 is equilateral, 0 has no area.

    4 sqrt(3) area / (sum of squared edge lengths).
    """
    points = vertices.astype(np.float64)
    edges = points[faces] - points[np.roll(faces, -1, axis=1)]  # [face, 3, 3]
    squared = np.sum(edges**2, axis=(1, 2))
    doubled = np.linalg.norm(face_normals(points, faces), axis=1)
    return np.asarray(2.0 * np.sqrt(3.0) * doubled / np.maximum(squared, 1e-30))


def flipped_faces(previous: np.ndarray, following: np.ndarray, faces: np.ndarray) -> FlipStatistics:
    """Faces that agreed with the surface around them at `previous` and face against it at `following`.

    The surface around a face is the mean of its vertices' normals, so a rigid motion, however far, flips
    nothing.

    Args:
        previous, following: [vertex, 3], world frame. faces: [face, 3].
    """
    flipped = _agreement(previous, faces) & ~_agreement(following, faces)
    count = int(flipped.sum())
    return FlipStatistics(flipped, count, count / max(len(faces), 1))


def _agreement(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    around = vertex_normals(vertices, faces)[faces].sum(axis=1)
    return np.asarray(np.sum(face_normals(vertices, faces) * around, axis=1) >= 0)
