from __future__ import annotations

import numpy as np
import pytest

from lim_cli.evaluation.image_interpolation import between


def disc(x: float, y: float = 48.0, radius: float = 18.0) -> np.ndarray:
    """One view [1, 96, 96, 4] uint8 of a patterned disc."""
    rows, columns = np.mgrid[:96, :96] + 0.5
    opacity = np.clip(radius - np.hypot(columns - x, rows - y) + 0.5, 0, 1)
    waves = [0.5 + 0.4 * np.sin((columns - x) / 3 + k) * np.cos((rows - y) / 4 + k) for k in range(3)]
    return (np.stack([*waves, opacity], -1) * 255 + 0.5).astype(np.uint8)[None]


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first[..., 3] > 127, second[..., 3] > 127
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.8])
def test_a_moving_disc_is_met_on_its_way(alpha: float) -> None:
    found = between(disc(40), disc(52), alpha)
    true = disc(40 + 12 * alpha)
    assert overlap(found, true) > 0.95
    inside = true[..., 3] == 255
    assert np.abs(found[inside].astype(int) - true[inside])[:, :3].mean() < 12


def test_a_still_picture_stays_and_its_edge_keeps_its_colour() -> None:
    still = disc(48)
    found = between(still, still, 0.5)
    edge = (still[..., 3] > 60) & (still[..., 3] < 200)
    assert edge.any()
    assert np.abs(found[edge].astype(int) - still[edge]).max() <= 3
    assert np.abs(found[..., 3].astype(int) - still[..., 3]).max() <= 1


def test_views_are_interpolated_each_by_itself() -> None:
    both = between(np.concatenate([disc(40), disc(60)]), np.concatenate([disc(48), disc(60)]), 0.5)
    np.testing.assert_array_equal(both[0], between(disc(40), disc(48), 0.5)[0])
    assert overlap(both[1:], disc(60)) > 0.99
