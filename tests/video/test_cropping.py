"""Crops of boxes at known places."""

from __future__ import annotations

import numpy as np
import pytest

from lim_cli.core.errors import InputError
from lim_cli.video.clip import Clip
from lim_cli.video.cropping import square_crop


def boxes_clip(boxes: list[tuple[int, int, int, int]], size: tuple[int, int] = (60, 100)) -> Clip:
    """One opaque orange box (left, top, right, bottom) per frame; hidden pixels are bright green."""
    rgba = np.zeros((len(boxes), *size, 4), np.uint8)
    rgba[..., 1] = 255
    for frame, (left, top, right, bottom) in zip(rgba, boxes, strict=True):
        frame[top:bottom, left:right] = (200, 100, 0, 255)
    numbers = np.arange(len(boxes))
    return Clip(rgba, numbers.astype(float), True, "boxes", numbers)


def test_union_over_time() -> None:
    clip, info = square_crop(boxes_clip([(10, 20, 20, 30), (40, 20, 50, 30)]), margin=0.0, size=40)
    assert (info.left, info.top, info.side, info.source_size) == (10, 5, 40, (60, 100))
    assert clip.rgba.shape == (2, 40, 40, 4)
    assert (clip.rgba[0, 15:25, :10, 3] == 255).all()
    assert clip.rgba[0, ..., 3].sum() == 255 * 100


def test_beyond_the_picture_is_transparent() -> None:
    clip, info = square_crop(boxes_clip([(0, 0, 10, 60)]), margin=0.1, size=72)
    assert info.side == 72
    assert info.left == -31
    assert info.top == -6
    assert (clip.rgba[0, :6, :, 3] == 0).all()
    assert (clip.rgba[0, 6:66, 31:41, 3] == 255).all()


@pytest.mark.parametrize("size", [7, 15, 64])
def test_hidden_colours_do_not_bleed(size: int) -> None:
    rgba = square_crop(boxes_clip([(31, 17, 62, 48)]), margin=0.3, size=size)[0].rgba
    visible = rgba[rgba[..., 3] > 8].astype(int)
    assert np.abs(visible[:, :3] - (200, 100, 0)).max() <= 8


def test_area_is_kept() -> None:
    clip, info = square_crop(boxes_clip([(31, 17, 62, 48)]), margin=0.3, size=25)
    area = clip.rgba[0, ..., 3].sum() / 255 * (info.side / 25) ** 2
    assert area == pytest.approx(31 * 31, rel=0.02)


def test_empty_matte() -> None:
    with pytest.raises(InputError, match="empty"):
        square_crop(boxes_clip([(0, 0, 0, 0)]))
