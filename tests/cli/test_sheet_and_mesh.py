"""Contact sheets, and meshes of the user's own: what `lim reconstruct` and `lim export` do with their options."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import disc_clip
from PIL import Image
from user_models import bar_model

from lim_cli.cli import record
from lim_cli.cli.jobs import Job, plan_jobs
from lim_cli.cli.main import run
from lim_cli.cli.settings import Settings, resolve
from lim_cli.core.errors import ConfigError

TINY = ["track.resolution=40", "track.step_resolution=32", "texture.size=64", "texture.observations=4"]
OPTIONS = ["--vertices", "200", "--fps", "6", *(part for text in TINY for part in ("--set", text))]

Lim = Callable[..., Any]


@pytest.fixture
def lim(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Lim:
    """Runs a `lim` command with `--json` in a folder of its own; returns the exit code and what it printed."""
    monkeypatch.setenv("LIM_WEIGHTS", str(tiny_weights))
    monkeypatch.delenv("LIM_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
        code = run([*map(str, arguments), "--json"])
        out = capsys.readouterr().out
        return code, [json.loads(text) for text in ([out] if out.startswith("{\n") else out.splitlines())]

    return call


def test_every_input_of_a_batch_has_its_sheet() -> None:
    plan = plan_jobs(["x/a.mp4", "x/b.mp4"], Path("o"), sheet=Path("s"))
    assert [job.sheet for job in plan.jobs] == [Path("s/a.png"), Path("s/b.png")]
    assert plan_jobs(["x/a.mp4"], Path("o.glb"), sheet=Path("s.png")).jobs[0].sheet == Path("s.png")


def test_a_users_mesh_and_a_sheet_of_one_run(lim: Lim, tmp_path: Path) -> None:
    clip = disc_clip(tmp_path / "clip", frames=2)
    model = bar_model(tmp_path / "user.glb", 0.0)
    given = ["--mesh", model.path, "--mesh-frame", 0, "--mesh-align", "yaw", "--sheet", "s.png"]
    code, [result] = lim("reconstruct", clip, "-o", "a.glb", *OPTIONS, *given, "--workdir", "run", "--device", "cpu")
    assert code == 0
    assert (result["vertices"], result["sheet"]) == (len(model.straight), "s.png")
    stored = json.loads((tmp_path / "a.config.json").read_text())
    assert (stored["mesh"], stored["sheet"]) == (str(model.path.resolve()), str(tmp_path.resolve() / "s.png"))
    assert (stored["mesh_frame"], stored["mesh_align"]) == (0, "yaw")

    # The stored configuration holds the mesh too; the sheet belongs to the other output.
    code, [again] = lim("reconstruct", "--config", "a.config.json", "-o", "b.glb")
    assert (code, again["sheet"]) == (0, None)
    assert (tmp_path / "b.glb").read_bytes() == (tmp_path / "a.glb").read_bytes()

    # The run folder still gives our own mesh, and the same sheet.
    code, [ours] = lim("export", "run", "-o", "ours.glb", "--sheet", "t.png")
    assert (code, ours["sheet"]) == (0, "t.png")
    assert ours["vertices"] != result["vertices"]
    sheets = [np.asarray(Image.open(tmp_path / name)) for name in ("s.png", "t.png")]
    assert np.array_equal(*sheets)


def test_a_batch_skips_no_clip_whose_mesh_or_sheet_changed(tmp_path: Path, tiny_weights: Path) -> None:
    clip = disc_clip(tmp_path / "clip", frames=1)
    mesh, other = (bar_model(tmp_path / f"{name}.glb", bent).path for name, bent in (("a", 0.0), ("b", 0.5)))
    job = Job(clip, tmp_path / "out.glb", sheet=tmp_path / "s.png")
    for path in (job.output, tmp_path / "s.png"):
        path.write_bytes(b"made")

    def described(**options: Any) -> dict[str, Any]:
        settings: Settings = resolve([("", {"mesh": str(mesh), **options})])
        return record.describe(job, clip, settings, tiny_weights / "v1")

    record.write(job, described())
    assert record.is_current(job, described())
    assert not record.is_current(job, described(mesh=str(other)))
    assert not record.is_current(job, described(mesh_frame=1))
    assert not record.is_current(job, described(mesh_align="none"))
    assert not record.is_current(replace(job, sheet=tmp_path / "t.png"), described())
    mesh.write_bytes(other.read_bytes())
    assert not record.is_current(job, described())

    # A model of several files: the picture alone is painted anew.
    obj, picture = tmp_path / "a.obj", tmp_path / "fur.png"
    obj.write_text("mtllib a.mtl\n")
    (tmp_path / "a.mtl").write_text("newmtl a\nmap_Kd fur.png\n")
    picture.write_bytes(b"white")
    record.write(job, described(mesh=str(obj)))
    assert record.is_current(job, described(mesh=str(obj)))
    picture.write_bytes(b"black")
    assert not record.is_current(job, described(mesh=str(obj)))


@pytest.mark.parametrize(
    "wrong",
    [
        ["--mesh", "absent.glb"],
        ["--mesh", "clip/000.png"],
        ["--mesh", "user.glb", "--mesh-align", "upside"],
        ["--mesh", "out.glb"],
        ["--mesh-frame", "3"],
        ["--mesh-align", "yaw"],
        ["--mesh", "user.glb", "--mesh-frame", "-1"],
        ["--mesh", "user.glb", "--anim", "skin"],
        ["--mesh", "user.glb", "--quantize"],
        ["--mesh", "user.glb", "--anim", "skin", "--draco"],
        ["--sheet", "sheet.jpg"],
        ["--sheet", "folder.png"],
    ],
)
def test_what_cannot_work_is_refused(lim: Lim, tmp_path: Path, wrong: list[str]) -> None:
    disc_clip(tmp_path / "clip", frames=1)
    bar_model(tmp_path / "user.glb", 0.0)
    (tmp_path / "folder.png").mkdir()
    own = wrong == ["--mesh", "out.glb"]
    if own:
        (tmp_path / "user.glb").rename(tmp_path / "out.glb")
    assert lim("reconstruct", "clip", "-o", "out.glb", "--device", "cpu", *wrong) == (2, [])
    assert (tmp_path / "out.glb").exists() == own


def test_wrong_mesh_options_of_a_file_are_named() -> None:
    for values in ({"mesh-align": "upside"}, {"mesh-frame": -1}):
        with pytest.raises(ConfigError, match=r"lim\.toml: Option mesh-"):
            resolve([("lim.toml", values)])
