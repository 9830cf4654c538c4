"""The page of `lim view` works in a browser. Needs node and chromium.

`pytest -m slow tests/viewers`; what to install stands in check_glb.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bending_bar import bar_mesh, bending_bar
from PIL import Image

from lim_cli.export.gltf import write_glb
from lim_cli.export.viewer_page import ViewedModel, write_viewer_page
from lim_cli.geometry.uv_atlas import unwrap

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the page said, and its pictures."""
    import check_glb

    if not check_glb.is_available("three"):
        pytest.skip("three is not installed")
    folder = tmp_path_factory.mktemp("page")
    for name, frames in (("bar", 12), ("short", 3)):
        write_glb(folder / f"{name}.glb", bending_bar(*unwrap(bar_mesh(), 256), frames=frames))
    models = [ViewedModel(f"{name}.glb", folder / f"{name}.glb") for name in ("bar", "short")]
    write_viewer_page(folder / "page.html", models)
    command = ["node", str(HERE / "view_page.mjs"), (folder / "page.html").as_uri(), str(folder / "shot")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    shots = {
        path.stem.removeprefix("shot_"): np.asarray(Image.open(path).convert("RGB")) for path in folder.glob("*.png")
    }
    return json.loads(done.stdout), shots


@pytest.mark.slow
def test_it_plays_without_a_complaint(seen: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    said, _ = seen
    assert said["messages"] == []
    assert len(said["requests"]) == 1  # the page itself
    assert (said["name"], said["models"], said["message"]) == ("bar.glb", ["bar.glb", "short.glb"], "")
    assert said["facts"].endswith("vertices, 12 frames, 0.37 s")
    assert said["second"].endswith("vertices, 3 frames, 0.07 s")
    times = said["times"]
    assert times["slider"] == pytest.approx(0.5 * 11 / 30, abs=1e-3)
    assert times["stepped"] == pytest.approx(6 / 30, abs=1e-3)
    assert times["home"] == 0
    assert times["played"] > 0
    assert times["paused"]


@pytest.mark.slow
def test_the_slider_moves_the_mesh(seen: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    _, shots = seen
    middle = np.s_[80:480]  # between the bars of controls
    drawn = np.abs(shots["start"][middle].astype(int) - shots["start"][90, 5]).max(axis=2) > 30
    assert 0.01 < drawn.mean() < 0.5
    changed = np.abs(shots["start"][middle].astype(int) - shots["middle"][middle]).max(axis=2) > 30
    assert changed.mean() > 0.1 * drawn.mean()
    assert shots["dark_wireframe"][90, 5].max() < 60 < shots["start"][90, 5].min()
