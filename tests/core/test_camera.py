from __future__ import annotations

import numpy as np
import pytest
import torch

from lim_cli.core.camera import Cameras, orbit_cameras, orbit_pose
from lim_cli.core.rays import camera_rays, intersect_box, pixel_grid, plucker_rays, rays_through


def cameras() -> Cameras:
    return orbit_cameras([0.0, 90.0, 200.0], elevation=15.0, field_of_view=40.0, distance=3.0, size=(24, 32))


@pytest.mark.parametrize(
    ("azimuth", "elevation", "position"),
    [(0, 0, [0, 0, 2]), (90, 0, [2, 0, 0]), (180, 0, [0, 0, -2]), (0, 30, [0, 1, 3**0.5])],
)
def test_orbit_azimuth_zero_is_plus_z_and_ninety_is_plus_x(
    azimuth: float, elevation: float, position: list[float]
) -> None:
    pose = orbit_pose(azimuth, elevation, 2.0)
    np.testing.assert_allclose(pose[:3, 3], position, atol=1e-6)
    np.testing.assert_allclose(pose[:3, 2], -np.asarray(position) / 2, atol=1e-6)  # looks at the origin


def test_orbit_poses_are_proper_rotations_with_image_y_down() -> None:
    poses = cameras().world_from_camera
    rotations = poses[:, :3, :3]
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand(3, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(3), atol=1e-5, rtol=0)
    assert (poses[:, 1, 1] < 0).all()


def test_world_y_is_up_in_the_image_and_plus_x_is_right_from_the_front() -> None:
    camera = orbit_cameras([0.0], elevation=0.0, field_of_view=40.0, distance=3.0, size=(24, 32))
    pixels, depth = camera.project(torch.tensor([[[0.0, 0, 0], [0, 0.5, 0], [0.5, 0, 0]]]))
    torch.testing.assert_close(pixels[0, 0], torch.tensor([16.0, 12.0]))
    assert pixels[0, 1, 1] < 12
    assert pixels[0, 2, 0] > 16
    torch.testing.assert_close(depth, torch.full((1, 3), 3.0))


def test_field_of_view_spans_the_width() -> None:
    camera = orbit_cameras([0.0], elevation=0.0, field_of_view=40.0, distance=3.0, size=(24, 32))
    edge = 3.0 * np.tan(np.radians(20.0))
    pixels, _ = camera.project(torch.tensor([[[edge, 0.0, 0.0]]], dtype=torch.float32))
    assert float(pixels[0, 0, 0]) == pytest.approx(32.0, abs=1e-4)


def test_project_inverts_rays() -> None:
    batch = cameras()
    pixels = (torch.rand(3, 50, 2, generator=torch.Generator().manual_seed(0))) * torch.tensor([32.0, 24.0])
    origins, directions = rays_through(pixels, batch.world_from_camera, batch.intrinsics)
    again, depth = batch.project(origins + 2.5 * directions)
    torch.testing.assert_close(again, pixels, atol=1e-3, rtol=0)
    forward = batch.world_from_camera[:, None, :3, 2]
    torch.testing.assert_close(depth, 2.5 * (directions * forward).sum(-1), atol=1e-5, rtol=0)


def test_resized_cameras_see_the_same_rays() -> None:
    batch = cameras()
    half = batch.resized((12, 16))
    points = torch.rand(3, 9, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    torch.testing.assert_close(half.project(points)[0] * 2, batch.project(points)[0])


def test_pixel_centres_are_at_one_half() -> None:
    grid = pixel_grid((2, 3))
    assert grid[0, 0].tolist() == [0.5, 0.5]
    assert grid[1, 2].tolist() == [2.5, 1.5]


def test_plucker_rays_are_orthogonal_unit_and_independent_of_the_origin_along_the_ray() -> None:
    batch = cameras()
    rays = plucker_rays(batch)
    assert rays.shape == (3, 6, 24, 32)
    moment, direction = rays[:, :3], rays[:, 3:]
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(3, 24, 32))
    torch.testing.assert_close((moment * direction).sum(1), torch.zeros(3, 24, 32), atol=1e-5, rtol=0)
    origins, directions = camera_rays(batch)
    shifted = torch.linalg.cross(origins + 1.7 * directions, directions).movedim(-1, 1)
    torch.testing.assert_close(shifted, moment, atol=1e-5, rtol=0)


def test_intersect_box_is_exact_along_an_axis_and_a_diagonal() -> None:
    diagonal = torch.ones(3) / 3**0.5
    origins = torch.stack([torch.tensor([0.0, 0.0, 3.0]), -2 * torch.ones(3), torch.zeros(3)])
    directions = torch.stack([torch.tensor([0.0, 0.0, -1.0]), diagonal, diagonal])
    near, far = intersect_box(origins, directions)
    torch.testing.assert_close(near, torch.tensor([2.0, 3**0.5, 0.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(far, torch.tensor([4.0, 3 * 3**0.5, 3**0.5]), atol=1e-5, rtol=0)


def test_intersect_box_gives_missing_rays_no_length() -> None:
    origins = torch.tensor([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0]])
    directions = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    near, far = intersect_box(origins, directions)
    torch.testing.assert_close(near, far)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="world_from_camera"):
        Cameras(torch.eye(3), torch.zeros(4), (2, 2))
