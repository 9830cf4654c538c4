"""The reports kept under examples/evaluation are whole, and its README shows what is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lim_cli.evaluation.strips import LARGEST

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "evaluation"
REPORTS = sorted(p.parent.name for p in FOLDER.glob("*/result.json"))


def test_there_are_reports() -> None:
    assert len(REPORTS) >= 4


@pytest.mark.parametrize("name", REPORTS)
def test_the_readme_has_the_reports_tables_and_command(name: str) -> None:
    stored = json.loads((FOLDER / name / "result.json").read_text())
    assert sorted(p.name for p in (FOLDER / name).iterdir()) == sorted([*stored["files"], "result.json"])
    assert all(len(digest) == 64 for digest in stored["weights"].values())
    assert (FOLDER / name / "strip.png").stat().st_size <= LARGEST
    readme = (FOLDER / "README.md").read_text()
    assert f"`{stored['command']}`" in readme
    assert f"]({name}/strip.png)" in readme
    tables = [line for line in (FOLDER / name / "result.md").read_text().splitlines() if line.startswith("|")]
    assert all(line in readme for line in tables)
