"""Mattes of drawn objects whose true outline is known."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lim_cli.core.errors import InputError, MissingError
from lim_cli.video.clip import Clip
from lim_cli.video.matting import choose_mode, matte

SIDE = 128


def make_clip(frames: list[np.ndarray]) -> Clip:
    rgba = np.stack([f if f.shape[-1] == 4 else np.dstack([f, np.full(f.shape[:2], 255, np.uint8)]) for f in frames])
    numbers = np.arange(len(frames))
    return Clip(rgba, numbers / 10.0, bool((rgba[..., 3] < 255).any()), "drawn", numbers)


def disc(centre: tuple[float, float], radius: float) -> np.ndarray:
    """Coverage [SIDE, SIDE] float in [0, 1], antialiased."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    return np.clip(radius - np.hypot(xs - centre[0], ys - centre[1]) + 0.5, 0, 1)


def paint(background: np.ndarray, coverage: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (background * (1 - coverage[..., None]) + np.array(colour) * coverage[..., None]).round().astype(np.uint8)


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def jpeg(frame: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=80)
    return np.array(Image.open(stream))


WHITE = np.full((SIDE, SIDE, 3), 255, np.uint8)


@pytest.mark.parametrize("noisy", [False, True])
def test_plain_background_with_white_eye(noisy: bool) -> None:
    frames, truths = [], []
    for shift in range(4):
        centre = (50 + 5 * shift, 64)
        truth = disc(centre, 30)
        frame = paint(paint(WHITE, truth, (40, 90, 160)), disc(centre, 2), (255, 255, 255))
        frames.append(jpeg(frame) if noisy else frame)
        truths.append(truth > 0.5)
    clip = make_clip(frames)
    assert choose_mode(clip) == "background"
    found = matte(clip).rgba
    for index, (rgba, truth) in enumerate(zip(found, truths, strict=True)):
        assert iou(rgba[..., 3] >= 128, truth) > 0.97
        assert rgba[64, 50 + 5 * index, 3] == 255
        assert (rgba[..., 3][cv2.dilate(truth.astype(np.uint8), np.ones((7, 7))) == 0] < 48).all()


def test_edge_is_unmixed_and_soft() -> None:
    truth = disc((64, 64), 30)
    rgba = matte(make_clip([paint(WHITE, truth, (40, 90, 160))])).rgba[0]
    edge = (truth > 0.3) & (truth < 0.9)
    assert np.abs(rgba[..., 3][edge] / 255.0 - truth[edge]).mean() < 0.08
    assert np.abs(rgba[..., :3][edge].astype(int) - (40, 90, 160)).mean() < 12


def test_large_exact_hole_stays_open() -> None:
    ring = np.clip(disc((64, 64), 40) - disc((64, 64), 20), 0, 1)
    rgba = matte(make_clip([paint(WHITE, ring, (160, 40, 40))])).rgba[0]
    assert rgba[64, 64, 3] == 0
    assert rgba[64, 34, 3] == 255
    noisy = matte(make_clip([jpeg(paint(WHITE, ring, (160, 40, 40)))])).rgba[0]
    assert noisy[64, 64, 3] == 0


def test_specks_are_removed() -> None:
    frame = paint(paint(WHITE, disc((64, 64), 30), (40, 90, 160)), disc((12, 12), 3), (0, 0, 0))
    assert matte(make_clip([frame])).rgba[0, 12, 12, 3] == 0


def test_alpha_is_kept() -> None:
    truth = disc((64, 64), 30)
    frame = np.dstack([np.full((SIDE, SIDE, 3), 99, np.uint8), (truth * 255).astype(np.uint8)])
    clip = make_clip([frame])
    assert choose_mode(clip) == "alpha"
    assert np.abs(matte(clip).rgba[0, ..., 3].astype(int) - clip.rgba[0, ..., 3]).max() < 8


def test_grabcut_follows_a_moving_object() -> None:
    noise = np.random.default_rng(0).integers(70, 170, (10, 10, 3), dtype=np.uint8)
    scene = cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    truths = [disc((48 + 4 * t, 64), 24) for t in range(6)]
    clip = make_clip([paint(scene, truth, (250, 220, 30)) for truth in truths])
    assert choose_mode(clip) == "grabcut"
    first, again = matte(clip).rgba, matte(clip).rgba
    assert np.array_equal(first, again)
    for rgba, truth in zip(first, truths, strict=True):
        assert iou(rgba[..., 3] >= 128, truth > 0.5) > 0.9


def test_folder_of_masks(tmp_path: Path) -> None:
    truth = disc((64, 64), 30)
    clip = make_clip([paint(WHITE // 2, truth, (40, 90, 160))] * 2)
    for index in range(2):
        Image.fromarray((truth * 255).astype(np.uint8)).resize((256, 256)).save(tmp_path / f"{index}.png")
    assert iou(matte(clip, str(tmp_path)).rgba[1, ..., 3] >= 128, truth > 0.5) > 0.97
    (tmp_path / "1.png").unlink()
    with pytest.raises(InputError, match="1 masks for 2 frames"):
        matte(clip, str(tmp_path))


def test_errors() -> None:
    with pytest.raises(InputError, match="No object"):
        matte(make_clip([WHITE] * 3))
    with pytest.raises(InputError, match="neither"):
        matte(make_clip([WHITE]), "magic")
    with pytest.raises(InputError, match="no alpha"):
        matte(make_clip([WHITE]), "alpha")
    noise = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="not one plain colour"):
        matte(make_clip([noise]), "background")


def test_rembg_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rembg", None)
    with pytest.raises(MissingError, match="pip install"):
        matte(make_clip([WHITE]), "rembg")
