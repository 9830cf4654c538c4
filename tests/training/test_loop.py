from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lim_cli.core.config import from_plain, to_plain
from lim_cli.core.errors import ConfigError, MissingError, NumericalError
from lim_cli.diffusion.configs import TINY as DENOISER
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser
from lim_cli.diffusion.pipeline import save_pipeline
from lim_cli.models.checkpoints import load_model, save_model
from lim_cli.models.lim import LIM
from lim_cli.models.presets import build_lim, build_lrm, lim_config, load_lim
from lim_cli.training import loop, tasks
from lim_cli.training import task as task_module
from lim_cli.training.config import LIMLossWeights, TrainConfig, recipe
from lim_cli.training.loop import train
from lim_cli.training.losses import FieldLossWeights
from lim_cli.training.tasks import LIMTask, generator_for

TINY = TrainConfig(
    preset="tiny", steps=4, batch_size=2, workers=0, rays=16, points=64, surface=16, warmup=1, log_every=1,
    evaluate_samples=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def task(name: str, teachers: dict[str, str], **changes: object) -> TrainConfig:
    return replace(
        TINY,
        task=name,
        teacher=teachers["rgb"],
        canonical_teacher=teachers["canonical"],
        **changes,  # type: ignore[arg-type]
    )


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("lrm", "match"), ("canonical_lrm", "match"), ("lim", "match"), ("lim", "warp"), ("canonical_lim", "match"),
        ("canonical_lim", "flow"), ("canonical_lim", "warp"), ("canonical_lim", "residual"), ("views", "match"),
        ("camera", "match"),
        ("volume", "match"),
    ],
)  # fmt: skip
def test_every_task_takes_steps(name: str, head: str, teachers: dict[str, str], tmp_path: Path) -> None:
    result = train(task(name, teachers, steps=2, lim_head=head), tmp_path / "run")
    assert torch.isfinite(torch.tensor(list(result.values()))).all()
    steps = [entry for entry in log_of(tmp_path / "run") if "loss" in entry]
    assert [entry["step"] for entry in steps] == [1, 2]
    # an untrained LRM shows no surface to match; tests/training/test_matching.py lends it one
    assert all(entry["norm"] > 0 for entry in steps) or (name, head) == ("canonical_lim", "match")
    if name not in ("views", "camera", "volume"):
        config = load_model(tmp_path / "run" / "model", build_lrm if name.endswith("lrm") else build_lim).config
        # what matches surfaces matches LRM's, whatever it says of them
        kind = config.kind if head == "match" and name.endswith("lim") else config.field.kind
        assert kind == ("canonical" if name.startswith("canonical") else "rgb")


@pytest.mark.parametrize("name", ["lrm", "lim", "canonical_lim", "volume"])
def test_bfloat16_takes_steps_on_a_cpu(name: str, teachers: dict[str, str], tmp_path: Path) -> None:
    config = task(name, teachers, steps=2, precision="bf16", replays=1 if name.endswith("lim") else 0)
    result = train(config, tmp_path / "run")
    assert torch.isfinite(torch.tensor(list(result.values()))).all()


def test_feedback_takes_steps_in_bfloat16(teachers: dict[str, str], tmp_path: Path) -> None:
    train(replace(TINY, feedback=True, initial=teachers["rgb"], replays=1, steps=2, precision="bf16"), tmp_path / "run")
    assert all(entry["norm"] > 0 for entry in log_of(tmp_path / "run") if "loss" in entry)


@pytest.mark.parametrize(("name", "optimizer"), [("lrm", "muon"), ("lrm", "adam"), ("lim", "muon")])
def test_a_resumed_run_is_the_same_run(name: str, optimizer: str, teachers: dict[str, str], tmp_path: Path) -> None:
    config = task(name, teachers, optimizer=optimizer)
    train(config, tmp_path / "whole")
    train(config, tmp_path / "halves", stop_at=2)
    assert json.loads((tmp_path / "halves/state/state.json").read_text())["step"] == 2
    train(config, tmp_path / "halves", resume=True)
    whole, halves = (load_file(tmp_path / f / "state/model.safetensors") for f in ("whole", "halves"))
    assert whole.keys() == halves.keys()
    assert all(torch.equal(whole[k], halves[k]) for k in whole)
    losses = [[e["loss"] for e in log_of(tmp_path / f) if "loss" in e] for f in ("whole", "halves")]
    assert losses[0] == losses[1]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    train(replace(TINY, steps=16, batch_size=4, learning_rate=3e-3), tmp_path / "run")
    losses = [e["loss"] for e in log_of(tmp_path / "run") if "loss" in e]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:3]) * 5 / 3


def test_runs_are_not_mixed_up(tmp_path: Path) -> None:
    config = replace(TINY, steps=1)
    with pytest.raises(MissingError, match="without --resume"):
        train(config, tmp_path / "run", resume=True)
    train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match="already holds a run"):
        train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match="'batch_size' was 2 and is now 3"):
        train(replace(config, batch_size=3), tmp_path / "run", resume=True)
    train(replace(config, log_every=7), tmp_path / "run", resume=True)  # how it is watched may change


@pytest.mark.parametrize("log_every", [1, 100])
def test_a_diverged_run_says_so_and_keeps_the_last_good_state(
    log_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, log_every=log_every)
    train(config, tmp_path / "run", stop_at=2)
    original = loop._step

    def broken(*arguments: object) -> dict[str, torch.Tensor]:
        return {k: v * torch.nan for k, v in original(*arguments).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_step", broken)
    with pytest.raises(NumericalError, match="diverged at step"):
        train(config, tmp_path / "run", resume=True)
    assert json.loads((tmp_path / "run/state/state.json").read_text())["step"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"evaluate_samples": 0}, "evaluate_samples must be at least 1"),
        ({"minutes": 0.0}, "minutes must be positive"),
        ({"field_loss": FieldLossWeights(edges=1.0)}, "set patch"),
        ({"task": "lim"}, "needs --teacher"),
        ({"task": "canonical_lim"}, "needs --teacher"),
        ({"task": "canonical_lim", "teacher": "x", "lim_head": "warp"}, "needs --canonical-teacher"),
        ({"task": "lim", "teacher": "x", "lim_head": "flow"}, "canonical_lim's alone"),
        ({"task": "lim", "teacher": "x", "lim_head": "warp", "replays": 2}, "lim_head=match and feedback alone"),
        ({"task": "lrm", "replays": 2}, "lim_head=match and feedback alone"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TINY, **changes)  # type: ignore[arg-type]


class SmallBackbone:
    """A perceptual distance of the real one's form, on one random layer."""

    def __init__(self, *, backbone: str) -> None:
        self.network = torch.nn.Conv2d(3, 4, 3).requires_grad_(False)

    def __call__(self, found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return (self.network(found) - self.network(wanted)).square().mean((1, 2, 3))


def test_the_perceptual_loss_trains_and_is_no_part_of_the_model(
    teachers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_module, "Lpips", SmallBackbone)
    weights = FieldLossWeights(perceptual=1.0, edges=0.5)
    for name in ("lrm", "lim"):
        config = task(name, teachers, steps=1, patch=4, field_loss=weights)
        train(config, tmp_path / name)
        first = log_of(tmp_path / name)[0]
        assert first["perceptual"] > 0
        assert first["edges"] > 0
        assert not any("perceptual" in key for key in load_file(tmp_path / name / "state/model.safetensors"))
        module = tasks.build_task(config).to(torch.float64)
        assert module._perceptual[0].network.weight.dtype == torch.float64


def test_the_papers_recipe_names_a_missing_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config = from_plain(TrainConfig, {**to_plain(TINY), **recipe("paper"), "patch": 8, "rays": 64})
    with pytest.raises(MissingError, match="LPIPS needs"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_view_model_goes_on_from_a_pipeline_folder(tmp_path: Path) -> None:
    denoiser = MultiviewVideoDenoiser(DENOISER)
    save_pipeline(denoiser, tmp_path / "views", dtype=torch.float32)
    module = tasks.build_task(replace(TINY, task="views", initial=str(tmp_path / "views")))
    assert all(torch.equal(t, denoiser.state_dict()[k]) for k, t in module.model.state_dict().items())


def test_clips_of_the_view_model_are_as_long_as_asked_and_as_noisy(tmp_path: Path) -> None:
    noisy = from_plain(
        TrainConfig, {**to_plain(TINY), "task": "views", "clip_length": 1, "denoising": {"pure_noise": 1.0}}
    )
    module = tasks.build_task(noisy)
    assert module.spec.clip_length == 1
    assert tasks.build_task(replace(noisy, clip_length=99)).spec.clip_length == DENOISER.frames
    train(replace(noisy, steps=1), tmp_path / "run")
    (step,) = [entry for entry in log_of(tmp_path / "run") if "loss" in entry]
    assert step["from_noise"] == step["colour"]  # every picture was made from noise alone


@pytest.mark.parametrize(("name", "head"), [("lim", "warp"), ("canonical_lim", "flow")])
def test_additions_can_be_left_out(name: str, head: str, teachers: dict[str, str]) -> None:
    assert tasks.build_task(task(name, teachers, lim_head=head)).model.config.guided
    assert not tasks.build_task(task(name, teachers, lim_head=head, lim_guided=False)).model.config.guided
    assert tasks.build_task(TINY).model.config.lifting is not None
    assert tasks.build_task(replace(TINY, lifting=False)).model.config.lifting is None


def test_the_warp_head_learns_how_things_move_from_true_tracks(teachers: dict[str, str], tmp_path: Path) -> None:
    config = task(
        "lim", teachers, lim_head="warp", steps=72, pool=2, surface=64, learning_rate=5e-3,
        lim_loss=LIMLossWeights(motion=20.0),
    )  # fmt: skip
    train(config, tmp_path / "run")
    log = [entry for entry in log_of(tmp_path / "run") if "motion" in entry]
    assert min(entry["motion"] for entry in log[-4:]) < 0.9 * log[0]["motion"]


def test_canonical_lim_that_matches_starts_as_lim(teachers: dict[str, str], tmp_path: Path) -> None:
    train(task("lim", teachers, steps=2), tmp_path / "lim")
    lim = load_lim(tmp_path / "lim/model")
    config = task("canonical_lim", teachers, initial=str(tmp_path / "lim/model"))
    canonical = tasks.build_task(config).model
    assert (lim.config.kind, canonical.config.kind) == ("rgb", "canonical")
    assert all(torch.equal(t, lim.state_dict()[name]) for name, t in canonical.state_dict().items())
    for head, message in (("flow", "train with lim_head=match"), ("match", "holds no LIM that matches")):
        other = LIM(lim_config("tiny")) if head == "match" else lim
        save_model(tmp_path / head, other, to_plain(other.config))
        with pytest.raises(ConfigError, match=message):
            tasks.build_task(replace(config, lim_head=head, initial=str(tmp_path / head)))


def test_schedule_warms_up_and_falls() -> None:
    config = replace(TINY, warmup=10)
    assert loop._schedule(0.0, 0, config) == pytest.approx(0.1)
    assert loop._schedule(0.0, 9, config) == pytest.approx(1.0)
    assert loop._schedule(1.0, 99, config) == pytest.approx(0.02)


def test_random_numbers_belong_to_a_step() -> None:
    def draw(*key: int) -> float:
        return torch.rand(1, generator=generator_for(key[0], key[1], "cpu", key[2])).item()

    assert draw(0, 3, 0) == draw(0, 3, 0)
    assert len({draw(0, 3, 0), draw(1, 3, 0), draw(0, 4, 0), draw(0, 3, 1)}) == 4


def test_teachers_are_neither_saved_nor_trained(teachers: dict[str, str]) -> None:
    module = LIMTask(task("canonical_lim", teachers, lim_blocks=3, lim_head="warp"))
    assert not any("frozen" in name for name in module.state_dict())
    assert not any(p.requires_grad for teacher in module._frozen for p in teacher.parameters())
    assert all(teacher.config.kept_features == 3 for teacher in module._frozen)
    assert module.to(torch.float64)._frozen[0].tokens.dtype == torch.float64


@pytest.mark.slow
@pytest.mark.parametrize("minutes", ["0", "0.05"])
def test_two_processes_stay_in_step(minutes: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_processes.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(script.parents[2])}
    found = subprocess.run(
        [*launch, str(script), str(tmp_path / "run"), minutes], env=environment, capture_output=True, timeout=300
    )
    assert found.returncode == 0, found.stderr.decode()[-2000:]
    assert (tmp_path / "run" / "agreed").exists()
