"""When the tracer looks, and what it makes of the times between."""

from __future__ import annotations

import numpy as np
import pytest

from lim_cli.stages.track import _between, _calm, _stops

KEYFRAMES = np.array([0.0, 0.2, 0.4])


def test_few_output_times_are_evaluated_themselves() -> None:
    assert _stops(KEYFRAMES, 0, np.array([0.0, 0.05, 0.1, 0.15, 0.2]), KEYFRAMES, 4) == pytest.approx(
        [0.05, 0.1, 0.15, 0.2]
    )


def test_many_output_times_are_not() -> None:
    stops = _stops(KEYFRAMES, 1, np.linspace(0, 0.4, 200), KEYFRAMES, 4)
    assert stops == pytest.approx([0.24, 0.28, 0.32, 0.36, 0.4])


def test_input_pictures_are_always_looked_at() -> None:
    stops = _stops(KEYFRAMES, 0, np.linspace(0, 0.4, 200), np.array([0.0, 0.097, 0.2]), 1)
    assert stops == pytest.approx([0.097, 0.2])


def test_between_passes_through_the_shapes_and_keeps_even_motion() -> None:
    moments = np.array([0.0, 0.1, 0.25, 0.4])
    shapes = (moments[:, None, None] * np.array([1.0, -2.0, 0.5])).astype(np.float32) * np.ones((1, 5, 1), np.float32)
    times = np.linspace(0, 0.4, 9)
    found = _between(moments, shapes, times)
    np.testing.assert_allclose(found[:, 0], times[:, None] * np.array([1.0, -2.0, 0.5]), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_between_needs_no_more_than_one_shape(count: int) -> None:
    shapes = np.arange(count, dtype=np.float32)[:, None, None] * np.ones((1, 4, 3), np.float32)
    found = _between(np.arange(count) * 0.5, shapes, np.array([0.0, 0.25, 0.5]))
    np.testing.assert_allclose(found[:, 0, 0], [0, 0, 0] if count == 1 else [0, 0.5, 1.0])


@pytest.mark.parametrize(("apart", "window"), [(0.02, 3), (0.1, 3), (0.2, 5)])
def test_smoothing_never_reaches_over_several_looks(apart: float, window: int) -> None:
    assert _calm(np.arange(5) * apart, np.arange(30) / 30) == window
