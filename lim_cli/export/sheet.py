"""Labelled columns of small pictures as one PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from lim_cli.core.files import atomic_path

LABEL_HEIGHT = 16


def sheet(columns: Sequence[tuple[str, Sequence[np.ndarray]]]) -> np.ndarray:
    """Labels over their columns of pictures [side, side, 3] uint8, all of one side: [height, width, 3] uint8."""
    return np.concatenate(
        [np.concatenate([_label(text, cells[0].shape[1]), *cells]) for text, cells in columns], axis=1
    )


def on_white(rgba: np.ndarray, side: int) -> np.ndarray:
    """A picture with straight alpha [height, width, 4] uint8 as a cell [side, side, 3] uint8."""
    opacity = rgba[..., 3:].astype(np.float32) / 255
    white = rgba[..., :3] * opacity + 255 * (1 - opacity)
    return np.asarray(cv2.resize(white, (side, side), interpolation=cv2.INTER_AREA).round().clip(0, 255), np.uint8)


def write_text(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture with words in its upper left corner."""
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((4, 2), text, fill=(0, 0, 0))
    return np.asarray(image)


def save_sheet(picture: np.ndarray, output: Path, *, most_bytes: int) -> None:
    """Writes a PNG with the most colours that keep it within `most_bytes`, or with 32.

    Raises:
        OutputError: it cannot be written.
    """
    for colours in (256, 128, 64, 32):
        stream = io.BytesIO()
        Image.fromarray(picture).quantize(colours, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        if stream.tell() <= most_bytes:
            break
    with atomic_path(output) as partial:
        partial.write_bytes(stream.getvalue())


def _label(text: str, width: int) -> np.ndarray:
    return write_text(np.full((LABEL_HEIGHT, width, 3), 235, np.uint8), text)
