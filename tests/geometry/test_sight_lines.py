"""Following pixels: a speckled ball whose motion is known, seen by known cameras."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from shapes import rotation, sphere

from lim_cli.core.camera import orbit_cameras
from lim_cli.geometry.optical_flow import optical_flow
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.geometry.sight_lines import Picture, SightLines, followed, recognised, seen_colours

SIZE = (192, 192)
BALL = sphere(0.6, 4)


def speckles(count: int) -> np.ndarray:
    """Colours [vertex, 3] in 0..255 that vary over a few faces."""
    rng = np.random.default_rng(0)
    waves, phases = rng.normal(size=(12, 3)) * 9, rng.uniform(0, 6.28, 12)
    height = np.sin(BALL.vertices[:count] @ waves.T + phases).reshape(count, 3, 4).sum(2)
    return 128 + 28 * height.clip(-4, 4)


def pictures(vertices: np.ndarray, azimuths: list[float]) -> list[Picture]:
    cameras = orbit_cameras(azimuths, elevation=10.0, field_of_view=40.0, distance=3.0, size=SIZE)
    colours = speckles(len(vertices)).astype(np.float32)
    found = []
    for pose, intrinsics in zip(cameras.world_from_camera.numpy(), cameras.intrinsics.numpy(), strict=True):
        raster = rasterize(vertices, BALL.faces, pose, intrinsics, SIZE)
        rgb = interpolate(raster, BALL.faces, colours)
        rgba = np.concatenate([rgb, 255.0 * raster.mask[..., None]], 2).round().clip(0, 255).astype(np.uint8)
        found.append(Picture(rgba, pose, intrinsics))
    return found


def moved(degrees: float = 6.0, shift: tuple[float, float, float] = (0.05, -0.03, 0.04)) -> np.ndarray:
    return (BALL.vertices @ rotation(degrees, (1, 3, 2)).T + shift).astype(np.float32)


def test_flow_finds_a_shift_and_is_sure_of_it_but_not_of_what_vanishes() -> None:
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.uniform(0, 255, (160, 160)).astype(np.float32), (0, 0), 3)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)

    def window(x: int, y: int) -> np.ndarray:
        rgb = np.repeat(texture[20 + y : 116 + y, 20 + x : 116 + x, None], 3, 2)
        return np.concatenate([rgb, np.full((96, 96, 1), 255)], 2).astype(np.uint8)

    flow = optical_flow(window(0, 0), window(-4, 3))
    inner = (slice(12, -12), slice(12, -12))
    np.testing.assert_allclose(np.median(flow.pixels[inner], (0, 1)), [4, -3], atol=0.2)
    assert flow.sureness[inner].mean() > 0.9
    changed = window(-8, 6)
    changed[20:80, 20:80, :3] = window(30, -18)[20:80, 20:80, :3]  # what was there is not any more
    assert optical_flow(window(0, 0), changed).sureness[35:60, 35:60].mean() < 0.5


def test_four_cameras_find_a_motion_in_space() -> None:
    azimuths = [0.0, 90.0, 180.0, 270.0]
    truth = moved()
    lines = followed(BALL.vertices, BALL.faces, pictures(BALL.vertices, azimuths), pictures(truth, azimuths))
    trust = lines.trust(len(truth))
    found = lines.targets(BALL.vertices)
    known = trust > 0.5
    assert known.mean() > 0.5
    motion = np.linalg.norm(truth - BALL.vertices, axis=1)[known].mean()
    # most vertices are seen by one camera only, which leaves the depth open: rigidity is to settle that
    assert np.linalg.norm(found - truth, axis=1)[known].mean() < 0.6 * motion
    twice = np.bincount(lines.vertex[lines.weight > 0.3], minlength=len(truth)) > 1
    assert twice.any()
    assert np.linalg.norm(found - truth, axis=1)[twice].mean() < 0.25 * motion


def test_one_camera_moves_vertices_parallel_to_its_picture_only() -> None:
    truth = moved(0.0, (0.06, 0.0, 0.0))
    before, after = pictures(BALL.vertices, [0.0]), pictures(truth, [0.0])
    lines = followed(BALL.vertices, BALL.faces, before, after)
    step = (lines.targets(BALL.vertices) - BALL.vertices)[lines.trust(len(truth)) > 0.6]
    np.testing.assert_allclose(np.median(step, 0), [0.06, 0, 0], atol=0.006)
    assert not lines.trust(len(truth))[BALL.vertices[:, 2] < 0].any()  # the far side is not seen


def test_known_colours_lead_back_from_a_slip() -> None:
    azimuths = [0.0, 90.0, 180.0, 270.0]
    colours = seen_colours(BALL.vertices, BALL.faces, pictures(BALL.vertices, azimuths))
    assert (colours[:, 3] > 0).mean() > 0.7
    known = np.concatenate([colours[:, :3] / np.maximum(colours[:, 3:], 1e-6), np.minimum(colours[:, 3:], 1)], 1)
    seen = known[:, 3] > 0.5
    np.testing.assert_allclose(known[seen, :3], speckles(len(known))[seen], atol=40)
    slipped = moved(4.0, (0.0, 0.0, 0.0))
    lines = recognised(slipped, BALL.faces, known, pictures(BALL.vertices, azimuths))
    back = lines.targets(slipped)
    sure = lines.trust(len(back)) > 0.5
    before, after = (np.linalg.norm(v - BALL.vertices, axis=1)[sure].mean() for v in (slipped, back))
    assert after < 0.5 * before


def test_a_line_that_does_not_fit_loses_its_say() -> None:
    origin, along = np.array([[0.0, 0, 3], [0.5, 0, 3]]), np.tile([0.0, 0, -1], (2, 1))
    lines = SightLines(np.array([0, 1]), origin, along, np.ones(2), np.full(2, 0.01))
    vertices = np.zeros((2, 3), np.float32)
    assert lines.believed(vertices, 8.0).weight == pytest.approx([1.0, 1 / (1 + 6.25**2) ** 2])
    np.testing.assert_allclose(lines.targets(vertices)[1], [0.5 / 1.02, 0, 0], atol=1e-6)
    np.testing.assert_allclose(lines.trust(3), [1, 1, 0])


def test_several_threads_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    azimuths = [0.0, 90.0, 180.0, 270.0]
    before, after = pictures(BALL.vertices, azimuths), pictures(moved(), azimuths)
    colours = np.concatenate([speckles(len(BALL.vertices)), np.ones((len(BALL.vertices), 1))], 1)
    found = []
    for threads in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        lines = followed(BALL.vertices, BALL.faces, before, after)
        again = recognised(BALL.vertices, BALL.faces, colours, after)
        found.append([lines.vertex, lines.targets(BALL.vertices), again.vertex, again.targets(BALL.vertices)])
    assert all(np.array_equal(one, several) for one, several in zip(*found, strict=True))
