from __future__ import annotations

import numpy as np

from lim_cli.geometry.nearest_rotation import nearest_rotations


def by_svd(matrices: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(matrices)
    u[:, :, 2] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[:, None]
    return u @ vt


def test_agrees_with_svd_for_any_matrix_reflections_included() -> None:
    rng = np.random.default_rng(0)
    matrices = rng.normal(size=(2000, 3, 3)) * 10.0 ** rng.uniform(-6, 3, (2000, 1, 1))
    assert (np.linalg.det(matrices) < 0).sum() > 500
    singular = np.linalg.svd(matrices)[1]
    clear = singular[:, 1] - singular[:, 2] > 1e-3 * singular[:, 0]  # or a reflection has two best answers
    np.testing.assert_allclose(nearest_rotations(matrices)[clear], by_svd(matrices)[clear], atol=1e-6)


def test_flat_straight_and_empty_matrices_still_give_best_rotations() -> None:
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(50, 3, 2)) @ rng.normal(size=(50, 2, 3))
    straight = rng.normal(size=(50, 3, 1)) @ rng.normal(size=(50, 1, 3))
    matrices = np.concatenate([flat, straight, np.zeros((1, 3, 3)), np.diag([2.0, 2.0, 2.0])[None]])
    found = nearest_rotations(matrices)
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.broadcast_to(np.eye(3), found.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(found), 1.0, atol=1e-9)
    trace = np.einsum("nij,nij->n", found, matrices)
    np.testing.assert_allclose(trace, np.linalg.svd(matrices)[1].sum(1), atol=1e-9)
