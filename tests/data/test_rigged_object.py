"""Ray casts, pictures and labelled points of a turning cube, whose every answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lim_cli.core.camera import orbit_pose
from lim_cli.data.animated_object import AnimatedObject, Light
from lim_cli.data.gltf_reading import read_rig
from lim_cli.data.mesh_sampling import triangle_distance
from lim_cli.data.rigged_object import RiggedObject, recoloured
from tests.data.rigged_cubes import FACE_COLOURS, GlbBuilder, cube, rotation_y, turning_cube

LIGHT = Light(np.array([0.0, 0.0, 1.0]), np.full(3, 0.5), np.full(3, 0.3), 0.0, 10.0)
RADIUS = 0.9
HALF = RADIUS / np.sqrt(3)  # half a side of the cube once its corners reach RADIUS
INTRINSICS = np.array([40.0, 40.0, 16.0, 16.0], np.float32)


@pytest.fixture
def turning(tmp_path: Path) -> RiggedObject:
    rig = read_rig(turning_cube(tmp_path / "cube.glb"))
    return RiggedObject(rig, "move").normalised(np.array([0.0, 1.0]), RADIUS)


def test_it_is_an_animated_object(turning: RiggedObject) -> None:
    checked: AnimatedObject = turning
    assert checked.pose(0.0) is not None


def test_normalised_fits_the_ball(turning: RiggedObject) -> None:
    for phase in (0.0, 0.4, 1.0):
        np.testing.assert_allclose(np.linalg.norm(turning.vertices(phase), axis=1), RADIUS, atol=1e-5)


def test_rays_meet_the_cube(turning: RiggedObject) -> None:
    pose = turning.pose(0.0)
    origins = np.array([[0.1, 0.2, 3.0], [3.0, 0.1, -0.2], [0.8, 0.8, 3.0]], np.float32)
    directions = np.array([[0, 0, -1], [-1, 0, 0], [0, 0, -1]], np.float32)
    hits = pose.cast(origins, directions, LIGHT, pose)
    np.testing.assert_array_equal(hits.mask, [1, 1, 0])
    np.testing.assert_allclose(hits.ray_length, [3 - HALF, 3 - HALF, 0], atol=1e-5)
    np.testing.assert_allclose(hits.normal, [[0, 0, 1], [1, 0, 0], [0, 0, 0]], atol=1e-6)
    expected = [[0.1, 0.2, HALF], [HALF, 0.1, -0.2], [0, 0, 0]]
    np.testing.assert_allclose(hits.canonical_xyz, expected, atol=1e-5)
    # +z is cyan and faces the light; +x is red and has ambient light only.
    np.testing.assert_allclose(hits.rgb, [[0, 0.8, 0.8], [0.3, 0, 0], [0, 0, 0]], atol=1e-5)
    assert all(getattr(hits, name).dtype == np.float32 for name in vars(hits))


def test_canonical_coordinates_of_a_turned_cube(turning: RiggedObject) -> None:
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(500, 3))
    origins *= 3 / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = rng.normal(scale=0.2, size=(500, 3)) - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hits = turning.pose(0.4).cast(origins, directions, LIGHT, turning.pose(0.0))
    met = hits.mask > 0
    points = origins + directions * hits.ray_length[:, None]
    np.testing.assert_allclose(hits.canonical_xyz[met], points[met] @ rotation_y(36), atol=1e-5)
    assert met.sum() > 100
    facing = (hits.normal * directions).sum(1)
    assert (facing[met] < 0).all()


def test_yaw_and_mirror(tmp_path: Path) -> None:
    rig = read_rig(turning_cube(tmp_path / "cube.glb"))
    ray = np.array([[0.0, 0.0, 3.0]]), np.array([[0.0, 0.0, -1.0]])
    turned, mirrored = (
        RiggedObject(rig, "move", yaw=-90).pose(0),
        RiggedObject(rig, "move", yaw=-90, mirrored=True).pose(0),
    )
    np.testing.assert_allclose(turned.cast(*ray, LIGHT, turned).rgb[0] / 0.8, FACE_COLOURS[0], atol=1e-5)
    np.testing.assert_allclose(mirrored.cast(*ray, LIGHT, mirrored).rgb[0] / 0.8, FACE_COLOURS[1], atol=1e-5)


def test_render_depth_and_antialiasing(turning: RiggedObject) -> None:
    pose = turning.pose(0.0)
    rgba, depth, canonical = pose.render(orbit_pose(0, 0, 3.0), INTRINSICS, (32, 32), LIGHT, pose)
    assert (rgba.shape, depth.shape, canonical.shape) == ((32, 32, 4), (32, 32), (32, 32, 3))
    np.testing.assert_allclose(depth[16, 16], 3 - HALF, atol=1e-5)  # camera z: the same over the whole front
    np.testing.assert_allclose(depth[depth > 0], 3 - HALF, atol=1e-4)
    np.testing.assert_array_equal(depth > 0, rgba[..., 3] > 0)
    half_pixels = 40 * HALF / (3 - HALF)  # analytic coverage of the front side
    assert abs(rgba[..., 3].sum() - (2 * half_pixels) ** 2) < 0.05 * (2 * half_pixels) ** 2
    edge = (rgba[..., 3] > 0) & (rgba[..., 3] < 1)
    assert edge.any()
    np.testing.assert_allclose(rgba[edge][:, :3], np.tile([0, 0.8, 0.8], (edge.sum(), 1)), atol=1e-5)
    rows, columns = np.nonzero(depth)
    x = ((columns + 0.5) - 16) / 40 * (3 - HALF)
    inner = rgba[rows, columns, 3] == 1
    np.testing.assert_allclose(canonical[rows, columns][inner][:, 0], x[inner], atol=1e-4)


def test_texture_is_looked_up_between_texels(tmp_path: Path) -> None:
    builder = GlbBuilder()
    pixels = np.array([[[0, 0, 0], [200, 100, 0]]], np.uint8)
    uv = np.tile(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), (6, 1))
    mesh = builder.cube_mesh(TEXCOORD_0=builder.array(uv))
    builder.gltf.meshes[mesh].primitives[0].material = builder.texture(pixels)
    node = builder.node(mesh=mesh)
    builder.animate(node, "translation", [0.0, 1.0], [(0, 0, 0), (0, 0, 1)])
    rig = read_rig(builder.save(tmp_path / "a.glb"))
    front = np.array([8, 9])
    assert (cube()[1][rig.faces[front[0], 0]] == [0, 0, 1]).all()
    pose = RiggedObject(rig, "move").placed(np.zeros(3), 1.0).pose(0)
    u = np.array([0.25, 0.5, 0.625, 0.75])
    # The front's u runs along +x.
    origins = np.stack([2 * u - 1, np.zeros(4), np.full(4, 3.0)], -1)
    hits = pose.cast(origins, np.tile([0.0, 0.0, -1.0], (4, 1)), LIGHT, pose)
    expected = np.array([0, 0.5, 0.75, 1.0])[:, None] * np.array([200, 100, 0]) / 255
    np.testing.assert_allclose(hits.rgb, 0.8 * expected, atol=1e-4)


def test_signed_distances_of_a_cube(turning: RiggedObject) -> None:
    phase = 0.3
    pose = turning.pose(phase)
    samples = pose.sample_volume(np.random.default_rng(1), 1500, 400, LIGHT, turning.pose(0.0))
    local = np.abs(samples.points @ rotation_y(27)) - HALF
    truth = np.linalg.norm(np.maximum(local, 0), axis=1) + np.minimum(local.max(1), 0)
    clear = np.abs(truth) > 1e-4
    assert (np.sign(samples.sdf) == np.sign(truth))[clear].all()
    near = np.abs(truth) < 0.2
    assert near.sum() > 900
    np.testing.assert_allclose(samples.sdf[near], truth[near], atol=0.02)
    assert np.abs(samples.sdf - truth)[near].mean() < 1e-3
    # Surface points lie on the turned cube, their twins on the first one, and no highlight is on them.
    surface = samples.surface_points @ rotation_y(27)
    np.testing.assert_allclose(np.abs(surface).max(1), HALF, atol=1e-5)
    np.testing.assert_allclose(samples.surface_canonical, surface, atol=1e-5)
    top = np.argmax(np.abs(surface), 1) == 1
    assert top.sum() > 30
    np.testing.assert_allclose(samples.surface_rgb[top].max(1), 0.3, atol=1e-5)
    assert samples.points.shape == (1500, 3)
    assert len(samples.surface_points) == 400
    assert all(getattr(samples, name).dtype == np.float32 for name in vars(samples))


def test_an_open_box_has_no_inside_and_a_buried_one_no_surface(tmp_path: Path) -> None:
    builder = GlbBuilder()
    open_mesh = builder.cube_mesh()
    indices = builder.array(cube()[2][:10].reshape(-1), "u2")  # the -z side is left away
    builder.gltf.meshes[open_mesh].primitives[0].indices = indices
    node = builder.node(mesh=open_mesh)
    builder.animate(node, "translation", [0.0, 1.0], [(0, 0, 0), (1, 0, 0)])
    pose = RiggedObject(read_rig(builder.save(tmp_path / "open.glb")), "move").pose(0)
    assert (pose.sample_volume(np.random.default_rng(0), 300, 10, LIGHT, pose).sdf >= 0).all()

    builder = GlbBuilder()
    whole = builder.cube_mesh()
    builder.node(mesh=whole, scale=[0.5, 0.5, 0.5])
    node = builder.node(mesh=whole)
    builder.animate(node, "scale", [0.0, 1.0], [(1, 1, 1), (2, 2, 2)])
    thing = RiggedObject(read_rig(builder.save(tmp_path / "nested.glb")), "move").placed(np.zeros(3), 0.5)
    pose = thing.pose(0)
    samples = pose.sample_volume(np.random.default_rng(0), 300, 200, LIGHT, pose)
    np.testing.assert_allclose(np.abs(samples.surface_points).max(1), 0.5, atol=1e-5)
    assert (samples.sdf[np.abs(samples.points).max(1) < 0.49] < 0).all()


def test_triangle_distance_against_dense_sampling() -> None:
    rng = np.random.default_rng(3)
    triangles, points = rng.normal(size=(50, 3, 3)), rng.normal(size=(50, 3))
    root, second = np.sqrt(rng.random(20000)), rng.random(20000)
    bary = np.stack([1 - root, root * (1 - second), root * second], -1)
    dense = np.linalg.norm(np.einsum("mk,nkc->nmc", bary, triangles) - points[:, None], axis=-1).min(1)
    exact = triangle_distance(points, triangles)
    assert (exact <= dense + 1e-6).all()
    np.testing.assert_allclose(exact, dense, atol=0.05)


def test_tracks_follow_the_surface(turning: RiggedObject) -> None:
    phases = np.array([0.2, 0.5, 1.0])
    track = turning.track(np.random.default_rng(0), 64, phases)
    assert track.shape == (3, 64, 3)
    rest = [points @ rotation_y(90 * phase) for points, phase in zip(track, phases, strict=True)]
    np.testing.assert_allclose(np.abs(rest[0]).max(1), HALF, atol=1e-5)
    np.testing.assert_allclose(rest[1], rest[0], atol=1e-5)
    np.testing.assert_allclose(rest[2], rest[0], atol=1e-5)


def test_recolouring_changes_colours_only(tmp_path: Path) -> None:
    rig = read_rig(turning_cube(tmp_path / "cube.glb"))
    ray = np.array([[0.0, 0.0, 3.0]]), np.array([[0.0, 0.0, -1.0]])
    change = recoloured(len(rig.paint.material_colour), np.random.default_rng(0))
    plain, painted = RiggedObject(rig, "move").pose(0), RiggedObject(rig, "move", recolouring=change).pose(0)
    first, second = plain.cast(*ray, LIGHT, plain), painted.cast(*ray, LIGHT, painted)
    assert np.abs(first.rgb - second.rgb).max() > 0.01
    assert second.rgb.min() >= 0
    assert second.rgb.max() <= 1
    np.testing.assert_array_equal(first.ray_length, second.ray_length)


def test_same_seed_same_points(turning: RiggedObject) -> None:
    pose = turning.pose(0.1)
    first, second = (pose.sample_volume(np.random.default_rng(7), 90, 30, LIGHT, pose) for _ in range(2))
    for name in vars(first):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_painted_points_are_the_same_ones_in_other_poses(turning: RiggedObject) -> None:
    poses = turning.poses(np.array([0.0, 0.5, 1.0]))
    found = poses[0].painted(np.random.default_rng(0), 300, LIGHT, poses)
    assert 0 < len(found.points) <= 300
    np.testing.assert_allclose(np.abs(found.points).max(1), HALF, atol=1e-5)
    np.testing.assert_allclose(found.later[0], found.points, atol=1e-6)
    # the sides they lie on, in the colours of these, lit from +z
    side = np.abs(found.points).argmax(1)
    sign = np.sign(found.points[np.arange(len(side)), side])
    np.testing.assert_allclose(found.normals[np.arange(len(side)), side], sign, atol=1e-5)
    bright = np.where((side == 2) & (sign > 0), 0.8, 0.3)
    colours = np.array(FACE_COLOURS)[2 * side + (sign < 0)]
    np.testing.assert_allclose(found.colours, colours * bright[:, None], atol=1e-4)
    # they turn with it
    far = np.linalg.norm(found.points[:, [0, 2]], axis=1)
    np.testing.assert_allclose(np.linalg.norm(found.later[2][:, [0, 2]], axis=1), far, atol=1e-5)
    assert np.abs(found.later[2] - found.points).max() > 0.1
