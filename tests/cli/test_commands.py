from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from lim_cli.cli.main import run
from lim_cli.models.checkpoints import save_model, table


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder of weights with one release of one small model, and its table."""
    folder = tmp_path / "weights"
    (folder / "v1" / "lrm").mkdir(parents=True)
    save_model(folder / "v1" / "lrm", nn.Linear(2, 2), {"width": 2})
    (folder / "README.md").write_text(table(folder / "v1"))
    return folder


def test_weights_list_path_and_verify(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "list", "--weights", str(weights), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["releases"]
    assert [r["release"] for r in listed] == ["v1"]
    assert list(listed[0]["megabytes"]) == ["lrm"]
    assert run(["weights", "path", "--weights", str(weights)]) == 0
    assert capsys.readouterr().out.strip() == str(weights / "v1")
    assert run(["weights", "verify", "--weights", str(weights)]) == 0
    (weights / "v1" / "lrm" / "config.json").write_text("{}")
    assert run(["weights", "verify", "--weights", str(weights), "--json"]) == 3
    assert json.loads(capsys.readouterr().out.split("verified\n")[-1])["ok"] is False


def test_missing_weights_exit_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "path", "--weights", str(tmp_path / "absent")]) == 3
    assert "no weights folder" in capsys.readouterr().err


def test_doctor_reports_devices_and_weights(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--weights", str(weights), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["devices"][0]["device"] == "cpu"
    assert report["devices"][0]["gflops"]["float32"] > 0
    assert report["usable"] is True
    assert all(disk["free_gb"] > 0 for disk in report["disk"])
    for feature in report["optional"]:
        assert feature["version"] is not None or "pip install" in feature["needs"]
    assert report["weights"]["verified"] is True
    assert report["problems"] == []


def test_doctor_says_which_weight_file_is_changed(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (weights / "v1" / "lrm" / "config.json").write_text("{}")
    assert run(["doctor", "--weights", str(weights)]) == 3
    text = capsys.readouterr().out
    assert "problem    Weight file v1/lrm/config.json is changed" in text
    assert "NOT VERIFIED" in text


def test_doctor_without_weights_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--weights", str(tmp_path / "absent")]) == 3
    assert "problem" in capsys.readouterr().out


def test_inspect_of_an_absent_file_is_a_user_error(tmp_path: Path) -> None:
    assert run(["inspect", str(tmp_path / "absent.glb")]) == 2
