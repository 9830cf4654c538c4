"""`lim eval`: what it writes and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lim_cli.cli.main import run
from lim_cli.models.releases import weight_hash


@pytest.fixture(autouse=True)
def _weights(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIM_WEIGHTS", str(tiny_weights))
    monkeypatch.delenv("LIM_DEBUG", raising=False)


def test_a_report_says_what_made_it(tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, lim = tmp_path / "report", tiny_weights / "v1" / "lim"
    words = ["eval", "interpolation", "--count", "1", "--gap", "0.3", "--alphas", "0.25", "--lim", f"twin={lim}"]
    words.append("--ceilings")
    assert run([*words, "-o", str(folder), "--json", "--device", "cpu"]) == 0
    printed = json.loads(capsys.readouterr().out)
    stored = json.loads((folder / "result.json").read_text())
    assert stored["files"] == ["result.md", "strip.png"]
    assert {k: v for k, v in stored.items() if k != "files"} == printed
    assert printed["command"] == f"lim eval interpolation --count 1 --gap 0.3 --alphas 0.25 --lim twin={lim} --ceilings"
    assert set(printed["weights"]) == {"lrm", "lim", "twin"}
    assert printed["weights"]["lim"] == printed["weights"]["twin"] == weight_hash(lim)
    rows = printed["result"]["procedural, gap 0.3, alpha 0.25"]
    ceilings = ["True ends, straight ways", "True keyframes", "True motion"]
    assert list(rows) == ["Linear", "DIS flow + LRM", "LIM", "twin", *ceilings, "Oracle (LRM)"]
    with Image.open(folder / "strip.png") as strip:
        assert strip.width == 9 * 128
    assert "twin" in (folder / "result.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["interpolation", "--alphas", "1.5"], "between 0 and 1"),
        (["interpolation", "--lim", "nothing"], "NAME=FOLDER"),
        (["interpolation", "--lim", "LIM=there"], "already"),
        (["interpolation", "absent"], "absent"),
        (["interpolation", "absent", "--ceilings"], "true motion"),
        (["interpolation", "--assets", "absent.glb"], "absent.glb"),
        (["tracking", "--gap", "0.5"], "--gap 0.14"),
        (["tracking", "absent"], "tracks.npz"),
        (["monocular", "absent"], "transforms.json"),
        (["monocular", "--count", "0"], "nothing to judge"),
        (["monocular", "--require", "psnr"], "lpips or fvd"),
    ],
)
def test_refusals(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", *words, "-o", str(tmp_path / "out"), "--device", "cpu"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert not (tmp_path / "out").exists()


def test_a_lim_that_is_not_there_is_missing_weights(tmp_path: Path) -> None:
    words = ["eval", "interpolation", "--count", "1", "--lim", f"x={tmp_path / 'absent'}", "--device", "cpu"]
    assert run(words) == 3


def test_a_camera_model_that_is_not_there_is_missing_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "camera", "--count", "1", "--device", "cpu"]) == 3
    assert "lacks the model camera" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"), [(["--triposr", "nobody/nothing"], "nobody/nothing"), (["--require", "fvd"], "FVD needs")]
)
def test_what_is_asked_for_and_not_here_is_missing(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "monocular", *words, "-o", str(tmp_path / "out"), "--device", "cpu"]) == 3
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("what", "rows", "model"),
    [
        (
            "canonical",
            ["canonical_lim", "in_a_clip", "lim_warp", "canonical_lrm_oracle", "standing_still"],
            "canonical_lim",
        ),
        ("views", ["generated"], "views"),
    ],
)
def test_twins_and_views_report_alike(
    what: str, rows: list[str], model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", what, "--count", "1", "--json", "--device", "cpu", "-o", str(tmp_path / "report")]) == 0
    printed = json.loads(capsys.readouterr().out)
    (table,) = printed["result"].values()
    assert list(table) == rows
    assert all(value >= 0 for row in table.values() for value in row.values())
    assert len(printed["weights"][model]) == 64
    assert (tmp_path / "report" / "strip.png").is_file() == (what == "views")
