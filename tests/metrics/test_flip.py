from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from lim_cli.metrics.flip import flip, flip_map


def blurred_noise(seed: int, sigma: float) -> Tensor:
    noise = gaussian_filter(np.random.default_rng(seed).random((40, 50, 3)), (sigma, sigma, 0))
    return torch.from_numpy((noise - noise.min()) / np.ptp(noise)).movedim(-1, 0).float()


def test_equal_images_differ_by_nothing_and_the_order_does_not_matter() -> None:
    a, b = blurred_noise(0, 1), blurred_noise(1, 1)
    assert float(flip(a, a)) == 0
    torch.testing.assert_close(flip_map(a, b), flip_map(b, a))


def test_it_stays_in_0_to_1_and_is_near_1_for_opposite_colours() -> None:
    flat = torch.zeros(2, 3, 30, 30)
    flat[1, 2] = 1  # black, blue
    other = torch.ones(2, 3, 30, 30)
    other[1] = torch.tensor([0.0, 1.0, 0.0])[:, None, None]  # white, green
    value = flip(flat, other)
    assert bool((value > 0.95).all())
    assert float(flip_map(flat, other).max()) <= 1
    assert float(value[1]) == pytest.approx(1, abs=1e-6)  # the scale's end, by definition


def test_detail_too_fine_for_the_eye_does_not_count() -> None:
    checker = (torch.arange(40)[:, None] + torch.arange(40)[None]) % 2
    fine = (0.45 + 0.1 * checker).expand(3, 40, 40).float()
    near, far = (float(flip(fine, 1 - fine, pixels_per_degree=p)) for p in (10.0, 120.0))
    assert far < 0.2 * near


def test_a_difference_counts_for_more_beside_an_edge_that_only_one_image_has() -> None:
    grey = torch.full((3, 60, 60), 0.5)
    edge = grey.clone()
    edge[..., :30] -= 0.05
    edge[..., 30:] += 0.05
    found = flip_map(edge, grey)[30]
    assert float(found[28]) > 1.3 * float(found[5])  # both are 0.05 too dark, one far from the edge


@pytest.mark.parametrize("sigma", [0.0, 1.0, 4.0])
def test_it_equals_its_authors_program(sigma: float) -> None:
    evaluator = pytest.importorskip("flip_evaluator")
    a, b = blurred_noise(2, sigma), blurred_noise(3, sigma)
    expected, mean, _ = evaluator.evaluate(
        *(np.ascontiguousarray(x.movedim(0, -1).numpy()) for x in (a, b)), "LDR", applyMagma=False
    )
    np.testing.assert_allclose(flip_map(a, b).numpy(), expected[..., 0], atol=1e-5)
    assert float(flip(a, b)) == pytest.approx(mean, abs=1e-5)
