from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from shapes import rotation, sphere

from lim_cli.core.camera import orbit_pose
from lim_cli.geometry.mesh import TrackedMesh
from lim_cli.geometry.rasterize import interpolate, rasterize, rasterize_uv
from lim_cli.geometry.texture_baking import bake_texture
from lim_cli.geometry.texture_projection import Observation, Texels, linear_to_srgb, srgb_to_linear
from lim_cli.geometry.uv_atlas import unwrap

SIZE = 128
MESH = sphere(0.8, 3)
VERTEX_MAP, FACES, UV = unwrap(MESH, SIZE)
REST = MESH.vertices[VERTEX_MAP]
TEXELS = Texels.from_raster(rasterize_uv(UV, FACES, (SIZE, SIZE)))
INTRINSICS = np.array([300.0, 300.0, 80.0, 80.0])


def pattern(points: np.ndarray) -> np.ndarray:
    """sRGB [N, 3] in [0, 1] at positions at time 0."""
    return 0.5 + 0.3 * np.sin(4 * points + np.array([0.0, 1.0, 2.0]))


TRUTH = pattern(TEXELS.interpolate(REST, FACES))


def track(frames: int = 4) -> TrackedMesh:
    vertices = np.stack([REST @ rotation(5.0 * t).T for t in range(frames)]).astype(np.float32)
    return TrackedMesh(vertices, FACES, np.arange(frames) / 30)


def shot(moving: TrackedMesh, time: int, azimuth: float, elevation: float = 0.0, **options: float) -> Observation:
    """What a camera sees of the pattern; a bright background tells when it bleeds in."""
    pose = orbit_pose(azimuth, elevation, 4.0)
    raster = rasterize(moving.vertices[time], FACES, pose, INTRINSICS, (160, 160))
    rgb = np.clip(interpolate(raster, FACES, pattern(REST)) * options.pop("gain", 1.0), 0, 1)
    rgb[~raster.mask] = 1.0
    rgba = np.concatenate([rgb, raster.mask[..., None]], axis=2)
    return Observation(time, np.round(rgba * 255).astype(np.uint8), pose, INTRINSICS, **options)


def errors(texture: np.ndarray) -> np.ndarray:
    return np.abs(texture.reshape(-1, 3)[TEXELS.pixel] / 255 - TRUTH).max(axis=1)


def all_round(moving: TrackedMesh) -> list[Observation]:
    level = [shot(moving, t, a) for t in range(len(moving.times)) for a in (0, 90, 180, 270)]
    return level + [shot(moving, 0, 0, e) for e in (80, -80)]


def test_the_pattern_comes_back() -> None:
    moving = track()
    images = all_round(moving)
    baked = bake_texture(moving, UV, lambda: images, size=SIZE)
    error = errors(baked.texture)
    assert np.percentile(error, 99) < 0.02
    assert error.max() < 0.1
    assert baked.coverage.from_input > 0.97
    assert baked.texture.shape == (SIZE, SIZE, 3)
    assert baked.texture.dtype == np.uint8


def test_what_was_not_seen_comes_from_the_field() -> None:
    moving = track(1)
    image = shot(moving, 0, 0)
    baked = bake_texture(moving, UV, lambda: [image], size=SIZE, fallback_colour=pattern)
    assert np.percentile(errors(baked.texture), 99) < 0.02
    assert 0.2 < baked.coverage.from_input < 0.5
    assert baked.coverage.from_field > 0.5
    assert baked.coverage.filled == 0
    parts = (baked.coverage.from_input, baked.coverage.from_generated, baked.coverage.from_field)
    assert sum(parts) == pytest.approx(1.0, abs=1e-5)


def test_without_a_field_it_is_spread_from_neighbours() -> None:
    moving = track(1)
    image = shot(moving, 0, 0)
    baked = bake_texture(moving, UV, lambda: [image], size=SIZE)
    assert baked.coverage.filled > 0.4
    seen = baked.texture.reshape(-1, 3)[TEXELS.pixel]
    assert seen.max() < 0.85 * 255  # the white background went nowhere


def test_input_pixels_win_over_generated_ones() -> None:
    moving = track(1)
    real = shot(moving, 0, 0)
    grey = np.full_like(real.rgba, 128)
    grey[..., 3] = shot(moving, 0, 20).rgba[..., 3]
    generated = [Observation(0, grey, orbit_pose(20, 0, 4.0), INTRINSICS, weight=0.5)] * 5
    baked = bake_texture(moving, UV, lambda: [real, *generated], size=SIZE, fallback_colour=pattern)
    facing = TEXELS.interpolate(REST, FACES)[:, 2] > 0.5
    assert np.percentile(errors(baked.texture)[facing], 95) < 0.02
    assert baked.coverage.from_generated > 0.01  # what the camera 20 degrees further round sees alone


def test_generated_views_take_the_inputs_exposure() -> None:
    moving = track(1)
    gain = 0.8
    images = [shot(moving, 0, 0)] + [shot(moving, 0, a, weight=0.3, gain=gain) for a in (45, 90, -45, -90)]
    baked = bake_texture(moving, UV, lambda: images, size=SIZE, fallback_colour=pattern)
    side = np.abs(TEXELS.interpolate(REST, FACES)[:, 0]) > 0.7
    assert np.median(errors(baked.texture)[side]) < 0.04  # uncorrected it would be 0.1


def test_a_flash_in_one_frame_is_voted_out() -> None:
    moving = track(8)
    images = [shot(moving, t, 0) for t in range(8)]
    images[3].rgba[..., :3] = 255
    robust = bake_texture(moving, UV, lambda: images, size=SIZE, fallback_colour=pattern)
    plain = bake_texture(moving, UV, lambda: images, size=SIZE, fallback_colour=pattern, robust=False)
    facing = TEXELS.interpolate(REST, FACES)[:, 2] > 0.6
    assert np.mean(errors(robust.texture)[facing]) < 0.3 * np.mean(errors(plain.texture)[facing])


def test_hidden_surface_is_not_painted() -> None:
    """A small sphere behind a large one gets no colour from the front."""
    small = (REST * 0.3 + [0, 0, -2]).astype(np.float32)
    both = TrackedMesh(np.concatenate([REST, small])[None], np.concatenate([FACES, FACES + len(REST)]), np.zeros(1))
    uv = np.concatenate([UV * [0.5, 1], UV * [0.5, 1] + [0.5, 0]]).astype(np.float32)
    image = np.full((160, 160, 4), [255, 0, 0, 255], np.uint8)
    looking = Observation(0, image, orbit_pose(0, 0, 4.0), INTRINSICS)
    baked = bake_texture(
        both, uv, lambda: [looking], size=SIZE, fallback_colour=lambda p: np.tile([0, 0, 1.0], (len(p), 1))
    )
    texels = Texels.from_raster(rasterize_uv(uv, both.faces, (SIZE, SIZE)))
    hidden = texels.face >= len(FACES)
    colours = baked.texture.reshape(-1, 3)[texels.pixel]
    assert (colours[hidden] == [0, 0, 255]).all()
    assert (colours[~hidden] == [255, 0, 0]).all(axis=1).mean() > 0.2


def test_images_are_streamed_once_per_pass() -> None:
    moving, passes = track(2), []

    def observations() -> Iterator[Observation]:
        passes.append(0)
        for time in range(2):
            passes[-1] += 1
            yield shot(moving, time, 0)

    bake_texture(moving, UV, observations, size=SIZE)
    assert passes == [2, 2]


def test_colour_spaces_are_inverses() -> None:
    values = np.linspace(0, 1, 101)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6)


def test_wrong_input_is_named() -> None:
    moving = track(1)
    late = shot(track(3), 2, 0)
    with pytest.raises(ValueError, match="time_index below 1"):
        bake_texture(moving, UV, lambda: [late], size=SIZE)
    with pytest.raises(ValueError, match="uint8"):
        Observation(0, np.zeros((4, 4, 3), np.uint8), np.eye(4), INTRINSICS)
    with pytest.raises(ValueError, match="weight"):
        Observation(0, np.zeros((4, 4, 4), np.uint8), np.eye(4), INTRINSICS, weight=2.0)


def test_a_highlight_that_wanders_over_the_surface_is_not_baked_in() -> None:
    moving = track(8)
    images = [shot(moving, t, 0) for t in range(8)]
    for t, image in enumerate(images):  # against the surface's own motion
        image.rgba[70:90, 110 - 10 * t : 120 - 10 * t, :3] = 255
    baked = bake_texture(moving, UV, lambda: images, size=SIZE, fallback_colour=pattern)
    facing = TEXELS.interpolate(REST, FACES)[:, 2] > 0.6
    plain = bake_texture(moving, UV, lambda: images, size=SIZE, fallback_colour=pattern, robust=False)
    assert np.percentile(errors(baked.texture)[facing], 95) < 0.05
    assert np.mean(errors(baked.texture)[facing]) < 0.5 * np.mean(errors(plain.texture)[facing])


def test_a_mistracked_frame_is_an_outlier() -> None:
    moving = track(8)
    images = [shot(moving, t, 0) for t in range(8)]
    slipped = moving.vertices.copy()
    slipped[3] = REST @ rotation(60).T  # the track says one thing, the picture another
    lost = TrackedMesh(slipped, FACES, moving.times)
    facing = TEXELS.interpolate(REST, FACES)[:, 2] > 0.6
    baked, plain = (
        bake_texture(lost, UV, lambda: images, size=SIZE, fallback_colour=pattern, robust=way) for way in (True, False)
    )
    assert np.percentile(errors(baked.texture)[facing], 95) < 0.05
    assert np.mean(errors(baked.texture)[facing]) < 0.5 * np.mean(errors(plain.texture)[facing])


def test_soft_dark_rims_of_generated_views_stay_off_the_surface() -> None:
    moving = track(1)
    images = [shot(moving, 0, 0)] + [shot(moving, 0, a, weight=0.3) for a in (60, 120, 180, 240, 300)]
    for image in images[1:]:
        solid = (image.rgba[..., 3] > 0).astype(np.uint8)
        rim = (solid > 0) & (cv2.erode(solid, np.ones((5, 5), np.uint8)) == 0)
        image.rgba[rim, :3] = 0  # opaque, as a generator's matte has it
    baked = bake_texture(moving, UV, lambda: images, size=SIZE, fallback_colour=pattern)
    level = np.abs(TEXELS.interpolate(REST, FACES)[:, 1]) < 0.5
    assert errors(baked.texture)[level].max() < 0.08


def test_a_field_of_another_shade_meets_the_seen_surface_without_an_edge() -> None:
    def too_bright(points: np.ndarray) -> np.ndarray:
        return linear_to_srgb(srgb_to_linear(pattern(points)) + 0.15)

    moving = track(1)
    image = shot(moving, 0, 0)
    baked = bake_texture(moving, UV, lambda: [image], size=SIZE, fallback_colour=too_bright)
    positions = TEXELS.interpolate(REST, FACES)
    beside, behind = (positions[:, 2] > 0) & (positions[:, 2] < 0.15), positions[:, 2] < -0.7  # the horizon is at 0.16
    untouched = too_bright(positions)
    assert np.median(errors(baked.texture)[beside] / np.abs(untouched - TRUTH).max(axis=1)[beside]) < 0.5
    found = baked.texture.reshape(-1, 3)[TEXELS.pixel] / 255
    assert np.abs(found - untouched)[behind].max() < 0.08  # far from what was seen the field is left alone
