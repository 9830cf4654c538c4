"""Values known on parts of a surface, drawn smoothly over the rest of it, as a stretched membrane would."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

TENSION = 0.3


def stretched(
    values: np.ndarray,
    certainty: np.ndarray,
    faces: np.ndarray,
    welded: np.ndarray,
    *,
    pull: float,
    towards: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Values [vertex, channel] float64 on the whole surface from those that are known.

    Minimises sum_v c_v |x_v - d_v|^2 + TENSION (sum_edges |x_i - x_j|^2 + pull sum_v |x_v - towards|^2): what is known
    holds, and away from it the values run out over some 1 / sqrt(pull) edges.

    Args:
        values: [vertex, channel] d. certainty: [vertex] c in [0, 1].
        faces: [face, 3]. welded: [vertex] from `normals.weld_by_position`: no seam tears the membrane.
        pull: above 0. towards: what the values run out to, [channel] or one number for all.
    """
    count = int(welded.max()) + 1
    copies = np.maximum(np.bincount(welded, minlength=count), 1)  # of each point, by seams
    held = np.bincount(welded, certainty, minlength=count) / copies
    sums = [np.bincount(welded, certainty * column, minlength=count) / copies for column in values.T]
    corners = welded[faces]
    first, second = corners.ravel(), np.roll(corners, -1, axis=1).ravel()
    links = sparse.coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count)).tocsr()
    links = ((links + links.T) > 0).astype(np.float64)
    links.setdiag(0)
    degree = np.asarray(links.sum(axis=1)).ravel()
    matrix = sparse.diags(held + TENSION * (degree + pull)) - TENSION * links
    wanted = np.stack(sums, axis=1) + TENSION * pull * np.asarray(towards)
    return np.asarray(np.asarray(splu(matrix.tocsc()).solve(wanted))[welded])
