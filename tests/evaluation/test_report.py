"""Tables, their origin, and picture strips."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lim_cli.evaluation.report import Provenance, Report, markdown, plain, write_pages
from lim_cli.evaluation.scores import NO_BACKBONE, mean_scores, picture_scores, tables
from lim_cli.evaluation.strips import HEADING, Row, strip_png

MADE = Provenance("lim eval interpolation --count 1", "v9", {"lim": "ab" * 32})
TABLE = {"Linear": {"psnr": 20.0, "lpips": NO_BACKBONE}, "LIM": {"psnr": 21.25, "lpips": NO_BACKBONE}}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4)).astype(np.uint8)


def test_markdown_says_figures_groups_command_and_weights() -> None:
    text = markdown(Report({"fox": TABLE, "owl": TABLE}, notes=["Faster."]), MADE)
    assert text.count("| LIM | 21.25 | no backbone |") == 2
    assert "**owl**" in text
    assert "`lim eval interpolation --count 1`" in text
    assert "lim `abababababab`" in text
    assert "- Faster." in text


def test_plain_holds_what_there_is() -> None:
    values = plain(Report({"fox": TABLE}), MADE)
    assert values == {"command": MADE.command, "release": "v9", "weights": MADE.weights, "result": {"fox": TABLE}}


def test_pages(tmp_path: Path) -> None:
    write_pages(tmp_path, Report({"fox": TABLE}, columns=["a"], strip=[Row("x", [noise(8, 40)])]), MADE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result.md", "strip.png"]
    assert "strip.png" in (tmp_path / "result.md").read_text()


def test_a_strip_shows_every_picture_on_white_in_its_place() -> None:
    red, clear = np.zeros((2, 20, 60, 4), np.uint8)
    red[:10, :, 0], red[:10, :, 3] = 255, 255
    image = np.asarray(Image.open(io.BytesIO(strip_png(["a", "b"], [Row("", [clear, red])]))).convert("RGB"))
    assert image.shape == (HEADING + 20, 120, 3)
    np.testing.assert_array_equal(image[HEADING : HEADING + 10, 60:], np.broadcast_to([255, 0, 0], (10, 60, 3)))
    assert (image[HEADING:, :60] == 255).all()
    assert (image[HEADING + 10 :, 60:] == 255).all()


def test_a_strip_keeps_to_its_size_by_dropping_rows() -> None:
    rows = [Row(str(n), [noise(32, 32, n)]) for n in range(8)]
    whole, small = strip_png(["a"], rows), strip_png(["a"], rows, largest=5000)
    assert len(small) <= 5000 < len(whole)
    assert Image.open(io.BytesIO(small)).height < Image.open(io.BytesIO(whole)).height == HEADING + 8 * 32
    with pytest.raises(ValueError, match="2 pictures"):
        strip_png(["a", "b"], rows)


def test_picture_scores_of_a_known_difference() -> None:
    truth = np.full((2, 32, 32, 4), 255, np.uint8)
    truth[..., :16, 3] = 0  # right half: a white object on white
    same = picture_scores(truth, truth)
    assert same["psnr"] == same["psnr_fg"] == 100
    assert (same["ssim"], same["iou"], same["flip"]) == (pytest.approx(1), 1.0, 0.0)
    darker = truth.copy()
    darker[..., :3] = 204  # 0.2 below white, inside only
    cells = picture_scores(darker, truth)
    assert cells["psnr_fg"] == pytest.approx(-10 * np.log10(0.04), abs=1e-3)
    assert cells["psnr"] == pytest.approx(-10 * np.log10(0.02), abs=1e-3)
    assert cells["iou"] == 1.0
    empty = np.zeros_like(truth)
    assert picture_scores(empty, empty)["psnr_fg"] == "no foreground"


def test_means_pass_over_what_is_no_figure() -> None:
    assert mean_scores([{"a": 1.0, "b": "none"}, {"a": 2.0, "b": "none"}]) == {"a": 1.5, "b": "none"}
    assert mean_scores([{"a": "none"}, {"a": 2.0}]) == {"a": 2.0}


def test_several_sets_have_a_mean_over_all_their_cases() -> None:
    found = tables({("fox", ""): {"x": [{"a": 1.0}]}, ("owl", ""): {"x": [{"a": 2.0}, {"a": 6.0}]}})
    assert found == {"fox": {"x": {"a": 1.0}}, "owl": {"x": {"a": 4.0}}, "all": {"x": {"a": 3.0}}}
    halves = tables({("fox", ", 0.25"): {"x": [{"a": 1.0}]}, ("fox", ", 0.5"): {"x": [{"a": 2.0}]}})
    assert list(halves) == ["fox, 0.25", "fox, 0.5"]
