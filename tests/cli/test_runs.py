"""Whole runs of the command line over tiny trained models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import disc_clip, posed_scene
from PIL import Image

from lim_cli.artifacts.store import TriplaneArtifact
from lim_cli.cli.main import run
from lim_cli.core.files import hash_tree
from lim_cli.data.scene_transforms import read_transforms
from lim_cli.export.sheet import LABEL_HEIGHT
from lim_cli.stages.contact_sheet import CELL

SMALL = ["--vertices", "400"]
TEXTURE = ["--texture-size", "64"]

Lim = Callable[..., dict[str, Any]]


@pytest.fixture
def lim(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lim:
    """Runs a command that must succeed and returns its JSON."""
    monkeypatch.setenv("LIM_WEIGHTS", str(tiny_weights))

    def call(*arguments: object) -> dict[str, Any]:
        code = run([*map(str, arguments), "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        plain: dict[str, Any] = json.loads(captured.out)
        return plain

    return call


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return posed_scene(tmp_path_factory.mktemp("scenes") / "a")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "disc")


def test_a_clip_whole_again_and_stage_by_stage(
    lim: Lim, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = ["reconstruct", clip, *SMALL, *TEXTURE, "--refine", 0.4]
    whole += ["--fps", 24, "--workdir", tmp_path / "run", "--device", "cpu"]
    result = lim(*whole, "-o", tmp_path / "a.glb", "--preview", tmp_path / "a.mp4")
    assert (result["frames"], result["keyframes"]) == (4, 3)
    assert result["seconds"]["track"] > 0
    assert (tmp_path / "a.mp4").stat().st_size > 0

    # A rerun reuses every stage and gives the same bytes.
    again = lim(*whole, "-o", tmp_path / "again" / "a.glb")
    assert {k: v for k, v in again["seconds"].items() if k != "export"} == dict.fromkeys(
        ("clip", "views", "keyframes", "refined", "track", "texture"), 0.0
    )
    assert (tmp_path / "again" / "a.glb").read_bytes() == (tmp_path / "a.glb").read_bytes()

    # The stages one by one give the same bytes too, and the chain takes them over.
    alone = tmp_path / "alone"
    lim("ingest", clip, "--workdir", alone)
    lim("views", alone)
    lim("keyframes", alone)
    lim("refine", alone, "--refine", 0.4)
    lim("track", alone, "--fps", 24, *SMALL)
    lim("texture", alone, *TEXTURE)
    lim("export", alone, "-o", tmp_path / "alone" / "a.glb", "--sheet", tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size == (12 * CELL, LABEL_HEIGHT + 4 * CELL)
    assert (alone / "a.glb").read_bytes() == (tmp_path / "a.glb").read_bytes()
    whole[whole.index(tmp_path / "run")] = alone
    taken = lim(*whole, "-o", tmp_path / "b.glb")
    assert taken["seconds"]["track"] == 0.0

    # Other settings redo only what depends on them.
    changed = lim(*whole[:-2], "--texture-size", 128, "-o", tmp_path / "c.glb")
    assert changed["seconds"]["track"] == 0.0
    assert changed["seconds"]["texture"] > 0.0

    # What was made from others than are there now is not mixed with them.
    lim("track", alone, "--fps", 12, *SMALL)
    assert run(["export", str(alone), "-o", str(tmp_path / "d.glb")]) == 2
    assert f"run lim texture {alone} again" in capsys.readouterr().err
    assert not (tmp_path / "d.glb").exists()


def test_a_posed_scene_needs_no_view_generator(
    lim: Lim, scene: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tmp_path / "weights" / "v1"
    release.mkdir(parents=True)
    for model in ("lrm", "lim", "canonical_lrm", "canonical_lim"):
        (release / model).symlink_to(tiny_weights / "v1" / model)
    monkeypatch.setenv("LIM_WEIGHTS", str(release.parent))
    workdir = tmp_path / "run"
    result = lim("reconstruct", scene, "-o", tmp_path / "a.glb", "--fps", 24, *SMALL, *TEXTURE, "--workdir", workdir)
    assert (result["frames"], result["keyframes"]) == (3, 3)
    assert not (workdir / "00_clip").exists()
    info = lim("inspect", tmp_path / "a.glb")
    assert info["targets"] == 2
    assert run(["views", str(workdir)]) == 3  # no view generator in this release


def test_a_clip_of_one_frame_is_a_still_mesh(lim: Lim, tmp_path: Path) -> None:
    clip = disc_clip(tmp_path / "disc", frames=1)
    result = lim("reconstruct", clip, "-o", tmp_path / "a.glb", *SMALL, *TEXTURE, "--preview", tmp_path / "a.gif")
    assert (result["frames"], result["duration"]) == (1, 0.0)


def test_interpolation_of_two_scenes(lim: Lim, scene: Path, tmp_path: Path) -> None:
    other = posed_scene(tmp_path / "b", times=1)
    between = ["interpolate", scene, other, "--steps", 3, "--size", 32]
    result = lim(*between, "-o", tmp_path / "c", "--views", 2, "--meshes", "--resolution", 40)
    np.testing.assert_allclose(result["alphas"], [0.25, 0.5, 0.75])
    assert len([f for f in result["files"] if f.startswith("renders/") and f.endswith(".png")]) == 6
    assert [f for f in result["files"] if f.startswith("meshes/")] == [f"meshes/t00{n}.ply" for n in range(3)]
    stored = TriplaneArtifact.load(tmp_path / "c" / "triplanes")
    assert stored.times.tolist() == result["alphas"]
    picture = np.asarray(Image.open(tmp_path / "c" / "renders" / "t001_v00.png"))
    assert picture.shape == (32, 32, 4)
    assert picture[..., 3].max() > 127

    ends = lim(*between, "-o", tmp_path / "d", "--ends", "--views", 0)
    np.testing.assert_allclose(ends["alphas"], [0, 0.25, 0.5, 0.75, 1])
    assert not (tmp_path / "d" / "renders").exists()


def test_rendering_a_run_and_an_interpolation(lim: Lim, scene: Path, tmp_path: Path) -> None:
    workdir = tmp_path / "run"
    lim("ingest", scene, "--workdir", workdir)
    lim("keyframes", workdir)
    result = lim("render", workdir, "-o", tmp_path / "r", "--turntable", 2, "--index", 1, "--size", 32)
    assert [f for f in result["files"] if f.endswith("v01.png")] == ["t000_v01.png"]
    assert "t000_v01_depth.png" in result["files"]
    transforms = read_transforms(tmp_path / "r", input_fps=24)
    assert [f.path.name for f in transforms.frames] == ["t000_v00.png", "t000_v01.png"]
    assert len(lim("render", workdir, "-o", tmp_path / "f", "--fps", 48, "--size", 16)["times"]) == 5

    lim("interpolate", workdir, workdir, "--steps", 2, "--views", 0, "-o", tmp_path / "i")
    assert len(lim("render", tmp_path / "i", "-o", tmp_path / "ri", "--size", 16, "--no-depth")["times"]) == 2
    assert run(["interpolate", str(workdir), str(workdir), "--keyframe", "9", "-o", str(tmp_path / "x")]) == 2


def test_a_failed_rerun_leaves_the_run_as_it_was(
    lim: Lim, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = tmp_path / "run"
    lim("ingest", scene, "--workdir", workdir)
    lim("keyframes", workdir)
    before = hash_tree(workdir)
    monkeypatch.setattr("lim_cli.stages.track.first_mesh", lambda *_: 1 / 0)
    assert run(["track", str(workdir)]) == 1
    assert hash_tree(workdir) == before
