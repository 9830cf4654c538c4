"""Tables and held-out cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from lim_cli.evaluation.report import markdown, save
from lim_cli.evaluation.triplets import procedural_triplets


def test_markdown_has_a_row_per_method_and_a_group_per_scene() -> None:
    rows = {"Linear": {"psnr": 20.0, "iou": 0.5}, "LIM": {"psnr": 21.25, "iou": 0.75}}
    assert "| LIM | 21.25 | 0.75 |" in markdown(rows)
    assert markdown({"fox": rows, "owl": rows}).count("| Linear | 20 | 0.5 |") == 2


def test_save_writes_all_three(tmp_path: Path) -> None:
    result = {"LIM": {"psnr": 1.0}}
    save(tmp_path / "new", {"result": result}, result, [np.zeros((4, 8, 3), np.uint8)])
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["pictures.png", "result.json", "result.md"]
    assert json.loads((tmp_path / "new" / "result.json").read_text())["result"] == result


def test_procedural_triplets_are_the_same_every_time_and_move() -> None:
    first, again = next(procedural_triplets(1, gap=0.3)), next(procedural_triplets(1, gap=0.3))
    np.testing.assert_array_equal(first.rgba, again.rgba)
    np.testing.assert_array_equal(first.truth, again.truth)
    assert first.rgba.shape == (3, 4, 128, 128, 4)
    assert np.abs(first.rgba[0].astype(int) - first.rgba[2]).max() > 20
    assert (first.truth[..., 3] > 127).mean() > 0.01
