from __future__ import annotations

import numpy as np
import pytest
from moving_shapes import AMBIENT, ball, turning_ellipsoid

from lim_cli.core.camera import orbit_pose
from lim_cli.data.procedural.body_plans import PLAN_CHANCES, PLANS, Plan
from lim_cli.data.procedural.procedural_object import ProceduralObject, ProceduralPose
from lim_cli.data.procedural.skeleton import Skeleton, Wave, rotation


def turn_about_y(angle: float) -> np.ndarray:
    return rotation(np.array([0.0, 1.0, 0.0]), np.array(angle))


def view(pose: ProceduralPose, size: int, reference: ProceduralPose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    camera = orbit_pose(30, 20, 3.0).astype(np.float32)
    intrinsics = np.array([1.2 * size, 1.2 * size, size / 2, size / 2], np.float32)
    return pose.render(camera, intrinsics, (size, size), AMBIENT, reference)


@pytest.mark.parametrize("size", [48, 67])
def test_a_ball_covers_its_projected_area_at_its_depth(size: int) -> None:
    pose = ball(0.6, (0, 0, 0)).pose(0.0)
    rgba, depth, canonical = view(pose, size, pose)
    area = np.pi * (1.2 * size) ** 2 * 0.6**2 / (3.0**2 - 0.6**2)
    assert rgba[..., 3].sum() == pytest.approx(area, rel=0.015)
    assert set(np.unique(rgba[..., 3])) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert depth[size // 2, size // 2] == pytest.approx(2.4, abs=5e-3)
    np.testing.assert_allclose(np.linalg.norm(canonical[rgba[..., 3] == 1], axis=-1), 0.6, atol=5e-3)
    assert (canonical[rgba[..., 3] == 0] == 0).all()


def test_rendering_does_not_depend_on_tiles() -> None:
    """What 8x8 packets with lists of parts see is what single rays see."""
    placed = ProceduralObject.draw(np.random.default_rng(5)).normalised(np.array([0.3]), 0.9)
    pose = placed.pose(0.3)
    _, depth, canonical = view(pose, 32, pose)
    camera = orbit_pose(30, 20, 3.0)
    ys, xs = np.mgrid[0:32, 0:32] + 0.5
    local = np.stack([(xs - 16) / 38.4, (ys - 16) / 38.4, np.ones((32, 32))], -1).reshape(-1, 3)
    scale = np.linalg.norm(local, axis=1)
    directions = (local / scale[:, None]) @ camera[:3, :3].T
    hits = pose.cast(np.tile(camera[:3, 3], (1024, 1)), directions, AMBIENT, pose)
    same = (hits.ray_length > 0) == (depth.ravel() > 0)
    assert same.mean() > 0.995
    both = same & (hits.mask > 0)
    np.testing.assert_allclose((hits.ray_length / scale)[both], depth.ravel()[both], atol=1e-2)
    assert np.median(np.abs(hits.canonical_xyz[both] - canonical.reshape(-1, 3)[both])) < 1e-4


def test_canonical_coordinates_follow_a_turning_bone() -> None:
    turning = turning_ellipsoid(turns=0.25)
    later, reference = turning.pose(0.8), turning.pose(0.1)
    origins = np.array([[0, 0, 3.0], [2.0, 2.0, 0.1], [-3.0, 0.1, 0.2]], np.float32)
    directions = -origins / np.linalg.norm(origins, axis=1, keepdims=True)
    hits = later.cast(origins, directions, AMBIENT, reference)
    assert hits.mask.all()
    where = origins + directions * hits.ray_length[:, None]
    back = turn_about_y(2 * np.pi * 0.25 * (0.1 - 0.8))
    np.testing.assert_allclose(hits.canonical_xyz, where @ back.T, atol=1e-5)


def test_tracks_follow_a_turning_bone() -> None:
    phases = np.array([0.2, 0.5, 0.9])
    tracks = turning_ellipsoid(turns=0.25).track(np.random.default_rng(0), 50, phases)
    for n, phase in enumerate(phases):
        turn = turn_about_y(2 * np.pi * 0.25 * (phase - 0.2))
        np.testing.assert_allclose(tracks[n], tracks[0] @ turn.T, atol=1e-5)


def test_volume_samples_carry_the_truth() -> None:
    pose, centre = ball().pose(0.0), np.array([0.1, -0.05, 0.2])
    volume = pose.sample_volume(np.random.default_rng(0), 600, 200, AMBIENT, pose)
    assert volume.points.shape == (600, 3)
    assert np.abs(volume.points).max() <= 1
    np.testing.assert_allclose(volume.sdf, np.linalg.norm(volume.points - centre, axis=1) - 0.6, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(volume.surface_points - centre, axis=1), 0.6, atol=4e-3)
    np.testing.assert_allclose(volume.surface_canonical, volume.surface_points, atol=1e-5)
    assert (np.abs(volume.sdf) < 0.1).mean() > 0.5


def test_a_pose_of_another_kind_is_refused() -> None:
    pose = ball().pose(0.0)
    with pytest.raises(TypeError, match="expected a pose of the same procedural object"):
        pose.cast(np.zeros((1, 3)), np.ones((1, 3)), AMBIENT, object())  # type: ignore[arg-type]


def test_waves_and_chained_bones() -> None:
    skeleton = Skeleton()
    wave = Wave(np.pi / 2, 1.0, 0.25)
    first = skeleton.bone(0, (0, 0, 0), swings=[((0.0, 0.0, 1.0), wave)])
    second = skeleton.bone(first, (1.0, 0, 0), shifts=[((0.0, 1.0, 0.0), Wave(0.0, bias=0.5))])
    skeleton.ball(second, (0, 0, 0), (0.1, 0.1, 0.1), np.zeros(14, np.float32))
    assert wave.at(np.array([0.0, 0.5])) == pytest.approx([np.pi / 2, -np.pi / 2])
    frames = skeleton.part_frames(np.array([0.0, 0.5]))
    np.testing.assert_allclose(frames[:, 0, :3, 3], [[-0.5, 1.0, 0], [0.5, -1.0, 0]], atol=1e-12)


@pytest.mark.parametrize("name", list(PLANS))
def test_every_plan_builds_moves_and_fits_the_ball(name: str) -> None:
    phases = np.linspace(0, 1, 5)
    for seed in range(3):
        skeleton = PLANS[name](Plan(np.random.default_rng(seed)))
        thing = ProceduralObject(skeleton, skeleton.shapes(), skeleton.looks(), 0.03, True, np.eye(4), name)
        placed = thing.normalised(phases, 0.9)
        frames = placed.frames(phases)
        assert np.isfinite(frames).all()
        assert np.abs(frames - frames[:1]).max() > 1e-3
        assert (np.linalg.det(frames[..., :3, :3]) > 0).all()
        for pose in placed.poses(phases[::2]):
            surface = pose.surface_points(np.random.default_rng(0), 200)
            assert len(surface) > 20
            assert np.linalg.norm(surface, axis=1).max() < 1.0


def test_chances_name_every_plan_and_sum_to_one() -> None:
    assert list(PLAN_CHANCES) == list(PLANS)
    assert sum(PLAN_CHANCES.values()) == pytest.approx(1.0)


def test_a_seed_decides_an_object() -> None:
    one, two, other = (ProceduralObject.draw(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.plan == two.plan
    np.testing.assert_array_equal(one.looks, two.looks)
    np.testing.assert_array_equal(one.frames(np.array([0.2, 0.7])), two.frames(np.array([0.2, 0.7])))
    assert one.looks.shape != other.looks.shape or not np.array_equal(one.looks, other.looks)
