"""How healthy a moving triangulation is: shapes of faces, and faces that have turned over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.core.cached_njit import cached_njit
from lim_cli.geometry.normals import vertex_normals


@dataclass(frozen=True)
class FaceState:
    """The faces of a mesh in one pose.

    quality [face]: shape of each in [0, 1], 4 sqrt(3) area / (sum of squared edge lengths): 1 is equilateral, 0 has no
    area. agrees [face] bool: it faces as the surface around it does, the mean of its vertices' normals.
    """

    quality: np.ndarray
    agrees: np.ndarray

    @staticmethod
    def of(vertices: np.ndarray, faces: np.ndarray) -> FaceState:
        """vertices [vertex, 3], world frame; faces [face, 3]."""
        points, corners = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
        normals = vertex_normals(vertices, faces).astype(np.float64)
        return FaceState(*_shapes_and_agreement(points, corners, normals))

    def flipped_since(self, earlier: FaceState) -> np.ndarray:
        """Faces [face] bool that agreed with the surface then and no longer do; no rigid motion flips any."""
        return np.asarray(earlier.agrees & ~self.agrees)


@cached_njit()
def _shapes_and_agreement(points: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each face's shape [face], and whether it faces as the sum of its vertices' `normals` [vertex, 3] does."""
    shape, agrees = np.empty(faces.shape[0]), np.empty(faces.shape[0], np.bool_)
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, uz = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
        vx, vy, vz = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1], points[k, 2] - points[i, 2]
        wx, wy, wz = ux - vx, uy - vy, uz - vz
        squared = ux * ux + uy * uy + uz * uz + vx * vx + vy * vy + vz * vz + wx * wx + wy * wy + wz * wz
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        toward = nx * (normals[i, 0] + normals[j, 0] + normals[k, 0])
        toward += ny * (normals[i, 1] + normals[j, 1] + normals[k, 1])
        toward += nz * (normals[i, 2] + normals[j, 2] + normals[k, 2])
        shape[face] = 2.0 * np.sqrt(3.0) * np.sqrt(nx * nx + ny * ny + nz * nz) / max(squared, 1e-30)
        agrees[face] = toward >= 0.0
    return shape, agrees
