from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from one_batch import one_batch

from lim_cli.core.config import to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.models.checkpoints import save_model
from lim_cli.models.feedback import FeedbackConfig
from lim_cli.models.presets import load_lrm
from lim_cli.training.config import TrainConfig
from lim_cli.training.feedback import FeedbackTask, with_feedback
from lim_cli.training.tasks import build_task


@pytest.fixture
def task(teachers: dict[str, str]) -> FeedbackTask:
    torch.manual_seed(0)
    config = TrainConfig(
        task="lrm", feedback=True, initial=teachers["rgb"], preset="tiny", replays=1, rays=64, points=128, surface=64
    )
    built = build_task(config)
    assert isinstance(built, FeedbackTask)
    return built


def test_it_learns_and_the_rest_of_lrm_stays(task: FeedbackTask) -> None:
    kept = {name: value.clone() for name, value in task.model.state_dict().items() if "feedback" not in name}
    batch, generator = one_batch(task), torch.Generator().manual_seed(0)

    def metrics() -> dict[str, float]:
        with torch.no_grad():
            return {k: float(v) for k, v in task.eval()(batch, generator)[1].items()}

    start = metrics()
    assert start["before"] == pytest.approx(start["after"], rel=0.1)  # other samples along the rays
    optimizer = torch.optim.Adam([p for p in task.model.parameters() if p.requires_grad], 3e-3)
    for _ in range(20):
        loss, _ = task.train()(batch, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    end = metrics()
    assert end["after"] < 0.9 * end["before"]
    assert end["before"] == pytest.approx(start["before"], rel=0.1)
    assert all(torch.equal(value, task.model.state_dict()[name]) for name, value in kept.items())


def test_first_passes_are_learned_from_again(task: FeedbackTask) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = one_batch(task)
    counts = [len(task._replays.joined(task._known(batch, generator), generator)["triplane"]) for _ in range(2)]
    assert counts == [1, 2]


def test_training_goes_on_from_a_feedback(teachers: dict[str, str], tmp_path: Path) -> None:
    """An LRM that has one keeps it; one that has none gets one without effect."""
    first = with_feedback(load_lrm(Path(teachers["rgb"])))
    assert first.config.feedback == FeedbackConfig()
    assert first.feedback is not None
    torch.nn.init.ones_(first.feedback.step.output.bias)
    save_model(tmp_path, first, to_plain(first.config))
    again = with_feedback(load_lrm(tmp_path))
    assert again.feedback is not None
    assert bool((again.feedback.step.output.bias == 1).all())
    learning = {name for name, parameter in again.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, _ in again.named_parameters() if name.startswith("feedback.")}


@pytest.mark.parametrize("joint", [False, True])
def test_it_learns_as_many_rounds_as_asked_for(joint: bool, teachers: dict[str, str], tmp_path: Path) -> None:
    first = with_feedback(load_lrm(Path(teachers["rgb"])))
    save_model(tmp_path, first, to_plain(first.config))
    task = build_task(
        TrainConfig(task="lrm", joint=joint, feedback=not joint, feedback_rounds=3, initial=str(tmp_path))
    )
    save_model(tmp_path / "more", task.model, task.plain)
    more = load_lrm(tmp_path / "more")
    assert more.config.feedback == replace(FeedbackConfig(), rounds=3)
    assert set(more.state_dict()) == set(first.state_dict())  # rounds share their weights


def test_all_of_an_lrm_learns_with_its_feedback(teachers: dict[str, str]) -> None:
    """What is asked for is the mean over the first pass and every round, and all of it can change."""
    config = TrainConfig(
        task="lrm", joint=True, initial=teachers["rgb"], preset="tiny", rays=64, points=128, surface=64, warmup=1
    )
    task = build_task(config)
    batch = one_batch(task)
    loss, metrics = task.eval()(batch, torch.Generator().manual_seed(0))
    assert metrics["before"] == pytest.approx(float(metrics["after"]), rel=0.2)  # not learned yet: without effect
    assert loss.item() == pytest.approx(float(metrics["before"]), rel=0.2)
    loss.backward()
    still = {name for name, p in task.model.named_parameters() if p.grad is None or not bool(p.grad.any())}
    # a last layer of zeros lets nothing through to what is before it
    assert {name.split(".")[0] for name in still} <= {"feedback"}
    optimizer = torch.optim.Adam(task.model.parameters(), 1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        task.train()(batch, torch.Generator().manual_seed(0))[0].backward()
        optimizer.step()
    end = {k: float(v) for k, v in task.eval()(batch, torch.Generator().manual_seed(0))[1].items()}
    assert end["before"] < metrics["before"]
    assert end["after"] < end["before"]


@pytest.mark.parametrize("name", ["feedback", "joint"])
@pytest.mark.parametrize("wrong", [{"task": "canonical_lrm"}, {"initial": None}])
def test_what_it_needs(name: str, wrong: dict[str, str | None]) -> None:
    settings = {"task": "lrm", "initial": "somewhere", name: True, **wrong}
    with pytest.raises(ConfigError, match=name):
        TrainConfig(**settings)  # type: ignore[arg-type]


def test_rounds_of_a_feedback_alone() -> None:
    with pytest.raises(ConfigError, match="feedback_rounds is for"):
        TrainConfig(task="lrm", feedback_rounds=3)


def test_one_of_both() -> None:
    with pytest.raises(ConfigError, match="choose one"):
        TrainConfig(task="lrm", initial="somewhere", feedback=True, joint=True)
