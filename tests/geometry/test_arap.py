from __future__ import annotations

import numpy as np
import pytest
from bending_bar import bar_mesh, bend
from shapes import rotation, sphere

from lim_cli.core.errors import NumericalError
from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.face_quality import FaceState
from lim_cli.geometry.mesh import Mesh


def rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum(error**2, axis=1))))


@pytest.mark.parametrize("edge_weights", ["uniform", "cotangent"])
def test_a_rigid_motion_costs_nothing(edge_weights: str) -> None:
    mesh = sphere(1.0, 3)
    truth = (mesh.vertices @ rotation(50, (1, 2, 3)).T + [0.1, 0.2, 0.3]).astype(np.float32)
    solver = ArapSolver(mesh.vertices, mesh.faces, edge_weights)  # type: ignore[arg-type]
    confidence = np.ones(len(truth), np.float32)
    fitted = solver.fit(mesh.vertices, truth, confidence, stiffness=5.0, iterations=20)
    assert rms(fitted - truth) < 1e-3


def test_noise_goes_and_the_bend_stays() -> None:
    mesh = bar_mesh(rings=33, per_side=5)
    truth = bend(mesh.vertices, 0.8)
    noisy = truth + np.random.default_rng(0).normal(size=truth.shape).astype(np.float32) * 0.03
    solver = ArapSolver(mesh.vertices, mesh.faces)
    fitted = solver.fit(mesh.vertices, noisy, np.ones(len(truth)), stiffness=3.0)
    assert rms(fitted - truth) < 0.4 * rms(noisy - truth)
    assert not flipped(mesh, fitted).any()
    assert flipped(mesh, noisy).any()


def test_unmatched_vertices_follow_their_neighbours() -> None:
    mesh = sphere(1.0, 3)
    shift = np.array([0.3, 0.0, 0.1], np.float32)
    targets = mesh.vertices + shift
    confidence = (mesh.vertices[:, 1] < 0.5).astype(np.float32)
    targets[confidence == 0] = 99.0
    fitted = ArapSolver(mesh.vertices, mesh.faces).fit(mesh.vertices, targets, confidence, iterations=10)
    assert np.abs(fitted - mesh.vertices - shift).max() < 0.01


def test_a_piece_nobody_matched_stays() -> None:
    mesh = sphere(1.0, 2)
    nobody = np.zeros(len(mesh.vertices))
    fitted = ArapSolver(mesh.vertices, mesh.faces).fit(mesh.vertices, mesh.vertices + 5, nobody)
    np.testing.assert_allclose(fitted, mesh.vertices, atol=1e-4)


def test_the_prediction_pulls() -> None:
    mesh = sphere(1.0, 2)
    prediction = mesh.vertices + np.float32(0.2)
    solver = ArapSolver(mesh.vertices, mesh.faces)
    half = solver.fit(mesh.vertices, mesh.vertices, np.ones(len(prediction)), prediction=prediction, temporal=1.0)
    np.testing.assert_allclose(half, mesh.vertices + 0.1, atol=1e-3)


def test_nan_and_shapes() -> None:
    mesh = sphere(1.0, 1)
    solver = ArapSolver(mesh.vertices, mesh.faces)
    with pytest.raises(NumericalError, match="NaN"):
        solver.fit(mesh.vertices, mesh.vertices * np.nan, np.ones(len(mesh.vertices)))
    with pytest.raises(ValueError, match="expected targets"):
        solver.fit(mesh.vertices, mesh.vertices[:-1], np.ones(len(mesh.vertices)))


def flipped(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    return FaceState.of(vertices, mesh.faces).flipped_since(FaceState.of(mesh.vertices, mesh.faces))


def test_flips_are_seen_and_rigid_motion_is_not_one() -> None:
    mesh = sphere(1.0, 3)
    turned = (mesh.vertices @ rotation(170).T).astype(np.float32)
    assert not flipped(mesh, turned).any()
    folded = mesh.vertices.copy()
    a, b, c = mesh.faces[100]
    folded[a] = 2.5 * (folded[b] + folded[c]) / 2 - 1.5 * folded[a]
    found = flipped(mesh, folded)
    assert found[100]
    assert 1 <= found.sum() < 10


def test_face_quality() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [0.5, np.sqrt(3) / 2, 0], [2, 0, 0]], np.float32)
    quality = FaceState.of(points, np.array([[0, 1, 2], [0, 1, 3]])).quality
    np.testing.assert_allclose(quality, [1, 0], atol=1e-6)
