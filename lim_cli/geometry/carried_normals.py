"""Carries a mesh's own normals and tangents to a deformed pose, so that hard edges and painted normals survive.

Each face has a deformation F from its two edges and its unit normal. A vertex's normal becomes the direction of
sum_f area_f F_f^-T n, its tangent that of sum_f area_f F_f t less its part along the normal.
"""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.normals import face_normals


class NormalCarrier:
    """Carries the normals [vertex, 3] of a rest pose.

    Args:
        rest: [vertex, 3]; faces: [face, 3]; normals: [vertex, 3], unit, all of one frame.
        tangents: [vertex, 3], unit, or None.
    """

    def __init__(
        self, rest: np.ndarray, faces: np.ndarray, normals: np.ndarray, tangents: np.ndarray | None = None
    ) -> None:
        self.faces, self.normals, self.tangents = faces, normals.astype(np.float64), tangents
        # Vertices at one place with one normal are one smooth point: both sides of a texture seam stay alike.
        size = max(float(np.ptp(rest, axis=0).max()), 1e-12)
        keys = np.concatenate([np.round(rest / size * 1e6), np.round(normals * 1e2)], axis=1)
        self._group = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
        self._edges = self._frame(rest)

    def _frame(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Two edges, the unit normal [face, 3] each, and twice the area [face, 1]."""
        a, b, c = (vertices[self.faces[:, corner]].astype(np.float64) for corner in range(3))
        normal = face_normals(vertices.astype(np.float64), self.faces)
        area = np.linalg.norm(normal, axis=1, keepdims=True)
        return b - a, c - a, normal / np.maximum(area, 1e-30), area

    def carry(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Unit normals [vertex, 3] at the pose `vertices` [vertex, 3], and tangents if there are any."""
        first, second, up, area = self._frame(vertices)
        # area F^-T n: the reciprocal basis of the deformed frame, times its area, needs no division.
        bases = (np.cross(second, up), np.cross(up, first), area * up)
        normals = self._summed(self.normals, self._edges[:3], bases, self._group)
        if self.tangents is None:
            return normals, None
        rest_first, rest_second, rest_up, rest_area = self._edges
        inverse = 1.0 / np.maximum(rest_area, 1e-30)
        reciprocal = (np.cross(rest_second, rest_up) * inverse, np.cross(rest_up, rest_first) * inverse, rest_up)
        own = np.arange(len(vertices))  # tangents differ across a texture seam
        moved = self._summed(self.tangents, reciprocal, (area * first, area * second, area * up), own)
        flat = moved - normals * np.sum(moved * normals, axis=1, keepdims=True)
        return normals, _unit(flat, self.tangents)

    def _summed(
        self,
        vectors: np.ndarray,
        before: tuple[np.ndarray, ...],
        after: tuple[np.ndarray, ...],
        group: np.ndarray,
    ) -> np.ndarray:
        """Unit sums over the faces of each group [vertex] of sum_k after_k (before_k . vector)."""
        count = int(group.max()) + 1
        sums = np.zeros((count, 3))
        for corner in range(3):
            at = self.faces[:, corner]
            own = vectors[at]
            carried = sum(a * np.sum(b * own, axis=1, keepdims=True) for a, b in zip(after, before, strict=True))
            for axis in range(3):
                sums[:, axis] += np.bincount(group[at], carried[:, axis], minlength=count)
        return _unit(sums[group], vectors)


def _unit(vectors: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.where(length > 1e-20, vectors / np.maximum(length, 1e-20), fallback))
