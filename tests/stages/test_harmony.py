"""Generated views brought into agreement with the input's."""

from __future__ import annotations

import numpy as np

from lim_cli.stages.harmony import (
    harmonised,
    in_one_piece,
    row_thickness,
    with_expected_outlines,
    with_height_of,
    with_mirrored_colours,
    with_rows_of,
)


def disc(colour: tuple[float, float, float], radius: int = 20, size: int = 64) -> np.ndarray:
    ys, xs = np.mgrid[:size, :size] - size / 2 + 0.5
    alpha = (ys**2 + xs**2 < radius**2).astype(np.float32)
    return np.concatenate([np.broadcast_to(np.array(colour)[:, None, None], (3, size, size)) * alpha, alpha[None]])


def test_crumbs_go_and_cracks_close() -> None:
    view = disc((0.2, 0.4, 0.6))
    view[:, 30:32, 14:50] = 0  # a crack
    view[:, 2:4, 2:4] = 1  # a crumb
    mended = in_one_piece(view.astype(np.float32))
    assert mended[3, 31, 32] > 0.9
    np.testing.assert_allclose(mended[:3, 31, 32], (0.2, 0.4, 0.6), atol=1e-6)
    assert mended[3, :8, :8].max() == 0


def test_rows_take_the_reference_s_colours() -> None:
    reference = disc((0.9, 0.1, 0.1))
    reference[:3, 32:] = reference[3:, 32:] * np.array([0.1, 0.1, 0.9])[:, None, None]
    grey = disc((0.3, 0.3, 0.3))
    found = with_rows_of(grey[None], reference[None])[0]
    np.testing.assert_allclose(found[:3, 20, 32], (0.9, 0.1, 0.1), atol=0.02)
    np.testing.assert_allclose(found[:3, 44, 32], (0.1, 0.1, 0.9), atol=0.02)


def test_outlines_lean_on_the_inputs() -> None:
    front = disc((0.5, 0.5, 0.5))
    front[:, :, :32] *= 0  # the right half of a disc
    unsure = np.full((1, 4, 4, 64, 64), 0.2, np.float32)
    unsure[0, 0] = front
    behind, side = (with_expected_outlines(unsure)[0, v, 3] for v in (2, 1))
    np.testing.assert_allclose(behind, 0.1 + 0.5 * front[3, :, ::-1], atol=1e-6)
    middle, above, beside = side[32, 32], side[4, 32], side[32, 60]
    assert middle > 0.4  # twenty wide from the front: about twenty deep, in the middle
    assert abs(above - 0.12) < 0.01
    assert abs(beside - 0.12) < 0.02


def test_rows_are_as_thick_as_the_discs_that_fit_in() -> None:
    bar = np.zeros((64, 64), bool)
    bar[20:40, 5:60] = True  # wide, but twenty thick
    found = row_thickness(bar)
    assert abs(found[30] - 20) < 1.5
    assert found[10] == 0
    assert 5 < found[21] < 14


def test_the_back_takes_the_fronts_colours_mirrored() -> None:
    front = disc((0.9, 0.1, 0.1))
    front[:3, :, 32:] = front[3:, :, 32:] * np.array([0.1, 0.1, 0.9])[:, None, None]  # blue on the right
    behind = with_mirrored_colours(disc((0.5, 0.5, 0.5))[None], front[None])[0]
    np.testing.assert_allclose(behind[:3, 32, 16], (0.1, 0.1, 0.9), atol=0.02)
    np.testing.assert_allclose(behind[:3, 32, 48], (0.9, 0.1, 0.1), atol=0.02)
    assert abs(behind[0, 32, 32] - 0.5) < 0.1  # no sharp edge between
    assert np.isfinite(behind).all()
    np.testing.assert_array_equal(with_mirrored_colours(behind[None], 0 * front[None])[0], behind)  # nothing to take


def test_the_input_view_is_never_touched() -> None:
    rng = np.random.default_rng(0)
    views = rng.uniform(size=(2, 4, 4, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(harmonised(views)[:, 0], views[:, 0])


def test_faint_rows_become_solid_only_where_the_input_has_the_object() -> None:
    faint = disc((0.5, 0.5, 0.5))
    faint[3] *= 0.3
    upper = disc((0.5, 0.5, 0.5))
    upper[:, 32:] = 0
    raised = with_height_of(faint.astype(np.float32), upper.astype(np.float32))
    assert raised[3, 24, 32] > 0.95
    assert abs(raised[3, 44, 32] - 0.3) < 1e-5
