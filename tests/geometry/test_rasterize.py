from __future__ import annotations

import numpy as np
import pytest
from shapes import sphere

from lim_cli.core.camera import orbit_pose
from lim_cli.geometry.normals import vertex_normals, weld_by_position
from lim_cli.geometry.rasterize import interpolate, rasterize, rasterize_uv

INTRINSICS = np.array([150.0, 140.0, 66.0, 62.0])
SIZE = (128, 120)


def rays(pose: np.ndarray) -> np.ndarray:
    """Directions [height, width, 3] with camera z of one, world frame."""
    x, y = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    local = np.stack([(x - INTRINSICS[2]) / INTRINSICS[0], (y - INTRINSICS[3]) / INTRINSICS[1], 0 * x + 1], -1)
    return local @ pose[:3, :3].T


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (130, 35), (-60, -70)])
def test_depth_and_silhouette_of_a_sphere(azimuth: float, elevation: float) -> None:
    mesh, pose = sphere(0.7, 5), orbit_pose(azimuth, elevation, 3.0)
    raster = rasterize(mesh.vertices, mesh.faces, pose, INTRINSICS, SIZE)
    direction, origin = rays(pose), pose[:3, 3].astype(np.float64)
    a, b, c = np.sum(direction**2, -1), direction @ origin, origin @ origin - 0.7**2
    inside = b**2 - a * c
    assert np.mean(raster.mask != (inside > 0)) < 0.002
    both = raster.mask & (inside > 0.05)
    truth = (-b - np.sqrt(np.maximum(inside, 0))) / a
    np.testing.assert_allclose(raster.depth[both], truth[both], atol=2e-3)
    assert np.isinf(raster.depth[~raster.mask]).all()


def test_barycentrics_are_perspective_correct() -> None:
    """A steep triangle: interpolated positions must lie on the pixel's own ray."""
    vertices = np.array([[-1, -0.5, 1.5], [1, -0.5, -4], [0, 1, -1]], np.float32)
    pose = orbit_pose(0, 0, 4.0)
    faces = np.array([[0, 1, 2]], np.int32)
    raster = rasterize(vertices, faces, pose, INTRINSICS, SIZE)
    assert raster.mask.sum() > 300
    np.testing.assert_allclose(raster.barycentric[raster.mask].sum(1), 1, atol=1e-6)
    points = interpolate(raster, faces, vertices)[raster.mask]
    expected = pose[:3, 3] + rays(pose)[raster.mask] * raster.depth[raster.mask][:, None]
    np.testing.assert_allclose(points, expected, atol=1e-4)


def test_pixel_centres_at_one_half() -> None:
    uv = np.array([[0.5, 0.5], [3.5, 0.5], [0.5, 3.5]]) / 4
    raster = rasterize_uv(uv, np.array([[0, 1, 2]], np.int32), (4, 4))
    np.testing.assert_array_equal(raster.mask.sum(1), [4, 3, 2, 1])  # first row is at the top
    np.testing.assert_allclose(raster.barycentric[0, 3], [0, 1, 0], atol=1e-6)
    assert (raster.depth[raster.mask] == 1).all()


def test_the_nearer_face_wins_in_any_order() -> None:
    near = np.array([[-1, -1, 1], [1, -1, 1], [0, 1, 1]], np.float32)
    vertices = np.concatenate([near, near - np.float32([0, 0, 1])])
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        raster = rasterize(vertices, np.array(faces, np.int32), orbit_pose(0, 0, 4), INTRINSICS, SIZE)
        assert raster.depth[62, 66] == pytest.approx(3.0, abs=1e-5)


def test_faces_behind_the_camera_and_nan_are_left_out() -> None:
    vertices = np.array([[-1, -1, 9], [1, -1, 9], [0, 1, 0], [np.nan, 0, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 1, 3], [2, 3, 3]], np.int32)
    assert not rasterize(vertices, faces, orbit_pose(0, 0, 4), INTRINSICS, SIZE).mask.any()


def test_shared_edges_leave_no_gap() -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9)))
    index = np.arange(81).reshape(9, 9)
    a, b, c, d = (
        index[:-1, :-1].ravel(),
        index[:-1, 1:].ravel(),
        index[1:, :-1].ravel(),
        index[1:, 1:].ravel(),
    )
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)
    assert rasterize_uv(np.stack([x, y], 1), faces, (100, 100)).mask.all()


def test_split_vertices_share_a_normal() -> None:
    mesh = sphere(1.0, 3)
    split = mesh.vertices[mesh.faces.ravel()]
    faces = np.arange(len(split), dtype=np.int32).reshape(-1, 3)
    normals = vertex_normals(split, faces, weld_by_position(split))
    np.testing.assert_allclose(normals, split, atol=0.02)  # a unit sphere's normal is its position
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
