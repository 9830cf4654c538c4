from __future__ import annotations

import numpy as np
import pytest
from moving_shapes import AMBIENT, as_object, ball, plain_look, rays_towards

from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.procedural.skeleton import Skeleton


def sdf(shape: ProceduralObject, points: np.ndarray) -> np.ndarray:
    return shape.pose(0.0).sdf(points)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (500, 3)).astype(np.float32)


def test_ball_distance(points: np.ndarray) -> None:
    expected = np.linalg.norm(points - [0.1, -0.05, 0.2], axis=1) - 0.6
    np.testing.assert_allclose(sdf(ball(), points), expected, atol=2e-6)


def test_rounded_box_distance(points: np.ndarray) -> None:
    skeleton = Skeleton()
    skeleton.box(0, (0, 0, 0), (0.5, 0.3, 0.2), plain_look(), rounding=0.1)
    q = np.abs(points) - [0.4, 0.2, 0.1]
    expected = np.linalg.norm(np.maximum(q, 0), axis=1) + np.minimum(q.max(1), 0) - 0.1
    np.testing.assert_allclose(sdf(as_object(skeleton), points), expected, atol=2e-6)


def test_cylinder_distance_along_any_axis(points: np.ndarray) -> None:
    skeleton = Skeleton()
    skeleton.cylinder(0, (0, 0, 0), (1.0, 0.0, 0.0), 0.4, 0.6, plain_look())
    q = np.stack([np.linalg.norm(points[:, 1:], axis=1) - 0.4, np.abs(points[:, 0]) - 0.6], 1)
    expected = np.linalg.norm(np.maximum(q, 0), axis=1) + np.minimum(q.max(1), 0)
    np.testing.assert_allclose(sdf(as_object(skeleton), points), expected, atol=2e-6)


def test_round_cone_is_the_hull_of_its_two_balls(points: np.ndarray) -> None:
    skeleton = Skeleton()
    skeleton.cone(0, (0, -0.4, 0), (0, 0.5, 0), 0.35, 0.15, plain_look())
    along = np.linspace(0, 1, 4001)[None]
    heights, radii = -0.4 + 0.9 * along, 0.35 - 0.2 * along
    radial = np.linalg.norm(points[:, ::2], axis=1)[:, None]
    expected = (np.hypot(radial, points[:, 1:2] - heights) - radii).min(1)
    np.testing.assert_allclose(sdf(as_object(skeleton), points), expected, atol=1e-5)


def test_ellipsoid_distance_has_the_right_sign_and_never_overshoots(points: np.ndarray) -> None:
    skeleton = Skeleton()
    skeleton.ball(0, (0, 0, 0), (0.8, 0.5, 0.3), plain_look())
    found = sdf(as_object(skeleton), points)
    level = np.linalg.norm(points / [0.8, 0.5, 0.3], axis=1) - 1
    assert (np.sign(found) == np.sign(level))[np.abs(level) > 1e-4].all()
    directions = np.random.default_rng(1).normal(size=(20000, 3))
    surface = directions / np.linalg.norm(directions / [0.8, 0.5, 0.3], axis=1, keepdims=True)
    outside = points[level > 0][:60]
    true = np.linalg.norm(outside[:, None] - surface[None], axis=2).min(1)
    assert (found[level > 0][:60] <= true + 1e-3).all()


@pytest.mark.parametrize("blend", [0.0, 0.1])
def test_smooth_blend_of_two_balls(blend: float, points: np.ndarray) -> None:
    skeleton = Skeleton()
    centres = np.array([[-0.3, 0, 0], [0.3, 0, 0]])
    for centre in centres:
        skeleton.ball(0, centre, (0.25, 0.25, 0.25), plain_look())
    union = as_object(skeleton, blend=blend)
    each = np.linalg.norm(points[:, None] - centres, axis=2) - 0.25
    found = sdf(union, points)
    assert (found <= each.min(1) + 2e-6).all()
    apart = np.abs(each[:, 0] - each[:, 1]) >= blend
    np.testing.assert_allclose(found[apart], each.min(1)[apart], atol=2e-6)
    middle = np.array([[0.0, 0.2, 0.1]], np.float32)
    expected = np.linalg.norm([0.3, 0.2, 0.1]) - 0.25 - blend / 4
    np.testing.assert_allclose(sdf(union, middle), expected, atol=2e-6)


def test_rays_meet_a_ball_where_they_should() -> None:
    pose, centre, radius = ball().pose(0.0), np.array([0.1, -0.05, 0.2]), 0.6
    origins, directions = rays_towards(np.random.default_rng(0), 1000, 0.5)
    hits = pose.cast(origins, directions, AMBIENT, pose)
    offset = centre - origins
    along = (offset * directions).sum(1)
    gap = radius**2 - ((offset**2).sum(1) - along**2)
    length = along - np.sqrt(np.maximum(gap, 0))
    sure = np.abs(gap) > 0.02
    np.testing.assert_array_equal(hits.mask[sure], (gap > 0)[sure].astype(np.float32))
    met = sure & (gap > 0)
    where = origins + directions * length[:, None]
    np.testing.assert_allclose(hits.ray_length[met], length[met], atol=2e-2)  # grazing rays stop 2e-3 short
    np.testing.assert_allclose(np.median(np.abs(hits.ray_length - length)[met]), 0, atol=2.5e-3)
    np.testing.assert_allclose(hits.normal[met], ((where - centre) / radius)[met], atol=3e-2)
    np.testing.assert_allclose(
        hits.canonical_xyz[met], (origins + directions * hits.ray_length[:, None])[met], atol=1e-5
    )
    assert (hits.ray_length[hits.mask == 0] == 0).all()
    assert (hits.rgb[hits.mask == 0] == 0).all()


def test_ambient_light_shows_the_albedo_brighter_from_above() -> None:
    pose = ball(0.6, (0, 0, 0)).pose(0.0)
    origins = np.array([[0, 3, 0], [0, -3, 0]], np.float32)
    hits = pose.cast(origins, -origins / 3, AMBIENT, pose)
    np.testing.assert_allclose(hits.rgb, [[1.0, 0.5, 0.25], [0.6, 0.3, 0.15]], atol=1e-3)
