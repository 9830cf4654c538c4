"""Distances and pictures of traced meshes whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from shapes import sphere

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.evaluation.drawing import draw_coloured
from lim_cli.evaluation.sequences import TracedCase, procedural_sequences
from lim_cli.evaluation.tracking import NEAREST, OURS, STILL, compare_tracking, distances
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.stages.networks import Networks

STEP = np.array([0.2, 0.0, 0.0])


def ball() -> Mesh:
    return sphere(0.5)


def camera(size: int = 64) -> Cameras:
    return orbit_cameras([0], elevation=0, field_of_view=30, distance=4, size=(size, size))


def moving_ball_case(world_from_model: np.ndarray) -> TracedCase:
    """A ball of radius 0.5 (model frame) that moves by STEP twice; truth in the world frame."""
    directions = np.random.default_rng(1).normal(size=(3000, 3))
    points = 0.5 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    model = np.stack([points + k * STEP for k in range(3)])
    tracks = model @ world_from_model[:3, :3].T + world_from_model[:3, 3]
    pictures = np.zeros((3, 1, 64, 64, 4), np.uint8)
    views = ViewsArtifact(pictures, camera(), np.arange(3.0), "posed", world_from_model)
    return TracedCase("balls", "ball", views, tracks, camera(), pictures)


def track_of(step: np.ndarray) -> TrackedMesh:
    mesh = ball()
    vertices = np.stack([mesh.vertices + (k * step).astype(np.float32) for k in range(3)])
    return TrackedMesh(vertices, mesh.faces, np.arange(3.0))


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_distances_are_fractions_of_the_size_whatever_the_units(scale: float) -> None:
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = (1, 2, 3)
    case = moving_ball_case(matrix)
    assert case.size == pytest.approx(1.4 * scale, rel=0.01)  # 1 wide, and it moves by 0.4
    right, still = distances(track_of(STEP), case), distances(track_of(0 * STEP), case)
    spacing = 0.04  # of 3,000 and 4,096 points on the sphere, both directions
    assert all(float(right[name]) < spacing for name in ("cd_3d", "cd_4d", "cd_motion"))
    assert float(still["cd_3d"]) < spacing  # moved back by the alignment
    # offsets 0, 0.2 and 0.4, in both directions, over 1.4
    assert float(still["cd_motion"]) == pytest.approx(2 * 0.2 / 1.4, abs=spacing)
    assert float(right["cd_4d"]) < 0.5 * float(still["cd_4d"])


def test_a_drawn_ball_is_a_disc_of_its_colour() -> None:
    mesh = ball()
    colour = np.broadcast_to(np.array([0.2, 0.6, 1.0], np.float32), mesh.vertices.shape)
    (picture,) = draw_coloured(mesh, colour, camera())
    focal = 32 / np.tan(np.radians(15))
    radius = focal * np.tan(np.arcsin(0.5 / 4))
    rows, columns = np.mgrid[:64, :64] + 0.5
    distance = np.hypot(rows - 32, columns - 32)
    assert (picture[distance < radius - 1.5, 3] == 255).all()
    assert (picture[distance > radius + 1] == 0).all()
    shown = picture[picture[..., 3] > 0]
    assert np.abs(shown[:, :3].astype(int) - [51, 153, 255]).max() <= 1
    assert float(picture[..., 3].sum() / 255) == pytest.approx(np.pi * radius**2, rel=0.01)


def test_table_3_on_the_tiny_release(tiny_weights: Path) -> None:
    torch.manual_seed(0)
    networks = Networks("cpu", weights=tiny_weights)
    found = compare_tracking(networks, procedural_sequences(1, gap=0.1, steps=2))
    (table,) = found.result.values()
    assert list(table) == [OURS, NEAREST, STILL]
    assert {"psnr", "psnr_fg", "flip", "cd_3d", "cd_4d", "cd_motion"} < set(table[OURS])
    assert all(np.isfinite(float(row[name])) for row in table.values() for name in ("psnr", "cd_motion"))
    assert float(table[OURS]["cd_motion"]) != float(table[STILL]["cd_motion"])
    assert len(found.strip) == 3
    refined = compare_tracking(networks, procedural_sequences(1, gap=0.1, steps=2), refine_seconds=0.5)
    (brought_closer,) = refined.result.values()
    assert float(brought_closer[NEAREST]["psnr"]) != float(table[NEAREST]["psnr"])
    assert any("0.5 nominal seconds" in note for note in refined.notes)
