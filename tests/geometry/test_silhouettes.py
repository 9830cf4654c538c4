"""Mattes as constraints, on a ball seen by a known camera."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from lim_cli.core.camera import orbit_cameras
from lim_cli.geometry.rasterize import rasterize
from lim_cli.geometry.silhouettes import Silhouette, outline_pull, room_inside

SIZE = (96, 96)
RADIUS = 0.5


def ball(radius: float = RADIUS) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32)


def silhouettes(shift: float = 0.0) -> list[Silhouette]:
    """Mattes of the ball, moved along +x, from the front and from the side."""
    cameras = orbit_cameras([0.0, 90.0], elevation=0.0, field_of_view=40.0, distance=3.0, size=SIZE)
    vertices, faces = ball()
    found = []
    for view in range(2):
        pose, intrinsics = cameras.world_from_camera[view].numpy(), cameras.intrinsics[view].numpy()
        matte = rasterize(vertices + np.array([shift, 0, 0], np.float32), faces, pose, intrinsics, SIZE).mask
        found.append(Silhouette.of(matte, pose, intrinsics))
    return found


def test_room_is_positive_inside_the_hull_and_negative_outside() -> None:
    points = np.array([[0, 0, 0], [0.4, 0, 0], [0.62, 0, 0], [0, 0.62, 0], [5, 5, 5]], np.float32)
    room = room_inside(silhouettes(), points)
    assert (room[:2] > 0).all()
    assert (room[2:] < 0).all()
    assert room[0] > room[1]


def test_signed_distance_counts_pixels_to_the_outline() -> None:
    front = silhouettes()[0]
    focal = float(front.intrinsics[0])
    edge = focal * RADIUS / np.sqrt(9 - RADIUS**2)  # a ball's outline is a cone that touches it
    assert front.signed_distance(np.zeros((1, 3), np.float32))[0] == pytest.approx(
        edge, abs=1.5
    )  # inscribed polygon, pixel steps


def test_pull_moves_a_ball_towards_a_shifted_matte_and_improves_the_overlap() -> None:
    vertices, faces = ball()
    wanted = silhouettes(shift=0.15)[:1]
    targets, weight = outline_pull(vertices, faces, wanted)
    assert weight.max() == 1
    assert (targets - vertices)[weight > 0, 0].mean() > 0.02
    assert np.abs((targets - vertices)[weight > 0, 2]).max() < 1e-5  # parallel to the picture plane
    assert (targets[weight == 0] == vertices[weight == 0]).all()


def test_pull_leaves_a_fitting_ball_alone() -> None:
    vertices, faces = ball()
    targets, _ = outline_pull(vertices, faces, silhouettes())
    assert np.abs(targets - vertices).max() < 0.03  # a pixel is 0.023 wide here


def test_an_empty_matte_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Silhouette.of(np.zeros(SIZE, bool), np.eye(4), np.ones(4))


def test_several_threads_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = ball()
    points = np.random.default_rng(0).uniform(-1, 1, (70_000, 3)).astype(np.float32)  # more than one part
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append([*outline_pull(vertices, faces, silhouettes(0.1)), room_inside(silhouettes(), points)])
    assert all(np.array_equal(one, several) for one, several in zip(*found, strict=True))
