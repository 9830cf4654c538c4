from __future__ import annotations

from pathlib import Path

import pytest
import torch
from one_batch import one_batch
from tiny_models import tiny_matching

from lim_cli.core.config import to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.models.checkpoints import save_model
from lim_cli.models.presets import load_lim
from lim_cli.training.config import TrainConfig
from lim_cli.training.restoration import RestorationTask, _triples, with_restoration
from lim_cli.training.task import matching_to_train
from lim_cli.training.tasks import build_task


@pytest.fixture(scope="module")
def plain_lim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("lim")
    lim = tiny_matching()
    save_model(folder, lim, to_plain(lim.config))
    return folder


def config(teachers: dict[str, str], initial: Path) -> TrainConfig:
    return TrainConfig(
        task="lim", restoration=True, initial=str(initial), teacher=teachers["rgb"], preset="tiny", replays=2, rays=64,
        points=128, surface=64,
    )  # fmt: skip


@pytest.fixture
def task(teachers: dict[str, str], plain_lim: Path) -> RestorationTask:
    torch.manual_seed(0)
    built = build_task(config(teachers, plain_lim))
    assert isinstance(built, RestorationTask)
    return built


def test_it_learns_and_the_rest_of_lim_stays(task: RestorationTask) -> None:
    kept = {name: value.clone() for name, value in task.model.state_dict().items() if "restoration" not in name}
    batch = one_batch(task)

    def losses() -> tuple[float, float]:
        with torch.no_grad():
            loss, metrics = task.eval()(batch, torch.Generator().manual_seed(0))
        return float(loss), float(metrics["before"])

    start = losses()
    optimizer = torch.optim.Adam([p for p in task.model.parameters() if p.requires_grad], 3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        loss, _ = task.train()(batch, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    end = losses()
    assert end[0] < 0.9 * start[0]
    assert end[1] == start[1]
    assert all(torch.equal(value, task.model.state_dict()[name]) for name, value in kept.items())


def test_clips_are_learned_from_again(task: RestorationTask) -> None:
    generator, batch = torch.Generator().manual_seed(0), one_batch(task)
    counts = [len(task._replays.joined(task._known(batch, generator), generator)["planes"]) for _ in range(2)]
    assert counts == [1, 3]


def test_planes_are_moved_as_the_surface_moved(task: RestorationTask) -> None:
    """Planes that hold where they are say afterwards where the middle's points were, and will be."""
    known = task._known(one_batch(task), torch.Generator().manual_seed(0))
    shape = known["planes"].shape
    ramp = (torch.arange(shape[-1]) + 0.5) / shape[-1] * 2 - 1
    known["planes"] = ramp.expand(shape).half()  # every cell of every plane knows its first axis
    source, target, alpha, _, _ = _triples(known, None)
    first, middle, last = 0, 2, 3
    tracks = known["tracks"][0, middle].float()
    assert (tracks[first] - tracks[last]).norm(dim=-1).mean() > 0.02
    read = torch.nn.functional.grid_sample(
        torch.cat([source[:1], target[:1]]), tracks[middle, :, :2].expand(2, -1, -1)[:, None], align_corners=False
    )[:, 0, 0]
    errors = [(read[n] - tracks[end, :, 0]).abs().mean() for n, end in enumerate((first, last))]
    still = [(tracks[middle, :, 0] - tracks[end, :, 0]).abs().mean() for end in (first, last)]
    assert sum(errors) < 0.6 * sum(still)
    wanted = (known["alpha"][0, middle] - known["alpha"][0, first]) / known["alpha"][0, last]
    torch.testing.assert_close(alpha.flatten(), wanted.expand(3))


def test_training_goes_on_from_a_restoration(task: RestorationTask, teachers: dict[str, str], tmp_path: Path) -> None:
    """Restoration keeps it; whatever else is trained leaves it out, since it is learned last."""
    assert task.model.restoration is not None
    torch.nn.init.ones_(task.model.restoration.residual.output.bias)
    save_model(tmp_path, task.model, task.plain)
    again = with_restoration(load_lim(tmp_path))
    assert again.restoration is not None
    assert bool((again.restoration.residual.output.bias == 1).all())
    learning = {name for name, parameter in again.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, _ in again.named_parameters() if name.startswith("restoration.")}

    teacher = task._frozen[0]
    plain = TrainConfig(task="lim", initial=str(tmp_path), teacher=teachers["rgb"], preset="tiny")
    matching = matching_to_train(plain, teacher)
    assert matching.restoration is None
    own = again.scene_flow.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in matching.scene_flow.state_dict().items())


def test_only_a_lim_that_makes_triplanes_has_one(teachers: dict[str, str], tmp_path: Path) -> None:
    canonical = tiny_matching("canonical")
    save_model(tmp_path, canonical, to_plain(canonical.config))
    with pytest.raises(ConfigError, match="makes triplanes"):
        build_task(config(teachers, tmp_path))


def test_it_needs_a_lim_to_begin_with() -> None:
    with pytest.raises(ConfigError, match="--initial FOLDER: a trained LIM"):
        TrainConfig(task="lim", teacher="x", restoration=True)
    with pytest.raises(ConfigError, match="for lim alone"):
        TrainConfig(task="lrm", initial="x", restoration=True)
