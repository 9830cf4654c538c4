from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bending_bar import curvature_at
from user_models import bar_model, tracked_bar

from lim_cli.artifacts.manifest import Manifest
from lim_cli.artifacts.run_folder import RunFolder
from lim_cli.artifacts.store import TrackArtifact, ViewsArtifact
from lim_cli.cli.main import run
from lim_cli.core.camera import orbit_cameras


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    cameras = orbit_cameras([0.0], elevation=0, field_of_view=40, distance=4, size=(8, 8))
    views = ViewsArtifact(np.zeros((1, 1, 8, 8, 4), np.uint8), cameras, np.zeros(1), "posed", np.eye(4))
    with RunFolder(tmp_path / "run") as folder:
        for stage, artifact in (("views", views), ("track", TrackArtifact(tracked_bar(3)))):
            with folder.store(Manifest(stage, 1, {}, {}, {}, seed=0)) as pieces:
                artifact.save(pieces.folder)
    return tmp_path / "run"


def test_a_run_drives_a_model(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = bar_model(tmp_path / "user.glb", curvature_at(0.0), scale=1.0, turn=np.eye(3), shift=(0, 0, 0))
    options = ["--mesh", str(model.path), "--mesh-align", "none", "--mesh-frame", "0"]
    out = tmp_path / "out.glb"
    assert run(["drive", str(run_folder), "-o", str(out), "--json", *options]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert (result["frame"], result["frames"], result["targets"]) == (0, 3, 2)
    assert result["size_bytes"] == out.stat().st_size
    assert "% of its size off the tracked surface of frame 0" in said.err


def test_options_come_from_files_too(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bar_model(tmp_path / "user.glb", curvature_at(0.1), scale=1.0, turn=np.eye(3), shift=(0, 0, 0))
    (tmp_path / "lim.toml").write_text(
        'mesh = "user.glb"\nmesh-align = "none"\nmesh-frame = 1\n[track]\nvertices = 300\n'
    )

    def frame(*options: str) -> int:
        assert run(["drive", str(run_folder), "-o", "out.glb", "--json", *options]) == 0
        return int(json.loads(capsys.readouterr().out)["frame"])

    assert frame() == 1
    (tmp_path / "other.json").write_text('{"mesh_frame": 2}')
    assert frame("--config", "other.json") == 2
    assert frame("--config", "other.json", "--set", "mesh-frame=0") == 0
    assert frame("--set", "mesh-frame=0", "--mesh-frame", "1") == 1
    (tmp_path / "lim.toml").write_text('mesh = "user.glb"\nmesh-aling = "none"\n')
    assert run(["drive", str(run_folder), "-o", "out.glb"]) == 2
    assert "lim.toml: Unknown option 'mesh_aling'. Did you mean 'mesh_align'?" in capsys.readouterr().err


def test_what_cannot_work_is_refused(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(tmp_path / "out.glb")]
    model = bar_model(tmp_path / "user.glb", 0.0)
    mesh = ["--mesh", str(model.path)]
    assert run(["drive", str(tmp_path / "no"), *mesh, *out]) == 2
    assert run(["drive", str(run_folder), *out]) == 2
    assert run(["drive", str(run_folder), "--mesh", str(tmp_path / "no.glb"), *out]) == 2
    assert run(["drive", str(run_folder), *mesh, *out, "--mesh-align", "sideways"]) == 2
    before = model.path.read_bytes()
    capsys.readouterr()
    assert run(["drive", str(run_folder), *mesh, "-o", str(model.path)]) == 2
    assert "is your own model" in capsys.readouterr().err
    assert model.path.read_bytes() == before
    assert run(["drive", str(run_folder), *mesh, *out, "--mesh-frame", "3"]) == 2
    assert run(["drive", str(run_folder), *mesh, "-o", str(tmp_path / "out.obj")]) == 2
