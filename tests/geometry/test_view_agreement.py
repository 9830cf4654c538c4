"""Views of one ball agree; views that cannot be of one object do not, by as much as geometry says."""

from __future__ import annotations

import numpy as np
import pytest
from shapes import sphere

from lim_cli.core.camera import orbit_cameras
from lim_cli.geometry.rasterize import rasterize
from lim_cli.geometry.view_agreement import view_agreement

SIZE = 96
COLOUR = (200, 120, 40)


@pytest.fixture
def ball() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four views of a ball of radius 0.7 in one colour, their poses and intrinsics."""
    cameras = orbit_cameras([0, 90, 180, 270], elevation=0, field_of_view=40, distance=3, size=(SIZE, SIZE))
    poses, intrinsics = cameras.world_from_camera.numpy(), cameras.intrinsics.numpy()
    mesh = sphere(0.7)
    rgba = np.zeros((4, SIZE, SIZE, 4), np.uint8)
    for view in range(4):
        mask = rasterize(mesh.vertices, mesh.faces, poses[view], intrinsics[view], (SIZE, SIZE)).mask
        rgba[view, mask] = (*COLOUR, 255)
    return rgba, poses, intrinsics


def test_views_of_one_object_agree(ball: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    found = view_agreement(*ball)
    assert found.mask.min() > 0.98
    np.testing.assert_allclose(found.colour, 1, atol=1e-3)


def test_half_a_matte_leaves_half_the_hull(ball: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rgba, poses, intrinsics = ball
    rgba[1, SIZE // 2 :] = 0  # from the right only the upper half is there
    found = view_agreement(rgba, poses, intrinsics)
    assert found.mask[1] > 0.97
    # in perspective, points just below the middle row of one view lie above that of another
    np.testing.assert_allclose(found.mask[[0, 2, 3]], 0.5, atol=0.08)


def test_an_empty_view_leaves_no_hull_and_nothing_to_compare(ball: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rgba, poses, intrinsics = ball
    rgba[2] = 0
    found = view_agreement(rgba, poses, intrinsics)
    np.testing.assert_array_equal(found.mask, [0, 0, 1, 0])
    assert np.isnan(found.colour).all()


def test_another_colour_counts_by_its_difference(ball: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rgba, poses, intrinsics = ball
    rgba[1, ..., :3] = np.where(rgba[1, ..., 3:] > 0, np.array([100, 20, 140]), 0)  # 100 of 255 in every channel
    found = view_agreement(rgba, poses, intrinsics)
    np.testing.assert_allclose(found.colour[1], 1 - 100 / 255, atol=1e-3)  # both neighbours differ
    np.testing.assert_allclose(found.colour[3], 1, atol=1e-3)  # its neighbours are like it
    assert 1 - 100 / 255 < found.colour[0] < 1  # one of its neighbours differs
    assert found.mask.min() > 0.98
