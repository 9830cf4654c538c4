"""Batches of real clips over tiny trained models, and configurations that repeat a run."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import disc_clip

from lim_cli.cli.main import run

TINY = ["track.resolution=40", "track.step_resolution=32", "texture.size=64", "texture.observations=4"]
OPTIONS = ["--vertices", "200", "--fps", "6", *(part for text in TINY for part in ("--set", text))]

Lim = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def lim(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Lim:
    """Runs `lim reconstruct ... --json` in a folder of its own; returns the exit code and what it printed."""
    monkeypatch.setenv("LIM_WEIGHTS", str(tiny_weights))
    monkeypatch.delenv("LIM_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
        code = run(["reconstruct", *map(str, arguments), "--device", "cpu", "--json"])
        out = capsys.readouterr().out
        return code, [json.loads(text) for text in ([out] if out.startswith("{\n") else out.splitlines())]

    return call


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips in `clips`, two of one name, and a text that calls itself a video."""
    folder = tmp_path / "clips"
    disc_clip(folder / "one" / "disc", frames=2)
    shutil.copytree(folder / "one", folder / "two")
    disc_clip(folder / "two" / "näxt disc", frames=1)
    (folder / "one" / "text.mp4").write_text("not a video\n" * 50)
    return folder


def statuses(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {Path(line["output"]).stem: line["status"] for line in lines}


def test_a_batch_goes_on_past_a_bad_clip_and_is_not_done_twice(lim: Lim, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    everything = [clips / "*" / "*", "-o", out, *OPTIONS]
    code, lines = lim(*everything, "--preview", out)
    assert code == 2
    expected = {"one_disc": "done", "two_disc": "done", "näxt disc": "done", "text": "failed"}
    assert statuses(lines) == expected
    bad = next(line for line in lines if line["status"] == "failed")
    assert (bad["exit_code"], bad["result"]) == (2, None)
    assert "text.mp4" in bad["error"]
    assert next(line for line in lines if line["status"] == "done")["result"]["vertices"] > 0

    summary = json.loads((out / "batch.json").read_text())
    assert (summary["done"], summary["skipped"], summary["failed"], summary["waiting"]) == (3, 0, 1, 0)
    assert statuses(summary["clips"]) == expected
    assert set(summary["clips"][0]) == {"input", "status", "output", "seconds", "error", "exit_code"}
    assert not (out / "text.glb").exists()
    assert (out / "one_disc.glb").read_bytes() != (out / "two_disc.glb").read_bytes()  # the names inside differ

    # Again: all but the bad one are there. Only what changed is done again: an input, a result, an option.
    made = {path: path.stat().st_mtime_ns for path in out.glob("*.glb")}
    assert set(statuses(lim(*everything)[1]).values()) == {"skipped", "failed"}
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.glb")} == made
    disc_clip(tmp_path / "other", frames=3)
    shutil.copy(tmp_path / "other" / "002.png", clips / "one" / "disc" / "001.png")
    (out / "two_disc.glb").write_bytes(b"damaged")
    changed = statuses(lim(*everything)[1])
    assert changed == {"one_disc": "done", "two_disc": "done", "näxt disc": "skipped", "text": "failed"}
    shard = [*everything, "--set", "texture.size=128", "--shard", "3/4"]
    assert statuses(lim(*shard)[1]) == {"two_disc": "done"}
    assert statuses(lim(*shard, "--fresh")[1]) == {"two_disc": "done"}
    assert json.loads((out / "batch-3-of-4.json").read_text())["done"] == 1


def test_a_second_file_that_went_away_is_made_again(lim: Lim, clips: Path, tmp_path: Path) -> None:
    both = [clips / "two" / "n*", "-o", tmp_path / "out", *OPTIONS, "--anim", "both"]
    assert set(statuses(lim(*both)[1]).values()) == {"done"}
    assert set(statuses(lim(*both)[1]).values()) == {"skipped"}
    (tmp_path / "out" / "näxt disc_skin.glb").unlink()
    assert set(statuses(lim(*both)[1]).values()) == {"done"}
    assert (tmp_path / "out" / "näxt disc_skin.glb").is_file()


def test_weights_that_are_missing_refuse_a_whole_batch(lim: Lim, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert lim(clips / "*" / "*", "-o", tmp_path / "out", "--weights", tmp_path / "empty") == (3, [])
    assert not (tmp_path / "out").exists()


def test_a_stored_configuration_repeats_the_run(lim: Lim, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "lim.toml").write_text("vertices = 300\nfps = 12\n\n[texture]\nsize = 64\n[track]\niterations = 1\n")
    (tmp_path / "mine.toml").write_text("fps = 8\n[track]\nstiffness = 3\nresolution = 40\nstep-resolution = 32\n")
    arguments = ["--config", "mine.toml", "--set", "track.iterations=2", "--set", "fps=7", "--fps", "6"]
    code, _ = lim(clips / "one" / "disc", "-o", "a.glb", *arguments, "--workdir", "run")
    assert code == 0
    stored = json.loads((tmp_path / "a.config.json").read_text())
    track = stored["track"]
    assert (track["vertices"], track["stiffness"], track["iterations"]) == (300, 3.0, 2)
    assert (stored["fps"], stored["texture"]["size"], stored["device"]) == (6.0, 64, "cpu")
    assert stored["input"] == str((clips / "one" / "disc").resolve())
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == stored

    (tmp_path / "lim.toml").unlink()
    assert lim("--config", "a.config.json", "-o", "sub/again.glb")[0] == 0
    assert (tmp_path / "sub" / "again.glb").read_bytes() == (tmp_path / "a.glb").read_bytes()


def test_standard_input(lim: Lim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    frames = [Image.open(path) for path in sorted(disc_clip(tmp_path / "disc", frames=2).iterdir())]
    stream = io.BytesIO()
    frames[0].save(stream, "webp", save_all=True, append_images=frames[1:], lossless=True, duration=100)
    for content, expected in ((stream.getvalue(), 0), (b"", 2), (b"nonsense", 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert lim("-", "-o", "a.glb", *OPTIONS)[0] == expected
    assert json.loads((tmp_path / "a.config.json").read_text())["input"] == "-"
