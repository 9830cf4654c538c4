"""How the neighbourhood of each vertex of a moving mesh turns and travels, as rigid frames.

A tracked surface is noisy from vertex to vertex; what its surroundings do together is not. For vertex j with weights w
over the vertices k near it along the surface, c_j = sum_k w_k x_k and R_j is the rotation that best turns
x_k(base) - c_j(base) into x_k(time) - c_j(time) (Kabsch 1976).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

MOST_ROUNDS = 40


@dataclass(frozen=True)
class SurfaceFrames:
    """rotations [time, vertex, 3, 3] from the base time to each time; centres [time, vertex, 3]. World frame, float64.

    base: index of the time at which every rotation is the identity.
    """

    rotations: np.ndarray
    centres: np.ndarray
    base: int

    def move(self, frame: np.ndarray, points: np.ndarray, times: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Points [N, 3] of the base time carried by the frames numbered `frame` [N]: [time, N, 3]."""
        rotations, centres = self.rotations[times][:, frame], self.centres[times][:, frame]
        offset = points - self.centres[self.base, frame]
        return np.asarray(np.einsum("tnab,nb->tna", rotations, offset) + centres)


def surface_frames(vertices: np.ndarray, faces: np.ndarray, base: int, radius: float) -> SurfaceFrames:
    """Frames of vertices [time, vertex, 3] with faces [face, 3].

    base: index of the time that is at rest. radius: of the neighbourhood, along the surface, world units; 0 takes the
    vertices one edge away.
    """
    points = vertices.astype(np.float64)
    rest = points[base]
    average = _averaging(len(rest), faces)
    edges = np.concatenate([rest[faces[:, i]] - rest[faces[:, i - 1]] for i in range(3)])
    edge = float(np.sqrt(np.mean(np.sum(edges**2, axis=1)))) if len(edges) else 1.0
    # A walk of n steps spreads over sqrt(n) edges.
    rounds = int(np.clip(np.ceil((radius / max(edge, 1e-12)) ** 2), 1, MOST_ROUNDS))
    rest_centre = _repeated(average, rest, rounds)
    rotations, centres = np.empty((*points.shape, 3)), np.empty(points.shape)
    for time, moved in enumerate(points):
        products = (moved[:, :, None] * rest[:, None, :]).reshape(-1, 9)
        means = _repeated(average, np.concatenate([products, moved], axis=1), rounds)
        centres[time] = means[:, 9:]
        covariance = means[:, :9].reshape(-1, 3, 3) - centres[time][:, :, None] * rest_centre[:, None, :]
        rotations[time] = best_rotations(covariance)
    rotations[base] = np.eye(3)
    return SurfaceFrames(rotations, centres, base)


def best_rotations(covariance: np.ndarray) -> np.ndarray:
    """The proper rotations R [N, 3, 3] with the largest trace of R^T C, for covariances C = sum moved rest^T."""
    u, _, vt = np.linalg.svd(covariance)
    u[..., 2] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[..., None]
    return np.asarray(u @ vt)


def _averaging(count: int, faces: np.ndarray) -> sparse.csr_matrix:
    """Row-stochastic matrix: each vertex with its neighbours, all alike."""
    rows = np.concatenate([faces[:, i] for i in (0, 1, 2, 1, 2, 0)] + [np.arange(count)])
    columns = np.concatenate([faces[:, i] for i in (1, 2, 0, 0, 1, 2)] + [np.arange(count)])
    matrix = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    matrix.data[:] = 1.0
    return (sparse.diags(1.0 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix).tocsr()


def _repeated(average: sparse.csr_matrix, values: np.ndarray, rounds: int) -> np.ndarray:
    for _ in range(rounds):
        values = average @ values
    return values
