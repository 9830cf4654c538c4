"""The README's main job with the shipped weights, on the first half second of the shipped clip."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def readme_command() -> list[str]:
    """The arguments of the README's `lim reconstruct` line."""
    found = re.search(r"\.venv/bin/lim (reconstruct examples/.*)", (ROOT / "README.md").read_text())
    assert found is not None
    return shlex.split(found.group(1))


def test_the_readme_s_main_job_reconstructs_the_shipped_clip(tmp_path: Path) -> None:
    arguments = readme_command()
    arguments[arguments.index("-o") + 1] = str(tmp_path / "out.glb")
    quick = ["--end", "0.4", "--vertices", "2000", "--texture-size", "256", "--json", "--device", "cpu"]
    weights = ["--weights", str(ROOT / "weights")]
    done = subprocess.run(
        [sys.executable, "-m", "lim_cli", *arguments, *quick, *weights],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["silhouette_iou"] > 0.7
    assert result["frames"] > 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.config.json", "out.glb"]


def test_shipped_weights_are_the_listed_ones() -> None:
    from lim_cli.models.releases import list_releases, verify

    releases = list_releases(ROOT / "weights")
    if not releases:
        pytest.fail("no release under weights/")
    for release in releases:
        checks = verify(release)
        assert {c.status for c in checks} == {"ok"}, [c for c in checks if c.status != "ok"]
        assert all((model / "MODEL_CARD.md").is_file() for model in release.iterdir() if model.is_dir())
