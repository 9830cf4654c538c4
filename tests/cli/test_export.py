"""`lim export` and `lim inspect` over a run of tiny trained models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from clips import disc_clip

from lim_cli.cli.main import run
from lim_cli.export.glb_playback import AnimatedGlb


@pytest.fixture(scope="module")
def textured_run(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Path:
    folder = tmp_path_factory.mktemp("export")
    clip = disc_clip(folder / "disc")
    command = ["reconstruct", clip, "-o", folder / "a.glb", "--workdir", folder / "run", "--fps", 24, "--vertices", 400]
    more = ["--texture-size", 64, "--device", "cpu", "--weights", tiny_weights, "--anim", "both", "--bones", 6, "-q"]
    assert run([str(word) for word in [*command, *more]]) == 0
    return folder / "run"


@pytest.fixture
def lim(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def call(*arguments: object) -> dict[str, Any]:
        code = run([*map(str, arguments), "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        plain: dict[str, Any] = json.loads(captured.out)
        return plain

    return call


Lim = Callable[..., dict[str, Any]]


def test_reconstruct_wrote_both_animations(lim: Lim, textured_run: Path, tmp_path: Path) -> None:
    morph, skin = textured_run.parent / "a.glb", textured_run.parent / "a_skin.glb"
    told = lim("inspect", skin)
    assert (told["targets"], told["joints"], told["frames"]) == (0, 7, 4)
    plain = lim("inspect", morph)
    assert (plain["targets"], plain["joints"], plain["skin_error"]) == (3, 0, None)
    assert plain["motion"]["max_displacement"] >= plain["motion"]["mean_displacement"] >= 0
    assert sum(told["bytes"].values()) == told["size_bytes"] == skin.stat().st_size
    # Exporting the run again gives the same two files.
    again = lim("export", textured_run, "-o", tmp_path / "a.glb", "--anim", "both", "--bones", 6)
    assert (tmp_path / "a.glb").read_bytes() == morph.read_bytes()
    assert (tmp_path / "a_skin.glb").read_bytes() == skin.read_bytes()
    assert again["skin_output"] == str(tmp_path / "a_skin.glb")
    assert again["skin_error"] == told["skin_error"]


def test_one_skin(lim: Lim, textured_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = lim("export", textured_run, "-o", tmp_path / "a.glb", "--anim", "skin", "--bones", 4, "--quantize")
    assert told["skin_output"] is None
    assert [p.name for p in tmp_path.iterdir()] == ["a.glb"]
    assert run(["inspect", str(tmp_path / "a.glb")]) == 0
    text = capsys.readouterr().out
    assert "a skin of 5 joints" in text
    assert f"skin error {told['skin_error']['rms']:.3%}" in text
    godot = next(line for line in text.splitlines() if line.startswith("Godot 4"))
    assert "skin: yes" in godot
    assert "KHR_mesh_quantization: not up to" in godot


def test_a_compressed_skin_beside_morphs_as_they_were(
    lim: Lim, textured_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lim("export", textured_run, "-o", tmp_path / "a.glb", "--anim", "both", "--bones", 6, "--draco")
    assert (tmp_path / "a.glb").read_bytes() == (textured_run.parent / "a.glb").read_bytes()
    plain, packed = (lim("inspect", folder / "a_skin.glb") for folder in (textured_run.parent, tmp_path))
    assert packed["extensions"] == ["KHR_draco_mesh_compression"]
    assert packed["bytes"]["geometry"] < 0.5 * plain["bytes"]["geometry"]
    assert packed["skin_error"]["rms"] == pytest.approx(plain["skin_error"]["rms"], abs=1e-4)
    assert packed["motion"]["max_displacement"] == pytest.approx(plain["motion"]["max_displacement"], abs=1e-3)
    capsys.readouterr()
    assert run(["inspect", str(tmp_path / "a_skin.glb")]) == 0
    assert "KHR_draco_mesh_compression: with DRACOLoader" in capsys.readouterr().out


@pytest.mark.parametrize("format_", ["obj", "ply"])
def test_sequences_match_the_glb(lim: Lim, textured_run: Path, tmp_path: Path, format_: str) -> None:
    lim("export", textured_run, "-o", tmp_path / "frames", "--format", format_)
    written = json.loads((tmp_path / "frames" / "result.json").read_text())
    glb = AnimatedGlb(textured_run.parent / "a.glb")
    for frame, time in enumerate(written["times"]):
        path = tmp_path / "frames" / f"mesh_{frame:04d}.{format_}"
        mesh = trimesh.load(path, process=False, maintain_order=True)
        np.testing.assert_allclose(mesh.vertices, glb.vertices(time), atol=1e-5)
    # A rerun replaces the whole folder; a folder of something else stays.
    (tmp_path / "frames" / "stale.txt").write_text("")
    lim("export", textured_run, "-o", tmp_path / "frames", "--format", format_)
    assert not (tmp_path / "frames" / "stale.txt").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("")
    assert run(["export", str(textured_run), "-o", str(tmp_path / "mine"), "--format", format_]) == 2
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["a.txt"]


def test_format_and_pictures_may_stand_in_a_configuration(
    lim: Lim, textured_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('sheet = "a.png"\n[export]\nformat = "ply"\n')
    told = lim("export", textured_run, "-o", "frames", "--config", "mine.toml")
    assert told["sheet"] == "a.png"
    assert (tmp_path / "a.png").is_file()
    assert list((tmp_path / "frames").glob("*.ply"))


def test_usd_is_told_by_the_ending(lim: Lim, textured_run: Path, tmp_path: Path) -> None:
    from pxr import Usd, UsdGeom

    told = lim("export", textured_run, "-o", tmp_path / "a.usdz")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdz"))
    points = np.array(UsdGeom.Mesh(stage.GetPrimAtPath("/a/mesh")).GetPointsAttr().Get(2))
    assert len(points) == told["vertices"]
    np.testing.assert_allclose(points, AnimatedGlb(textured_run.parent / "a.glb").vertices(2 / 24), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["-o", "a.abc"], 2, "--format"),
        (["-o", "a.obj"], 2, "--format obj and -o without an ending"),
        (["-o", "a.glb", "--anim", "dance"], 2, "morph, skin, both"),
        (["-o", "a.glb", "--bones", "251"], 2, "250"),
        (["-o", "a.usdz", "--anim", "skin"], 2, "for GLB"),
        (["-o", "a.glb", "--draco"], 2, "anim=skin"),
        (["-o", "a.glb", "--anim", "skin", "--draco", "--quantize"], 2, "leave one out"),
        (["-o", "a.ply", "--format", "ply"], 2, "folder"),
        (["-o", "a.glb", "--format", "usd"], 2, ".usdz"),
        (["-o", "a.glb", "--format", "fbx"], 2, "glb, usd, obj, ply"),
        (["-o", "a.glb", "--set", "export.format=ply"], 2, "folder"),
        (["-o", "a.glb", "--set", "sheet=a.jpg"], 2, ".png"),
    ],
)
def test_refusals(
    textured_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["export", str(textured_run), *arguments]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "arguments", "says"),
    [("pxr", ["a.usdz"], "lim-cli[usd]"), ("DracoPy", ["a.glb", "--anim", "both", "--draco"], "lim-cli[draco]")],
)
def test_without_the_library_it_says_what_to_install(
    textured_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert run(["export", str(textured_run), "-o", *arguments]) == 3
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_glb_is_a_user_error(textured_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (textured_run.parent / "a.glb").read_bytes()
    for name, data in {"cut": whole[: len(whole) // 2], "head": whole[:10], "json": whole[:400]}.items():
        (tmp_path / f"{name}.glb").write_bytes(data)
        assert run(["inspect", str(tmp_path / f"{name}.glb")]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
