"""A coarse mesh that is moved in a fine one's place carries it there."""

from __future__ import annotations

import numpy as np
import pytest
from bending_bar import LENGTH, bar_mesh, bend
from shapes import rotation, sphere

from lim_cli.geometry.control_mesh import ControlMesh
from lim_cli.geometry.face_quality import FaceState
from lim_cli.geometry.face_repair import bad_faces
from lim_cli.geometry.mesh import Mesh


def test_rigid_motion_is_carried_exactly() -> None:
    fine = sphere(0.7, 4)
    control = ControlMesh.of(fine, 200)
    assert 200 <= len(control.rest.vertices) < 260
    turn, shift = rotation(70.0), np.array([0.3, -0.2, 0.5])
    moved = control.carry(control.rest.vertices @ turn.T + shift)
    np.testing.assert_allclose(moved, fine.vertices @ turn.T + shift, atol=1e-6)
    np.testing.assert_allclose(control.carry(control.rest.vertices), fine.vertices, atol=1e-6)


@pytest.mark.parametrize("curvature", [0.5, 1.0])
def test_bending_is_carried_smoothly(curvature: float) -> None:
    fine = bar_mesh(129, 8)
    control = ControlMesh.of(fine, 300)
    moved = control.carry(bend(control.rest.vertices, curvature))
    assert np.linalg.norm(moved - bend(fine.vertices, curvature), axis=1).max() < 0.01 * LENGTH
    assert not bad_faces(FaceState.of(fine.vertices, fine.faces), FaceState.of(moved, fine.faces)).any()


def test_the_two_sides_of_a_thin_plate_stay_apart() -> None:
    ball = sphere(1.0, 4)
    plate = Mesh(ball.vertices * np.array([1.0, 1.0, 0.02], np.float32), ball.faces)
    control = ControlMesh.of(plate, 150)
    facing = control.rest.vertices[control.corners].mean(1)[:, 2]
    flat = np.abs(plate.vertices[:, 2]) > 0.01
    assert np.mean(np.sign(facing[flat]) == np.sign(plate.vertices[flat, 2])) > 0.99


def test_values_are_spread_between_coarse_vertices() -> None:
    fine = sphere(1.0, 3)
    control = ControlMesh.of(fine, 100)
    spread = control.spread(control.rest.vertices[:, 1])
    np.testing.assert_allclose(spread, fine.vertices[:, 1], atol=0.1)
    np.testing.assert_allclose(control.weights.sum(1), 1.0)


def test_a_mesh_that_is_coarse_already_is_its_own_control() -> None:
    fine = sphere(1.0, 2)
    control = ControlMesh.of(fine, 10_000)
    moved = fine.vertices * np.array([1.1, 0.9, 1.0], np.float32)
    np.testing.assert_allclose(control.carry(moved), moved, atol=1e-6)
