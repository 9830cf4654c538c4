"""The parsing half of `lim reconstruct`; the chain it calls is replaced by a recorder."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch import nn

from lim_cli.cli.main import run
from lim_cli.cli.preflight import check_writable, parse_shard, plan_jobs
from lim_cli.core.errors import ConfigError, InputError, OutputError
from lim_cli.models.checkpoints import save_model
from lim_cli.stages.config import ReconstructConfig
from lim_cli.stages.drive import DriveConfig


@dataclass(frozen=True)
class Result:
    output: str

    def to_plain(self) -> dict[str, Any]:
        return {"output": self.output}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the chain was called with. Inputs named 'bad*' fail, 'broken*' have a bug."""
    made: list[dict[str, Any]] = []

    def reconstruct(input_path: Path, output: Path, config: Any, **options: Any) -> Result:
        made.append({"input_path": input_path, "output": output, "config": config, **options})
        if input_path.name.startswith("bad"):
            raise InputError("The clip has no frames.")
        if input_path.name.startswith("broken"):
            raise KeyError("bug")
        return Result(str(output))

    chain = ModuleType("lim_cli.stages.chain")
    chain.reconstruct = reconstruct  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lim_cli.stages.chain", chain)
    return made


@pytest.fixture
def base(tmp_path: Path) -> list[str]:
    for model in ("lrm", "lim", "canonical_lrm", "canonical_lim", "views"):
        folder = tmp_path / "weights" / "v1" / model
        folder.mkdir(parents=True)
        save_model(folder, nn.Linear(2, 2), {})
    return ["reconstruct", "--weights", str(tmp_path / "weights"), "--device", "cpu"]


def clip(folder: Path, name: str) -> str:
    (folder / name).write_bytes(b"x")
    return str(folder / name)


def test_options_reach_the_chain_as_one_frozen_config(
    tmp_path: Path, base: list[str], calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--fps 12 --keyframe-stride 3 --start 0.5 --matte alpha --vertices 500 --seed 4 --fresh --json"
    out = tmp_path / "out.glb"
    assert run([*base, clip(tmp_path, "a.mp4"), "-o", str(out), *options.split()]) == 0
    assert json.loads(capsys.readouterr().out) == {"output": str(out)}
    (call,) = calls
    config = call["config"]
    assert (config.fps, config.keyframe_stride, config.vertices, config.seed) == (12.0, 3, 500, 4)
    assert (config.ingest.start, config.ingest.matte) == (0.5, "alpha")
    assert call["fresh"] is True
    assert call["device"] == "cpu"
    assert call["preview"] is None


def test_without_options_the_configuration_is_the_default(
    tmp_path: Path, base: list[str], calls: list[dict[str, Any]]
) -> None:
    assert run([*base, clip(tmp_path, "a.mp4"), "-o", str(tmp_path / "out.glb")]) == 0
    assert calls[0]["config"] == ReconstructConfig()


def test_another_view_model_or_a_posed_scene_needs_no_view_weights(
    tmp_path: Path, base: list[str], calls: list[dict[str, Any]]
) -> None:
    shutil.rmtree(tmp_path / "weights" / "v1" / "views")
    out = ["-o", str(tmp_path / "out.glb")]
    assert run([*base, clip(tmp_path, "a.mp4"), *out]) == 3
    assert run([*base, clip(tmp_path, "a.mp4"), *out, "--views-model", "me/mine"]) == 0
    assert calls[0]["config"].views_model == "me/mine"
    (tmp_path / "scene").mkdir()
    clip(tmp_path / "scene", "transforms.json")
    assert run([*base, str(tmp_path / "scene"), *out, "--quantize", "--sparse"]) == 0
    assert (calls[1]["config"].quantize, calls[1]["config"].sparse) == (True, True)


def test_a_mesh_of_the_users_own_is_handed_on(tmp_path: Path, base: list[str], calls: list[dict[str, Any]]) -> None:
    (tmp_path / "dog.glb").write_bytes(b"x")
    options = ["--mesh", str(tmp_path / "dog.glb"), "--mesh-frame", "3", "--mesh-align", "yaw"]
    arguments = [*base, clip(tmp_path, "a.mp4"), "-o", str(tmp_path / "out.glb"), "--sheet", str(tmp_path / "s.png")]
    assert run([*arguments, *options]) == 0
    assert calls[0]["drive"] == DriveConfig(tmp_path / "dog.glb", "yaw", 3)
    assert calls[0]["sheet"] == tmp_path / "s.png"
    assert run([*arguments, *options[:-1], "upside"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["absent.mp4", "-o", "out.glb"], 2),
        (["a.mp4", "-o", "out.obj"], 2),
        (["a.mp4", "-o", "a.mp4/out.glb"], 2),
        (["a.mp4", "-o", "out.glb", "--fps", "0"], 2),
        (["a.mp4", "-o", "out.glb", "--shard", "3/2"], 2),
        (["a.mp4", "-o", "out.glb", "--device", "abacus"], 2),
        (["a.mp4"], 2),
        (["a.mp4", "-o", "out.glb", "--mesh", "absent.glb"], 2),
        (["a.mp4", "-o", "out.glb", "--mesh", "a.mp4"], 2),
        (["a.mp4", "-o", "out.glb", "--sheet", "sheet.jpg"], 2),
        (["a.mp4", "-o", "out.glb", "--release", "v9"], 3),
    ],
)
def test_what_cannot_work_is_refused_before_the_chain(
    tmp_path: Path,
    base: list[str],
    calls: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
) -> None:
    clip(tmp_path, "a.mp4")
    monkeypatch.chdir(tmp_path)
    assert run([*base, *arguments]) == code
    assert calls == []


def test_a_failed_clip_does_not_stop_the_rest_and_the_highest_code_counts(
    tmp_path: Path, base: list[str], calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [clip(tmp_path, name) for name in ("bad.mp4", "a.mp4", "broken.mp4", "b.mp4")]
    assert run([*base, *clips, str(tmp_path / "absent.mp4"), "-o", str(tmp_path / "out"), "--json"]) == 2
    assert [c["output"].name for c in calls] == ["bad.glb", "a.glb", "broken.glb", "b.glb"]
    printed = json.loads(capsys.readouterr().out)
    assert [Path(r["input"]).name for r in printed["results"]] == ["a.mp4", "b.mp4"]
    assert [(Path(f["input"]).name, f["exit_code"]) for f in printed["failed"]] == [
        ("bad.mp4", 2),
        ("broken.mp4", 1),
        ("absent.mp4", 2),
    ]


def test_shards_part_the_inputs(tmp_path: Path, base: list[str], calls: list[dict[str, Any]]) -> None:
    clips = [clip(tmp_path, f"{name}.mp4") for name in "abcde"]
    for part in ("1/2", "2/2"):
        assert run([*base, *clips, "-o", str(tmp_path / "out"), "--shard", part]) == 0
    assert [c["input_path"].stem for c in calls] == ["a", "c", "e", "b", "d"]


def test_plan_jobs() -> None:
    jobs = plan_jobs([Path("x/a.mp4"), Path("x/b.mp4")], Path("o"), workdir=Path("w"), preview=Path("p"))
    assert [(j.output, j.workdir, j.preview) for j in jobs] == [
        (Path("o/a.glb"), Path("w/a"), Path("p/a.mp4")),
        (Path("o/b.glb"), Path("w/b"), Path("p/b.mp4")),
    ]
    drawn = plan_jobs([Path("x/a.mp4"), Path("x/b.mp4")], Path("o"), workdir=None, preview=None, sheet=Path("s"))
    assert [j.sheet for j in drawn] == [Path("s/a.png"), Path("s/b.png")]
    with pytest.raises(InputError, match=r"a\.glb"):
        plan_jobs([Path("x/a.mp4"), Path("y/a.gif")], Path("o"), workdir=None, preview=None)
    with pytest.raises(OutputError, match="folder"):
        plan_jobs([Path("a.mp4"), Path("b.mp4")], Path("o.glb"), workdir=None, preview=None)


def test_parse_shard() -> None:
    assert parse_shard(None) == (1, 1)
    assert parse_shard("2/3") == (2, 3)
    for text in ("0/2", "a/b", "2", "3/2", "-1/2"):
        with pytest.raises(ConfigError, match="shard"):
            parse_shard(text)


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lim_cli.cli.preflight.MINIMUM_FREE_BYTES", 10**18)
    with pytest.raises(OutputError, match="MB are free"):
        check_writable(tmp_path / "out.glb")
