"""When the tracer looks, and what it makes of the times between."""

from __future__ import annotations

import numpy as np
import pytest

from lim_cli.stages.tracer import Shape, blended
from lim_cli.stages.track_plan import between, calm, looks, spans, stops

KEYFRAMES = np.array([0.0, 0.2, 0.4])


def test_the_networks_look_at_few_output_times_themselves() -> None:
    found = looks(0.0, 0.2, np.array([0.0, 0.05, 0.1, 0.15, 0.2]), KEYFRAMES, 4)
    assert found == pytest.approx([0.05, 0.1, 0.15, 0.2])


def test_they_do_not_look_at_many() -> None:
    assert looks(0.2, 0.4, np.linspace(0, 0.4, 200), KEYFRAMES, 4) == pytest.approx([0.24, 0.28, 0.32, 0.36, 0.4])
    assert looks(0.2, 0.4, np.linspace(0, 0.4, 200), KEYFRAMES, 0) == [0.4]


def test_they_look_where_a_picture_is_near() -> None:
    assert looks(0.0, 0.2, np.linspace(0, 0.4, 200), np.array([0.0, 0.097, 0.2]), 1) == pytest.approx([0.097, 0.2])
    assert looks(0.0, 0.2, np.linspace(0, 0.4, 200), np.array([0.0, 0.01, 0.2]), 1) == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize(
    ("template", "keyframes", "expected"),
    [
        (0, 1, []),
        (0, 2, [(0, 1)]),
        (0, 5, [(0, 2), (2, 4)]),
        (0, 6, [(0, 2), (2, 4), (4, 5)]),
        (3, 6, [(3, 5), (3, 1), (1, 0)]),
        (1, 2, [(1, 0)]),
    ],
)
def test_spans_cover_all_keyframes(template: int, keyframes: int, expected: list[tuple[int, int]]) -> None:
    assert spans(template, keyframes, 2) == expected


def test_input_pictures_are_always_stops() -> None:
    assert stops(0.0, 0.2, [0.1], np.array([0.0, 0.05, 0.1, 0.2, 0.3])) == [0.05, 0.1, 0.2]


def test_shapes_between_looks_lie_on_the_straight_way() -> None:
    ends = [Shape(float(n), np.full((3, 3), n, np.float32), np.full(3, n, np.float32)) for n in (0, 1, 3)]
    assert blended(ends, 1.5).vertices[0, 0] == pytest.approx(1.5)
    assert blended(ends, 1.0).confidence[0] == pytest.approx(1.0)
    assert blended(ends[:1], 0.0).vertices[0, 0] == 0.0


def test_between_passes_through_the_shapes_and_keeps_even_motion() -> None:
    moments = np.array([0.0, 0.1, 0.25, 0.4])
    shapes = (moments[:, None, None] * np.array([1.0, -2.0, 0.5])).astype(np.float32) * np.ones((1, 5, 1), np.float32)
    times = np.linspace(0, 0.4, 9)
    found = between(moments, shapes, times)
    np.testing.assert_allclose(found[:, 0], times[:, None] * np.array([1.0, -2.0, 0.5]), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_between_needs_no_more_than_one_shape(count: int) -> None:
    shapes = np.arange(count, dtype=np.float32)[:, None, None] * np.ones((1, 4, 3), np.float32)
    found = between(np.arange(count) * 0.5, shapes, np.array([0.0, 0.25, 0.5]))
    np.testing.assert_allclose(found[:, 0, 0], [0, 0, 0] if count == 1 else [0, 0.5, 1.0])


@pytest.mark.parametrize(("apart", "window"), [(0.02, 3), (0.1, 3), (0.2, 5)])
def test_smoothing_never_reaches_over_several_looks(apart: float, window: int) -> None:
    assert calm(np.arange(5) * apart, np.arange(30) / 30) == window
