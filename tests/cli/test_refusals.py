"""Bad inputs: the right exit code, exactly one sentence on stderr, nothing left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from clips import disc_clip, posed_scene
from PIL import Image

from lim_cli.cli.main import run


@pytest.fixture(autouse=True)
def _weights(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIM_WEIGHTS", str(tiny_weights))
    monkeypatch.delenv("LIM_DEBUG", raising=False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """Runs a command that must fail with `code`; returns its one sentence."""
    capsys.readouterr()
    assert run([str(a) for a in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    *logs, sentence = captured.err.splitlines()
    assert sentence.startswith("lim: ")
    assert all(line.startswith("Matte of ") for line in logs)  # what was found out before it failed
    return sentence


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.rglob("*")}


@pytest.fixture
def reconstruct(tmp_path: Path) -> list[object]:
    (tmp_path / "out").mkdir()
    return ["reconstruct", "-o", tmp_path / "out" / "a.glb", "--device", "cpu"]


def test_no_such_file(capsys: pytest.CaptureFixture[str], reconstruct: list[object], tmp_path: Path) -> None:
    assert "absent.mp4" in refused(capsys, *reconstruct, tmp_path / "absent.mp4")
    assert names(tmp_path / "out") == set()


def test_text_that_calls_itself_a_video(
    capsys: pytest.CaptureFixture[str], reconstruct: list[object], tmp_path: Path
) -> None:
    (tmp_path / "a.mp4").write_text("not a video at all\n" * 50)
    refused(capsys, *reconstruct, tmp_path / "a.mp4", "--workdir", tmp_path / "run")
    assert names(tmp_path / "out") == set()
    assert names(tmp_path / "run") <= {".lock"}


def test_an_empty_matte(capsys: pytest.CaptureFixture[str], reconstruct: list[object], tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for n in range(3):
        Image.fromarray(np.zeros((32, 32, 4), np.uint8)).save(tmp_path / "clip" / f"{n}.png")
    refused(capsys, *reconstruct, tmp_path / "clip", "--matte", "alpha")
    assert names(tmp_path / "out") == set()


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: "{ not json",
        lambda table: json.dumps({}),
        lambda table: json.dumps({**table, "frames": [{**table["frames"][0], "transform_matrix": [[1, 2]]}]}),
        lambda table: json.dumps({**table, "frames": [{**table["frames"][0], "file_path": "../../secret.png"}]}),
        lambda table: json.dumps({**table, "frames": [{**table["frames"][0], "file_path": "/etc/passwd"}]}),
    ],
    ids=["no json", "no frames", "broken matrix", "path above", "absolute path"],
)
def test_broken_transforms(
    capsys: pytest.CaptureFixture[str],
    reconstruct: list[object],
    tmp_path: Path,
    damage: object,
) -> None:
    scene = posed_scene(tmp_path / "scene", times=1)
    Image.fromarray(np.zeros((64, 64, 4), np.uint8)).save(tmp_path / "secret.png")
    file = scene / "transforms.json"
    file.write_text(damage(json.loads(file.read_text())))  # type: ignore[operator]
    assert "transforms.json" in refused(capsys, *reconstruct, scene)
    assert names(tmp_path / "out") == set()


def test_missing_weights(capsys: pytest.CaptureFixture[str], reconstruct: list[object], tmp_path: Path) -> None:
    clip = disc_clip(tmp_path / "clip", frames=1)
    (tmp_path / "weights" / "v1" / "lrm").mkdir(parents=True)
    (tmp_path / "weights" / "v1" / "lrm" / "config.json").write_text("{}")
    text = refused(capsys, *reconstruct, clip, "--weights", tmp_path / "weights", code=3)
    assert "canonical_lim" in text
    assert "views" in text
    refused(capsys, *reconstruct, clip, "--weights", tmp_path / "nowhere", code=3)
    assert names(tmp_path / "out") == set()


def test_an_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    clip = disc_clip(tmp_path / "clip", frames=1)
    (tmp_path / "file").write_text("")
    refused(capsys, "reconstruct", clip, "-o", tmp_path / "file" / "a.glb")
    refused(capsys, "reconstruct", clip, "-o", tmp_path / "a.obj")
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        refused(capsys, "reconstruct", clip, "-o", tmp_path / "locked" / "a.glb")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    refused(capsys, "data", "sample", "-o", full)
    assert names(full) == {"mine.txt"}


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (["views"], "lim ingest"),
        (["keyframes"], "lim views"),
        (["track"], "lim views"),
        (["texture"], "lim views"),
        (["export", "-o", "a.glb"], "lim texture"),
        (["render", "-o", "pictures"], "lim keyframes"),
    ],
)
def test_a_stage_names_the_command_to_run_first(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    first: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(capsys, *command, "absent")
    (tmp_path / "run").mkdir()
    text = refused(capsys, *command, "run")
    if command[0] != "render":
        assert "lim ingest" in text
    assert names(tmp_path / "run") <= {".lock"}
    if command[0] == "views":
        return
    (tmp_path / "run" / "00_clip").mkdir()
    assert first in refused(capsys, *command, "run")


def test_usage_errors_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--frobnicate" in refused(capsys, "track", "--frobnicate")
    assert "reconstruct" in refused(capsys, "reconstuct")
    assert "lim track --help" in refused(capsys, "track")
    assert "fps" in refused(capsys, "track", "run", "--fps", "0").lower()
