"""Face and vertex normals, and which vertices of a seam-split mesh are one point of the surface."""

from __future__ import annotations

import numpy as np

from lim_cli.core.cached_njit import cached_njit


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted face normals [..., face, 3] (length = twice the area) of vertices [..., vertex, 3]."""
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    return np.cross(b - a, c - a)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray, welded: np.ndarray | None = None) -> np.ndarray:
    """Unit, area-weighted vertex normals [vertex, 3] float32.

    Args:
        vertices: [vertex, 3], world frame.
        faces: [face, 3], counter-clockwise from outside.
        welded: [vertex] from `weld_by_position`; split vertices then share their normal.

    A vertex without area around it gets +Y, so that every normal has length one.
    """
    groups = np.arange(len(vertices)) if welded is None else welded
    count = int(groups.max()) + 1 if len(groups) else 0
    sums = _summed_normals(np.asarray(vertices, np.float64), np.asarray(faces, np.int64), groups, count)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    unit = np.where(length > 1e-20, sums / np.maximum(length, 1e-20), [0.0, 1.0, 0.0])
    return unit[groups].astype(np.float32)


def weld_by_position(vertices: np.ndarray) -> np.ndarray:
    """Group number [vertex] int64; vertices [vertex, 3] at the very same position share one.

    Seam splitting copies positions bit for bit, so equality is exact.
    """
    rows = np.ascontiguousarray(vertices + np.float32(0.0))  # -0.0 becomes 0.0
    _, groups = np.unique(rows, axis=0, return_inverse=True)
    return np.asarray(groups).reshape(-1)


@cached_njit()
def _summed_normals(vertices: np.ndarray, faces: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Face normals [vertex, 3] summed over the faces about each of `count` groups of vertices."""
    sums = np.zeros((count, 3))
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, uz = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
        vx, vy, vz = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in range(3):
            group = groups[faces[face, corner]]
            sums[group, 0] += nx
            sums[group, 1] += ny
            sums[group, 2] += nz
    return sums
