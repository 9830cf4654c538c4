from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lim_cli.cli.main import run
from lim_cli.cli.train import resolve
from lim_cli.core.errors import ConfigError
from lim_cli.data.scene_folder import read_scene
from lim_cli.models.presets import load_lrm

TINY = [
    *("--preset", "tiny", "--steps", "2", "--batch-size", "2", "--workers", "0", "--device", "cpu"),
    *("--set", "rays=16", "--set", "points=64", "--set", "surface=16", "--set", "evaluate_samples=2"),
]


def test_sampled_scenes_can_be_read_and_are_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = ["data", "sample", "--count", "2", "--times", "2", "--size", "32", "--seed", "3"]
    for name in ("a", "b"):
        assert run([*sample, "-o", str(tmp_path / name), "--json"]) == 0
    assert "000/transforms.json" in json.loads(capsys.readouterr().out.split("}\n")[0] + "}")["files"]
    first, second = (read_scene(tmp_path / name / "001") for name in ("a", "b"))
    assert first.keyframes[0].rgba.shape == (4, 32, 32, 4)
    assert len(first.keyframes) == 2
    assert np.array_equal(first.keyframes[1].rgba, second.keyframes[1].rgba)
    assert Image.open(tmp_path / "a" / "contact_sheet.png").size == (5 * 96, 2 * 96)


def test_sampling_refuses_what_does_not_fit(tmp_path: Path) -> None:
    assert run(["data", "sample", "-o", str(tmp_path / "a"), "--kind", "assets"]) == 2
    assert run(["data", "sample", "-o", str(tmp_path / "a"), "--kind", "nothing"]) == 2
    assert run(["data", "sample", "-o", str(tmp_path / "a"), "--kind", "assets", "--assets", "absent"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_speed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "speed", "--seconds", "0.1", "--size", "16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images_per_second"] > 0


def test_training_and_going_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "lrm"
    assert run(["train", "lrm", "-o", str(folder), *TINY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluation"]["loss"] > 0
    assert load_lrm(folder / "model").config.plane_tokens == 4
    assert run(["train", "lrm", "-o", str(folder), *TINY]) == 2  # a run is there
    assert run(["train", "lrm", "-o", str(folder), *TINY, "--resume"]) == 0


def test_settings_come_from_file_set_and_options_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('preset = "tiny"\nsteps = 7\nbatch_size = 3\n[lim_loss]\ncausal = 0.25\n')
    config = resolve("lrm", file, {"steps": 9}, ["batch_size=5", "steps=8", "field_loss.surface=2"])
    assert (config.preset, config.steps, config.batch_size) == ("tiny", 9, 5)
    assert (config.lim_loss.causal, config.field_loss.surface) == (0.25, 2.0)
    for bad in (["batchsize=5"], ["batch_size"], ["batch_size=many"], ["preset=huge"]):
        with pytest.raises(ConfigError):
            resolve("lrm", file, {}, bad)
    with pytest.raises(ConfigError, match="cannot be understood"):
        resolve("lrm", _written(tmp_path / "broken.toml", "steps = ="), {}, [])
    with pytest.raises(ConfigError, match="task"):
        resolve("lrn", None, {}, [])


def test_training_refuses_absent_folders(tmp_path: Path) -> None:
    assert run(["train", "lim", "-o", str(tmp_path / "a"), *TINY]) == 2
    assert run(["train", "lim", "-o", str(tmp_path / "a"), *TINY, "--teacher", str(tmp_path / "absent")]) == 2
    assert list(tmp_path.iterdir()) == []


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "lim_cli"]
    done = subprocess.run(
        [sys.executable, *launch, "train", "lrm", "-o", str(tmp_path / "lrm"), *TINY, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["processes"] == 2
    load_lrm(tmp_path / "lrm" / "model")


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
