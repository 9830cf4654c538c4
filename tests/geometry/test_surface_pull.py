"""A mesh settles on a surface it has been carried away from: the right limb on the right place."""

from __future__ import annotations

import numpy as np
from bending_bar import LENGTH, bar_mesh, bend
from shapes import rotation, sphere

from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.surface_pull import ColouredSurface, surface_pull
from lim_cli.stages.config import TrackConfig
from lim_cli.stages.tracer import Tracer

GREY = 0.5


def grey(points: np.ndarray) -> np.ndarray:
    return np.full_like(points, GREY)


def surface_of(mesh: Mesh, colours: np.ndarray | None = None) -> ColouredSurface:
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return ColouredSurface(mesh.vertices, normals, grey(mesh.vertices) if colours is None else colours)


def settle(mesh: Mesh, surface: ColouredSurface, paint: np.ndarray | None = None) -> np.ndarray:
    tracer = Tracer(mesh, ArapSolver(mesh.vertices, mesh.faces, "uniform"), TrackConfig(), paint)
    return tracer.fit_surface(mesh.vertices, surface)


def test_a_bar_bends_onto_its_bent_surface() -> None:
    mesh, fine = bar_mesh(33, 4), bar_mesh(129, 8)
    curvature = 0.45  # its ends move by half its width, in one go
    wanted = bend(mesh.vertices, curvature)
    found = settle(mesh, surface_of(Mesh(bend(fine.vertices, curvature), fine.faces)))
    before = np.linalg.norm(wanted - mesh.vertices, axis=1)
    after = np.linalg.norm(wanted - found, axis=1)
    assert before.max() > 0.09 * LENGTH
    assert after.mean() < 0.3 * before.mean()
    assert after.max() < 0.03 * LENGTH


def test_colours_help_where_shape_says_nothing() -> None:
    ball, fine = sphere(0.6, 3), sphere(0.6, 5)
    turn = rotation(15.0)

    def striped(points: np.ndarray) -> np.ndarray:
        return 0.5 + 0.5 * np.sin(points / 0.6 * np.array([3.0, 4.0, 5.0]))

    turned = Mesh((fine.vertices @ turn.T).astype(np.float32), fine.faces)
    wanted = ball.vertices @ turn.T
    missed = np.linalg.norm(wanted - ball.vertices, axis=1).mean()
    plain = np.linalg.norm(settle(ball, surface_of(turned)) - wanted, axis=1).mean()
    painted = settle(ball, surface_of(turned, striped(fine.vertices)), striped(ball.vertices))
    assert plain > 0.9 * missed  # a ball of one colour looks the same however it is turned
    assert np.linalg.norm(painted - wanted, axis=1).mean() < 0.85 * plain


def test_a_surface_that_lies_where_the_mesh_is_moves_nothing() -> None:
    ball = sphere(0.6, 4)
    targets, weight = surface_pull(
        ball.vertices, vertex_normals(ball.vertices, ball.faces), grey(ball.vertices), surface_of(ball)
    )
    np.testing.assert_allclose(targets, ball.vertices, atol=1e-5)
    assert weight.min() == 1


def test_what_is_far_or_faces_away_says_nothing() -> None:
    ball = sphere(0.6, 3)
    normals = vertex_normals(ball.vertices, ball.faces)
    far = ColouredSurface(ball.vertices + np.float32(5), normals, grey(ball.vertices))
    inside_out = ColouredSurface(ball.vertices * np.float32(0.98), -normals, grey(ball.vertices))
    for surface in (far, inside_out):
        targets, weight = surface_pull(ball.vertices, normals, grey(ball.vertices), surface, reach=0.3)
        # the nearest point in place and normal may lie on the other side, beyond reach
        np.testing.assert_array_equal(targets[weight == 0], ball.vertices[weight == 0])
        assert (weight == 0).mean() > 0.95
