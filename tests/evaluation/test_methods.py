"""Methods on one interval of the tiny release, and Table 1 made from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lim_cli.core.config import to_plain
from lim_cli.core.errors import ConfigError, WeightsError
from lim_cli.evaluation.cases import Case, procedural_cases
from lim_cli.evaluation.interpolation import compare
from lim_cli.evaluation.methods import (
    FLOW,
    IN_A_CLIP,
    LINEAR,
    ORACLE,
    SMOOTH,
    STRAIGHT,
    TRUE_MOTION,
    Ends,
    flow_and_lrm,
    interpolators,
    linear,
    oracle,
    smooth,
    straight,
    true_motion,
)
from lim_cli.models.checkpoints import save_model
from lim_cli.models.lim import LIM
from lim_cli.models.presets import lim_config
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks


@pytest.fixture(scope="module")
def networks(tiny_weights: Path) -> Networks:
    return Networks("cpu", weights=tiny_weights)


@pytest.fixture(scope="module")
def case() -> Case:
    return next(procedural_cases(1, gap=0.3))


@pytest.fixture(scope="module")
def ends(networks: Networks, case: Case) -> Ends:
    return Ends(networks, case)


def test_linear_is_the_mean_of_the_ends_and_the_oracle_sees_the_middle(ends: Ends, networks: Networks) -> None:
    assert ends.source is ends.source  # encoded once
    mean = (ends.source.triplane[0] + ends.target.triplane[0]) / 2
    torch.testing.assert_close(linear(ends, 0.5), mean)
    true = networks.encode(ends.case.middles[0].views, ends.case.cameras).triplane[0]
    torch.testing.assert_close(oracle(ends, 0.5), true)
    assert float((flow_and_lrm(ends, 0.5) - true).abs().mean()) < float((linear(ends, 0.5) - true).abs().mean())


def test_ceilings_move_the_planes_by_true_motion(ends: Ends, networks: Networks) -> None:
    ways = (("true", true_motion), ("smooth", smooth), ("straight", straight))
    found = {name: method(ends, 0.5) for name, method in ways}
    assert all(torch.isfinite(planes).all() for planes in found.values())
    assert all((found["true"] - found[name]).abs().max() > 0 for name in ("smooth", "straight"))
    motion = ends.case.motion
    assert motion is not None
    first, last = motion((0.0, 1.0))
    assert np.linalg.norm(last - first, axis=-1).mean() > 0.01

    def moving(places: Callable[[float], float]) -> Ends:
        def moved(alphas: Sequence[float]) -> np.ndarray:
            return first + np.float32([0.2, 0, 0]) * np.float32([places(a) for a in alphas])[:, None, None]

        beyond = {"before": lambda: ends.case.ends[0], "after": lambda: ends.case.ends[1]}
        return Ends(networks, replace(ends.case, motion=moved, **beyond))

    # where nothing moves, the blend is what is left; what moves smoothly, smooth ways are those of
    torch.testing.assert_close(true_motion(moving(lambda _: 1), 0.5), linear(ends, 0.5), atol=1e-5, rtol=1e-5)
    cubic = moving(lambda a: a**3 - a)
    torch.testing.assert_close(smooth(cubic, 0.5), true_motion(cubic, 0.5), atol=1e-4, rtol=1e-4)
    assert (straight(cubic, 0.5) - true_motion(cubic, 0.5)).abs().max() > 0.01
    with pytest.raises(ConfigError, match="truly moves"):
        straight(Ends(networks, replace(ends.case, motion=None)), 0.5)


def test_ceilings_are_rows_of_their_own(networks: Networks, case: Case) -> None:
    report = compare(networks, [case], ceilings=True, neighbours=True)
    (table,) = report.result.values()
    assert list(table) == [LINEAR, FLOW, "LIM", IN_A_CLIP, STRAIGHT, SMOOTH, TRUE_MOTION, ORACLE]


def test_lim_is_what_a_reconstruction_uses(ends: Ends, networks: Networks) -> None:
    found = interpolators(networks, {})["LIM"](ends, 0.3)
    torch.testing.assert_close(found, Interval(networks, ends.source, ends.target).triplane(0.3))


def fresh_lim(folder: Path, blocks: int, kind: str = "rgb") -> Path:
    config = lim_config("tiny", kind, blocks=blocks)  # type: ignore[arg-type]
    torch.manual_seed(0)
    save_model(folder, LIM(config), to_plain(config))
    return folder


def test_a_lim_of_more_blocks_gets_as_many_features(tiny_weights: Path, tmp_path: Path, case: Case) -> None:
    networks = Networks("cpu", weights=tiny_weights)
    assert networks.lrm.config.kept_features < 3 <= len(networks.lrm.blocks)
    deep = interpolators(networks, {"deep": fresh_lim(tmp_path / "deep", 3)})["deep"]
    ends = Ends(networks, case)
    torch.testing.assert_close(deep(ends, 0.25), linear(ends, 0.25), atol=1e-4, rtol=1e-4)  # a fresh warp head blends
    with pytest.raises(WeightsError, match="4 blocks"):
        interpolators(networks, {"x": fresh_lim(tmp_path / "x", 4)})
    with pytest.raises(WeightsError, match="no LIM of this release"):
        interpolators(networks, {"x": fresh_lim(tmp_path / "y", 2, "canonical")})


def test_table_1_has_every_row_and_a_lim_given_twice_scores_twice_the_same(networks: Networks, case: Case) -> None:
    found = compare(networks, [case], more={"again": networks.release / "lim"}, samples=24)
    ((group, table),) = found.result.items()
    assert group == "procedural, gap 0.3, alpha 0.5"
    assert list(table) == [LINEAR, FLOW, "LIM", "again", ORACLE]
    assert table["again"] == table["LIM"] != table[LINEAR]
    assert found.columns == ["truth", *table]
    assert len(found.strip) == 1
    assert len(found.strip[0].pictures) == 6
    assert any("times as long" in note for note in found.notes)


def test_cases_judged_at_a_time_score_what_they_score_alone(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # one thread a case: products of two add up in another order
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone, together = (
            compare(networks, procedural_cases(3, gap=0.3, views=1), samples=16, jobs=jobs) for jobs in (1, 2)
        )
    finally:
        torch.set_num_threads(threads)
    assert together.result == alone.result
    assert together.cases == alone.cases
    assert len(together.cases) == 3
    for one, other in zip(alone.strip, together.strip, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one.pictures, other.pictures, strict=True))
    assert any("2 at a time" in note for note in together.notes)
