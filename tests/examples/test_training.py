from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lim_cli.cli.train import resolve

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
