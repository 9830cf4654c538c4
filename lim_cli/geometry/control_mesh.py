"""A coarse copy of a mesh that is moved in its place, and carries it along (embedded deformation, Sumner et al. 2007).

A fine vertex x lies over one face of the coarse rest mesh, at barycentric coordinates b_k. With c_k, c'_k the corners
at rest and moved, and R_k the rotation of the rest edges about corner k into the moved ones,

    x' = sum_k b_k (R_k (x - c_k) + c'_k).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from trimesh import triangles

from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.mesh_cleanup import simplify
from lim_cli.geometry.normals import face_normals, vertex_normals

NORMAL_LENGTH = 0.1
"""A normal that faces the other way counts as twice this distance, in parts of the mesh's size: thin parts have two
sides."""
CANDIDATES = 12


@dataclass(frozen=True)
class ControlMesh:
    """rest: the coarse mesh. solver: ARAP on it. corners [vertex, 3] int64, weights and offsets ([vertex, 3] and

    [vertex, 3 corners, 3] float64): each fine vertex's coarse vertices, barycentric coordinates and x - c_k.
    """

    rest: Mesh
    solver: ArapSolver
    corners: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray

    @staticmethod
    def of(fine: Mesh, count: int) -> ControlMesh:
        """About `count` coarse vertices; the fine mesh itself where it has no more than that."""
        rest = simplify(fine, count)
        face, weights = _bind(fine, rest)
        corners = rest.faces[face].astype(np.int64)
        offsets = fine.vertices[:, None].astype(np.float64) - rest.vertices[corners]
        return ControlMesh(rest, ArapSolver(rest.vertices, rest.faces, "uniform"), corners, weights, offsets)

    def carry(self, moved: np.ndarray) -> np.ndarray:
        """Coarse vertices [coarse, 3] -> fine vertices [vertex, 3] float32."""
        points = moved.astype(np.float64)
        rotations = self.solver.rotations(points)[self.corners]  # [vertex, corner, 3, 3]
        each = np.einsum("vkab,vkb->vka", rotations, self.offsets) + points[self.corners]
        return np.asarray(np.einsum("vk,vka->va", self.weights, each), np.float32)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values [coarse] -> [vertex] float32."""
        return np.asarray(np.sum(self.weights * values[self.corners], axis=1), np.float32)


def _bind(fine: Mesh, rest: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """The coarse face each fine vertex lies over, [vertex], and its barycentric coordinates there, [vertex, 3]."""
    size = max(float(np.ptp(rest.vertices, axis=0).max()), 1e-12)
    corners = rest.vertices[rest.faces].astype(np.float64)
    doubled = face_normals(rest.vertices.astype(np.float64), rest.faces)
    facing = doubled / np.maximum(np.linalg.norm(doubled, axis=1, keepdims=True), 1e-30)
    points = fine.vertices.astype(np.float64)
    normals = vertex_normals(fine.vertices, fine.faces).astype(np.float64)
    turn = NORMAL_LENGTH * size
    tree = cKDTree(np.concatenate([corners.mean(1), turn * facing], 1))
    near = tree.query(np.concatenate([points, turn * normals], 1), k=min(CANDIDATES, len(corners)))[1]
    near = near.reshape(len(points), -1)
    repeated = np.repeat(points, near.shape[1], 0)
    on_face = triangles.closest_point(corners[near.ravel()], repeated)  # type: ignore[no-untyped-call]
    away = np.linalg.norm(on_face - repeated, axis=1).reshape(near.shape)
    away = away + turn * 0.5 * (1.0 - np.einsum("vkc,vc->vk", facing[near], normals))
    best = away.argmin(1)
    row = np.arange(len(points))
    face = near[row, best]
    place = on_face.reshape(*near.shape, 3)[row, best]
    weights = triangles.points_to_barycentric(corners[face], place)  # type: ignore[no-untyped-call]
    weights = np.clip(np.where(np.isfinite(weights), weights, 1 / 3), 0.0, 1.0)  # a face without area
    return face, weights / weights.sum(1, keepdims=True)
