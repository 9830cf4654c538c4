"""As-rigid-as-possible fitting of a mesh to canonical matches (Sorkine and Alexa 2007; paper's supplement).

    E(v) = sum_i c_i |v_i - t_i|^2
         + stiffness * sum_i sum_{j in N(i)} w_ij |(v_i - v_j) - R_i (r_i - r_j)|^2
         + temporal * sum_i |v_i - p_i|^2

v are the vertices sought, t the matched targets with confidence c, r the rest shape, R_i a rotation per
vertex and p a prediction. Local step: every R_i by SVD (`nearest_rotation`). Global step: one sparse linear
system. Edge weights are scaled to a mean of one per vertex, so `stiffness` means the same on every mesh.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from lim_cli.core.cached_njit import cached_njit
from lim_cli.core.errors import NumericalError
from lim_cli.geometry.nearest_rotation import nearest_rotations

EdgeWeights = Literal["uniform", "cotangent"]
# Keeps the system solvable where no vertex of a piece is matched: it then stays where it was.
_ANCHOR = 1e-4


class ArapSolver:
    """Fits one topology to the targets of one time after another.

    Args:
        rest_vertices: [vertex, 3] the shape whose edges are to be kept, world frame.
        faces: [face, 3].
        edge_weights: `cotangent` follows the surface (negative weights are cut to a small positive one);
            `uniform` follows the triangulation and never degenerates.
    """

    def __init__(self, rest_vertices: np.ndarray, faces: np.ndarray, edge_weights: EdgeWeights = "cotangent") -> None:
        self.faces = faces
        count = len(rest_vertices)
        weights = _edge_weights(rest_vertices.astype(np.float64), faces, edge_weights)  # csr, symmetric
        # the directed edges that leave vertex i are those from begins[i] to begins[i + 1]
        self._begins, self._target = weights.indptr, weights.indices
        source = np.repeat(np.arange(count), np.diff(weights.indptr))
        rest_edges = rest_vertices.astype(np.float64)[source] - rest_vertices[self._target]
        self._weighted_rest = weights.data[:, None] * rest_edges
        degree = np.asarray(weights.sum(axis=1)).ravel()
        self._laplacian = (sparse.diags(degree) - weights).tocsc()
        self._factor: linalg.SuperLU | None = None
        self._factor_key: tuple[bytes, float, float] | None = None

    def fit(
        self,
        previous: np.ndarray,
        targets: np.ndarray,
        confidence: np.ndarray,
        *,
        stiffness: float = 1.0,
        iterations: int = 4,
        prediction: np.ndarray | None = None,
        temporal: float = 0.0,
    ) -> np.ndarray:
        """Vertices [vertex, 3] float32 that minimise the energy, starting from `previous`.

        Args:
            previous: [vertex, 3] at the previous time, world frame; the start; unmatched pieces keep it.
            targets: [vertex, 3], world frame. confidence: [vertex] in [0, 1].
            stiffness: weight of the rigidity; 0.3 follows noise, 10 hardly bends.
            iterations: local-global rounds.
            prediction: [vertex, 3], for instance constant velocity; `previous` when left out.
            temporal: weight of the pull to the prediction.

        Raises:
            NumericalError: targets or confidence are NaN or infinite.
        """
        if targets.shape != previous.shape or confidence.shape != previous.shape[:1]:
            raise ValueError(
                f"expected targets {previous.shape} and confidence {previous.shape[:1]}, got {targets.shape} "
                f"and {confidence.shape}"
            )
        if not (np.isfinite(targets).all() and np.isfinite(confidence).all()):
            raise NumericalError("Tracking received NaN or infinite matches; the canonical model may be damaged.")
        vertices = previous.astype(np.float64)
        anchor = vertices if prediction is None else prediction.astype(np.float64)
        pull = confidence.astype(np.float64)[:, None] * targets + (temporal + _ANCHOR) * anchor
        factor = self._factorise(confidence, stiffness, temporal)
        for _ in range(iterations):
            rotations = self.rotations(vertices)
            vertices = factor.solve(pull + 2.0 * stiffness * self._rotated_edges(rotations))
        return vertices.astype(np.float32)

    def _factorise(self, confidence: np.ndarray, stiffness: float, temporal: float) -> linalg.SuperLU:
        """Factor of diag(c + temporal) + 2 stiffness L, kept while the weights stay the same."""
        key = (confidence.tobytes(), stiffness, temporal)
        if self._factor is None or key != self._factor_key:
            diagonal = sparse.diags(confidence.astype(np.float64) + temporal + _ANCHOR)
            matrix = (diagonal + 2.0 * stiffness * self._laplacian).tocsc()
            options = {"SymmetricMode": True}
            self._factor = linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
            self._factor_key = key
        return self._factor

    def rotations(self, vertices: np.ndarray) -> np.ndarray:
        """Local step: R_i [vertex, 3, 3] that best turns the rest edges of vertex i into those of `vertices`."""
        return np.asarray(nearest_rotations(_covariance(vertices, self._begins, self._target, self._weighted_rest)))

    def _rotated_edges(self, rotations: np.ndarray) -> np.ndarray:
        """Right-hand side [vertex, 3]: sum_j w_ij (R_i + R_j) / 2 (r_i - r_j)."""
        return np.asarray(_rotated(rotations, self._begins, self._target, self._weighted_rest))


@cached_njit()
def _covariance(vertices: np.ndarray, begins: np.ndarray, target: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """[vertex, 3, 3]: the sum of e r^T over a vertex's edges e and their weighted `rest` [edge, 3] r."""
    result = np.zeros((vertices.shape[0], 3, 3))
    for i in range(vertices.shape[0]):
        for edge in range(begins[i], begins[i + 1]):
            j = target[edge]
            for a in range(3):
                along = vertices[i, a] - vertices[j, a]
                for b in range(3):
                    result[i, a, b] += along * rest[edge, b]
    return result


@cached_njit()
def _rotated(rotations: np.ndarray, begins: np.ndarray, target: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """[vertex, 3]: the sum of (R_i + R_j) / 2 r over a vertex's edges' weighted `rest` [edge, 3] r."""
    result = np.zeros((rotations.shape[0], 3))
    for i in range(rotations.shape[0]):
        for edge in range(begins[i], begins[i + 1]):
            j = target[edge]
            for a in range(3):
                for b in range(3):
                    result[i, a] += 0.5 * (rotations[i, a, b] + rotations[j, a, b]) * rest[edge, b]
    return result


def _edge_weights(vertices: np.ndarray, faces: np.ndarray, kind: EdgeWeights) -> sparse.csr_matrix:
    """Symmetric weights [vertex, vertex], mean row sum one."""
    count = len(vertices)
    rows, columns, values = [], [], []
    for corner in range(3):
        at, i, j = faces[:, corner], faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3]
        first, second = vertices[i] - vertices[at], vertices[j] - vertices[at]
        if kind == "cotangent":
            doubled = np.linalg.norm(np.cross(first, second), axis=1)
            value = 0.5 * np.sum(first * second, axis=1) / np.maximum(doubled, 1e-12)
        else:
            value = np.full(len(faces), 0.5)
        rows += [i, j]
        columns += [j, i]
        values += [value, value]
    matrix = sparse.coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(count, count)
    ).tocsr()
    # Needle triangles give cotangents in the thousands, obtuse ones negative: both break the local step.
    matrix.data = np.clip(matrix.data, 0.05, 5.0)
    mean_degree = float(matrix.sum()) / max(count, 1)
    return (matrix / max(mean_degree, 1e-12)).tocsr()
