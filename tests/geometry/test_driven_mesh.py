from __future__ import annotations

import numpy as np
import pytest
from bending_bar import HALF_WIDTH, LENGTH, bar_mesh, bend, curvature_at
from shapes import rotation, sphere

from lim_cli.geometry.carried_normals import NormalCarrier
from lim_cli.geometry.control_graph import control_graph
from lim_cli.geometry.driven_mesh import drive
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.surface_frames import surface_frames

TIMES = 0.1 * np.arange(8)


def joined(*meshes: Mesh) -> Mesh:
    firsts = np.cumsum([0, *[len(m.vertices) for m in meshes]])
    faces = [m.faces + first for m, first in zip(meshes, firsts[:-1], strict=True)]
    return Mesh(np.concatenate([m.vertices for m in meshes]), np.concatenate(faces).astype(np.int32))


def shifted(mesh: Mesh, *by: float) -> Mesh:
    return Mesh(mesh.vertices + np.asarray(by, np.float32), mesh.faces)


@pytest.mark.parametrize(("rings", "per_side", "most"), [(9, 3, 3000), (61, 6, 3000), (61, 6, 250)])
def test_another_tessellation_follows_the_analytic_motion(rings: int, per_side: int, most: int) -> None:
    fine = bar_mesh(41, 5)
    track = TrackedMesh(np.stack([bend(fine.vertices, curvature_at(t)) for t in TIMES]), fine.faces, TIMES)
    mine = bar_mesh(rings, per_side)
    moved = drive(bend(mine.vertices, curvature_at(TIMES[3])), mine.faces, track, 3, most_nodes=most)
    for time, vertices in zip(TIMES, moved, strict=True):
        truth = bend(mine.vertices, curvature_at(time))
        assert np.linalg.norm(vertices - truth, axis=1).max() < 0.02 * LENGTH


def test_limbs_that_touch_keep_apart() -> None:
    """The model's bars are shifted so far that parts of each are nearer to the other tracked bar."""
    bar, step = bar_mesh(41, 5), 2 * HALF_WIDTH + 0.02
    pair = joined(bar, shifted(bar, step, 0, 0))
    right = np.arange(len(pair.vertices)) >= len(bar.vertices)
    motion = np.where(right[:, None], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]).astype(np.float32)
    track = TrackedMesh(pair.vertices + TIMES[:, None, None].astype(np.float32) * motion, pair.faces, TIMES)
    mine = joined(shifted(bar_mesh(15, 4), 0.03, 0, 0), shifted(bar_mesh(15, 4), step - 0.03, 0, 0))
    moved = drive(mine.vertices, mine.faces, track, 0)
    half = len(mine.vertices) // 2
    assert np.abs(moved[-1, :half] - mine.vertices[:half]).max() < 0.02
    assert np.abs(moved[-1, half:] - mine.vertices[half:] - [0, 0, TIMES[-1]]).max() < 0.02


def test_a_small_part_travels_with_what_it_sits_on() -> None:
    fine, eye = bar_mesh(41, 5), sphere(0.03, 1)
    track = TrackedMesh(np.stack([bend(fine.vertices, curvature_at(t)) for t in TIMES]), fine.faces, TIMES)
    mine = joined(bar_mesh(21, 4), shifted(eye, HALF_WIDTH + 0.04, 0.7, 0))
    moved = drive(mine.vertices, mine.faces, track, 0)
    ball = moved[:, -len(eye.vertices) :]
    truth = np.stack([bend(mine.vertices[-len(eye.vertices) :], curvature_at(t)) for t in TIMES])
    assert np.linalg.norm(ball - truth, axis=2).max() < 0.03 * LENGTH
    radius = np.linalg.norm(ball - ball.mean(axis=1, keepdims=True), axis=2)
    np.testing.assert_allclose(radius, 0.03, rtol=0.1)


@pytest.mark.parametrize("most", [3000, 200])
def test_a_model_of_loose_triangles_holds_together(most: int) -> None:
    fine, mine = bar_mesh(41, 5), bar_mesh(21, 3)
    track = TrackedMesh(np.stack([bend(fine.vertices, curvature_at(t)) for t in TIMES]), fine.faces, TIMES)
    corners = mine.vertices[mine.faces]
    loose = (0.9 * corners + 0.1 * corners.mean(axis=1, keepdims=True)).reshape(-1, 3)
    moved = drive(loose, np.arange(len(loose)).reshape(-1, 3), track, 0, most_nodes=most)
    truth = np.stack([bend(loose, curvature_at(t)) for t in TIMES])
    assert np.linalg.norm(moved - truth, axis=2).max() < 0.03 * LENGTH


def test_frames_of_a_turning_body_are_its_rotation() -> None:
    ball = sphere(0.5, 3)
    turned = np.stack([ball.vertices @ rotation(20 * i).T + [0.1 * i, 0, 0] for i in range(4)])
    frames = surface_frames(turned, ball.faces, 1, 0.1)
    np.testing.assert_allclose(frames.rotations[3], np.broadcast_to(rotation(40), (642, 3, 3)), atol=1e-5)
    everywhere = frames.move(np.zeros(642, int), turned[1])
    np.testing.assert_allclose(everywhere, turned, atol=1e-5)


def test_control_nodes_are_few_and_own_all_vertices() -> None:
    ball, speck = sphere(0.5, 5), shifted(sphere(0.01, 1), 0.53, 0, 0)
    mesh = joined(ball, speck)
    graph = control_graph(mesh.vertices, mesh.faces, most_nodes=500)
    assert 200 < len(graph.positions) <= 500
    assert not graph.is_whole
    away = np.linalg.norm(graph.positions[graph.node_of] - mesh.vertices, axis=1)
    assert away.max() < 0.15
    mine = graph.node_of[-len(speck.vertices) :]
    theirs = graph.node_of[: len(ball.vertices)]
    assert not np.intersect1d(mine, theirs).size  # a part has nodes of its own
    ends = graph.edges()
    assert (np.isin(ends[:, 0], mine) & np.isin(ends[:, 1], theirs)).any()  # and is tied to the rest


def test_normals_and_tangents_are_carried() -> None:
    bar = bar_mesh(81, 6)
    bent = bend(bar.vertices, 1.0)
    normals = vertex_normals(bar.vertices, bar.faces)
    sides = slice(24 * 5, 24 * 70)  # away from the caps
    along = np.broadcast_to([0.0, 1.0, 0.0], normals.shape)
    carried, tangents = NormalCarrier(bar.vertices, bar.faces, normals, along).carry(bent)
    angle = bar.vertices[:, 1].astype(np.float64)  # curvature 1: the arc's angle is its length
    turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    truth = np.concatenate([np.einsum("vab,vb->va", turn, normals[:, :2]), normals[:, 2:]], axis=1)
    np.testing.assert_allclose(np.linalg.norm(carried, axis=1), 1, atol=1e-6)
    assert np.einsum("vc,vc->v", carried, truth)[sides].min() > 0.999
    assert tangents is not None
    np.testing.assert_allclose(tangents[sides][:, :2], turn[sides][:, :, 1], atol=0.03)
