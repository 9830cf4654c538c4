from __future__ import annotations

import json
from pathlib import Path

import pytest
from clips import disc_clip

from lim_cli.cli import bench
from lim_cli.cli.main import run

QUICK = ["--vertices", "400", "--texture-size", "64", "--fps", "8", "--device", "cpu"]
STAGES = ["load", "ingest", "views", "keyframes", "track", "texture", "export", "total"]


def test_a_report_and_its_comparison(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIM_WEIGHTS", str(tiny_weights))
    clip, report = disc_clip(tmp_path / "clip"), tmp_path / "a.json"
    assert run(["bench", "--input", str(clip), *QUICK, "-o", str(report)]) == 0
    assert "keyframes" in capsys.readouterr().out
    plain = json.loads(report.read_text())
    assert list(plain["stages"]) == STAGES
    assert plain["matmul_gflops"]["float32"] > 0
    total = plain["stages"].pop("total")
    for key in ("seconds", "gflop"):
        assert total[key] == pytest.approx(sum(s[key] for s in plain["stages"].values()), abs=0.01)
    assert plain["stages"]["keyframes"]["gflop"] > 0
    assert plain["stages"]["export"]["gflop"] == 0
    assert total["peak_gb"] == max(s["peak_gb"] for s in plain["stages"].values()) > 0.05

    assert run(["bench", "--input", str(clip), *QUICK, "--seconds", "1"]) == 2  # no such option
    capsys.readouterr()
    assert run(["bench", "--input", str(clip), *QUICK, "--end", "0.1", "--compare", str(report), "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)["compared"]
    assert compared["differing"] == ["settings"]
    assert set(compared["ratios"]) == set(STAGES)
    assert compared["ratios"]["keyframes"]["gflop"] == pytest.approx(
        2 / 3, abs=1e-3
    )  # two keyframes, where there were three


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stages": {"a": 1}}', '{"stages": {"a": {"seconds": "x"}}}'])
def test_what_is_no_report_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(text)
    assert run(["bench", "--compare", str(tmp_path / "a.json")]) == 2
    assert "report" in capsys.readouterr().err


def test_the_shipped_clip_is_there_and_goes_into_the_wheel() -> None:
    import tomllib

    root = Path(__file__).resolve().parents[2]
    assert bench.shipped_clip() == root / "examples" / "walker.mp4"
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["force-include"]["examples/walker.mp4"] == f"lim_cli/_examples/{bench.CLIP_NAME}"
    assert "/examples" in build["sdist"]["include"]
