"""Picture strips: one row a case, one column a method, in a PNG small enough to keep beside the table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

HEADING = 14
LARGEST = 300_000
MOST_ROWS = 8


@dataclass(frozen=True)
class Row:
    """name: of the case. pictures: uint8 [h, w, 4] straight alpha or [h, w, 3], one per column, all of one size."""

    name: str
    pictures: Sequence[np.ndarray]


def strip_png(columns: Sequence[str], rows: Sequence[Row], *, largest: int = LARGEST) -> bytes:
    """A PNG of at most `largest` bytes with the columns' names above and the cases' names in their first pictures.

    Rows are spread evenly over those given; there are fewer of them where eight are too many bytes.

    Raises:
        ValueError: no rows, or a row has not one picture per column.
    """
    if not rows or any(len(row.pictures) != len(columns) for row in rows):
        raise ValueError(f"expected rows of {len(columns)} pictures, got {[len(row.pictures) for row in rows]}")
    count = min(len(rows), MOST_ROWS)
    while True:
        chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]
        data = _encoded(_drawn(columns, chosen))
        if len(data) <= largest or count == 1:
            return data
        count -= 1


def _drawn(columns: Sequence[str], rows: Sequence[Row]) -> Image.Image:
    height, width = rows[0].pictures[0].shape[:2]
    image = Image.new("RGB", (width * len(columns), HEADING + height * len(rows)), "white")
    draw = ImageDraw.Draw(image)
    for column, name in enumerate(columns):
        draw.text((column * width + 4, 1), name, fill="black")
    for number, row in enumerate(rows):
        top = HEADING + number * height
        for column, picture in enumerate(row.pictures):
            shown = Image.fromarray(picture)
            image.paste(shown, (column * width, top), shown if shown.mode == "RGBA" else None)
        draw.text((3, top + height - 12), row.name, fill=(130, 130, 130), font_size=8)
    return image


def _encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    return stream.getvalue()
