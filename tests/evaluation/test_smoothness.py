from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lim_cli.evaluation.cases import procedural_cases
from lim_cli.evaluation.smoothness import compare_smoothness, evenness, film_steps
from lim_cli.stages.networks import Networks


def sliding_bar(places: np.ndarray) -> np.ndarray:
    """A black bar 20 pixels wide whose left edge is at each of `places`: [alpha, 16, 128, 4] uint8."""
    columns = np.arange(128) + 0.5
    opacity = np.clip(np.minimum(columns - places[:, None] + 0.5, places[:, None] + 20.5 - columns), 0, 1)
    film = np.zeros((len(places), 16, 128, 4), np.uint8)
    film[..., 3] = (opacity[:, None] * 255 + 0.5).astype(np.uint8)
    return film


def test_an_even_motion_has_equal_steps() -> None:
    steps = film_steps(sliding_bar(np.linspace(10, 42, 33)))
    np.testing.assert_allclose(steps, 2 / 128, rtol=1e-3)  # one column appears, one goes
    assert evenness(steps) == {"unevenness": pytest.approx(1, abs=1e-3), "jump_at_keyframe": pytest.approx(1, abs=1e-3)}


def test_a_jump_at_the_last_keyframe_is_found() -> None:
    places = np.linspace(10, 42, 33)
    places[-1] += 4
    found = evenness(film_steps(sliding_bar(places)))
    assert found["unevenness"] == found["jump_at_keyframe"] == pytest.approx(5, abs=0.01)


def test_a_jump_on_the_way_is_none_at_a_keyframe() -> None:
    places = np.linspace(10, 42, 33)
    places[16:] += 4
    found = evenness(film_steps(sliding_bar(places)))
    assert found["unevenness"] == pytest.approx(5, abs=0.01)
    assert found["jump_at_keyframe"] == pytest.approx(1, abs=0.01)


def test_every_method_has_a_curve_and_a_still_object_none(tiny_weights: Path) -> None:
    case = next(procedural_cases(1, gap=0.3, views=1))
    small = replace(case, novel=case.novel.resized((24, 24)), middles=())  # no truth at 33 alphas: no such row
    still = replace(small, ends=small.ends[[0, 0]], group="still", name="still")
    found = compare_smoothness(Networks("cpu", weights=tiny_weights), [small, still], samples=16)
    assert list(found.result) == [case.group, "still", "all"]
    assert list(found.result[case.group]) == ["Linear", "LIM"]
    assert float(found.result[case.group]["Linear"]["unevenness"]) >= 1
    assert {len(curve) for curve in found.curves[case.name].values()} == {32}
    assert set(found.curves["still"]["Linear"]) == {0.0}
