from __future__ import annotations

import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lim_cli.cli.train import resolve
from lim_cli.core.config import to_plain
from lim_cli.models.checkpoints import save_model
from lim_cli.models.lrm import LRM
from lim_cli.models.presets import load_lrm, lrm_config

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "training"
TASKS = {
    "lrm": "lrm",
    "lrm_feedback": "lrm",
    "canonical_lrm": "canonical_lrm",
    "lim": "lim",
    "lim_restoration": "lim",
    "canonical_lim": "canonical_lim",
    "views": "views",
    "volume": "volume",
}
"""By recipe."""


@pytest.mark.parametrize(("recipe", "task"), TASKS.items())
def test_recipes_are_settings_of_the_trainer(recipe: str, task: str) -> None:
    assert f'task = "{task}"' in (RECIPES / f"{recipe}.toml").read_text()
    given = {"teacher": "a", "canonical_teacher": "b", "initial": "c"}
    config = resolve(task, RECIPES / f"{recipe}.toml", given, [])
    assert config.task == task
    assert config.minutes is not None


def test_ablations_are_settings_of_the_trainer() -> None:
    script = runpy.run_path(str(RECIPES / "ablations.py"))
    for task, variants in (("lrm", script["LRM"]), ("lim", script["LIM"])):
        assert not variants["as shipped"]
        configs = {
            name: resolve(task, None, {"teacher": "a"}, [f"{key}={value}" for key, value in changes.items()])
            for name, changes in variants.items()
        }
        assert len(set(map(repr, configs.values()))) == len(variants)
    assert configs["the same, no causal loss"].lim_loss.causal == 0


def test_the_mean_of_models_is_a_model(tmp_path: Path) -> None:
    config = lrm_config("tiny")
    models = []
    for seed in (0, 1, 2):
        torch.manual_seed(seed)
        models.append(LRM(config))
        save_model(tmp_path / str(seed), models[-1], to_plain(config), dtype=torch.float32)
    script, folders = str(RECIPES / "mean.py"), [str(tmp_path / name) for name in "012"]
    subprocess.run([sys.executable, script, *folders, "-o", str(tmp_path / "mean")], check=True, timeout=120)
    found = load_lrm(tmp_path / "mean").state_dict()
    for name, tensor in found.items():
        mean = sum(model.state_dict()[name] for model in models) / 3
        torch.testing.assert_close(tensor, mean, atol=1e-3, rtol=1e-2)  # stored in bfloat16

    other = replace(config, blocks=config.blocks + 1)
    save_model(tmp_path / "other", LRM(other), to_plain(other))
    command = [sys.executable, script, folders[0], str(tmp_path / "other"), "-o", str(tmp_path / "none")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 1
    assert "nothing to average" in refused.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_all_models_are_trained_in_order_and_again_from_where_they_were(tmp_path: Path) -> None:
    lim = tmp_path / "bin" / "lim"
    lim.parent.mkdir()
    lim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lim_cli "$@"\n')
    lim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{lim.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    small = ["--preset", "tiny", "--minutes", "0.02", "--batch-size", "2", "--workers", "0", "--device", "cpu"]
    sizes = [part for s in ("rays=16", "points=64", "surface=16", "evaluate_samples=2") for part in ("--set", s)]
    command = [str(RECIPES / "train_all.sh"), str(tmp_path / "runs"), *small, *sizes]
    for _ in range(2):
        subprocess.run(command, env=environment, check=True, timeout=600)
        assert all((tmp_path / "runs" / recipe / "model" / "model.safetensors").is_file() for recipe in TASKS)
