from __future__ import annotations

import cv2
import numpy as np
import pytest

from lim_cli.geometry.texture_trust import (
    OPAQUE,
    exposure_gain,
    fade,
    nearest_known,
    pixel_trust,
    sharpness,
    spread_outwards,
    weighted_median,
)


def test_trust_grows_from_a_mattes_edge_inwards() -> None:
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, 10:] = 255  # the edge lies between columns 9 and 10
    depth = np.full((40, 40), 3.0, np.float32)
    trust = pixel_trust(alpha, depth, jump=0.1, rim=2.0, margin=4.0)[20]
    inside = np.arange(10, 30) + 0.5 - 10  # of pixel centres, to the edge
    np.testing.assert_allclose(trust[10:30], np.clip((inside - 2.0) / 4.0, 0, 1), atol=0.15)  # the 3 x 3 distance
    assert (trust[:12] == 0).all()
    assert trust[39] == 0  # at the frame's border the matte may go on outside


def test_soft_mattes_empty_pixels_and_steps_in_depth_are_edges_too() -> None:
    alpha = np.full((40, 40), 255, np.uint8)
    depth = np.full((40, 40), 3.0, np.float32)
    alpha[20, 8] = OPAQUE - 1
    depth[20, 20] = np.inf
    depth[:, 30:] = 4.0
    trust = pixel_trust(alpha, depth, jump=0.5, rim=0.5, margin=1.0)
    assert trust[20, 8] == trust[20, 20] == trust[20, 29] == trust[20, 30] == 0
    assert trust[20, 14] == trust[20, 25] == 1
    assert pixel_trust(alpha, depth, jump=2.0, rim=0.5, margin=1.0)[10, 30] == 1


def test_colours_spread_to_the_nearest_pixel() -> None:
    known = np.zeros((9, 9), bool)
    known[4, 1] = known[4, 7] = True
    image = np.zeros((9, 9, 3), np.float32)
    image[4, 1], image[4, 7] = [1, 0, 0], [0, 0, 1]
    spread = spread_outwards(image, known)
    assert (spread[:, :4] == [1, 0, 0]).all()
    assert (spread[:, 5:] == [0, 0, 1]).all()
    assert nearest_known(known)[0, 0] == 4 * 9 + 1


def test_a_texel_fades_from_unseen_to_seen() -> None:
    np.testing.assert_allclose(fade(np.array([0.0, 0.05, 0.1, 3.0]), 0.1), [0, 0.5, 1, 1])


def test_an_exposure_is_found_where_texels_agree_and_not_where_they_differ() -> None:
    generator = np.random.default_rng(0)
    given = generator.uniform(0.1, 0.6, (5000, 3))
    assert exposure_gain(0.7 * given, given) == pytest.approx(0.7, abs=1e-6)
    noisy = given * np.exp(generator.normal(-0.2, 1.0, (5000, 1)))
    assert 0.97 < exposure_gain(noisy, given) <= 1.0  # a fifth darker, but no two texels say the same
    assert exposure_gain(9.0 * given, given) == pytest.approx(2.0)
    assert exposure_gain(0.5 * given[:50], given[:50]) == 1.0  # too few to tell


def test_the_median_counts_weights() -> None:
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([0.2, 5.0, 0.2])) == 1.0


def test_a_blurred_frame_is_less_sharp_whatever_lies_beside_the_matte() -> None:
    generator = np.random.default_rng(0)
    frame = generator.integers(0, 255, (64, 64, 4)).astype(np.uint8)
    frame[..., 3] = 0
    frame[16:48, 16:48, 3] = 255
    blurred = frame.copy()
    blurred[..., :3] = cv2.GaussianBlur(frame[..., :3], None, 2.0)
    beside = blurred.copy()
    beside[:14] = frame[:14]
    assert sharpness(frame) > 5 * sharpness(blurred)
    assert sharpness(beside) == pytest.approx(sharpness(blurred))
    assert sharpness(np.zeros((8, 8, 4), np.uint8)) == 0
