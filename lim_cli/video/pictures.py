"""Picture files through Pillow: single, animated, and folders of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from lim_cli.core.errors import PARSER_ERRORS, InputError
from lim_cli.video.clip import LARGEST_SIDE, bounded_size, resize_rgba

PICTURE_SUFFIXES = frozenset({".png", ".apng", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
BROWSER_DURATION = 0.1
"""Seconds that browsers show a frame whose declared duration is 10 ms or less."""


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorting key by which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]


def list_pictures(folder: Path) -> list[Path]:
    """The picture files directly inside a folder, naturally sorted; hidden files are left out."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".")]
    return sorted((p for p in files if p.is_file()), key=natural_key)


def open_picture(path: Path) -> Image.Image:
    """Opens a picture without decoding it.

    Raises:
        InputError: missing, unreadable, not a picture, or a side above 16384 pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} declares too many pixels; make it at most {LARGEST_SIDE} on a side.") from None
    except PARSER_ERRORS:
        raise InputError(f"{path} cannot be read as a picture; replace it with a PNG, JPEG or WebP file.") from None
    if max(image.size) > LARGEST_SIDE or min(image.size) < 1:
        image.close()
        width, height = image.size
        raise InputError(f"{path} is {width}x{height}; shrink it to at most {LARGEST_SIDE} on a side.")
    return image


def frame_count(image: Image.Image) -> int:
    """Frames of a picture file; 1 where it cannot be counted, as in one that is cut off."""
    if _is_photograph(image):
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except (*PARSER_ERRORS, Image.DecompressionBombError):
        return 1


def _is_photograph(image: Image.Image) -> bool:
    """Whether what a file holds beside its picture are a camera's previews and depths (MPO), not later times."""
    return image.format == "MPO"


def to_rgba(image: Image.Image) -> np.ndarray:
    """One decoded Pillow picture as straight RGBA [height, width, 4] uint8; 16-bit grey is scaled to 8."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        scale = 255.0 if image.mode == "F" else 255.0 / 65535.0
        grey = np.clip(values * scale + 0.5, 0, 255).astype(np.uint8)
        return np.stack([grey, grey, grey, np.full_like(grey, 255)], -1)
    return np.asarray(image.convert("RGBA"), dtype=np.uint8)


def read_picture(path: Path, *, max_side: int | None = None) -> np.ndarray:
    """A picture file (its first frame) as RGBA [height, width, 4] uint8, upright by its EXIF orientation.

    Raises:
        InputError: see `open_picture`; also a picture that is damaged or cut off.
    """
    with open_picture(path) as image:
        try:
            rgba = to_rgba(ImageOps.exif_transpose(image))
        except (*PARSER_ERRORS, Image.DecompressionBombError):
            raise InputError(f"{path} is damaged or cut off; export it again.") from None
    return resize_rgba(rgba, bounded_size((rgba.shape[0], rgba.shape[1]), max_side))


def animated_frames(path: Path, *, max_side: int | None = None) -> Iterator[tuple[np.ndarray, float]]:
    """Frames of a GIF, APNG, animated WebP or AVIF: (RGBA [height, width, 4] uint8, seconds from the first), upright.

    Any other picture is one frame. A file that is cut off yields what can be decoded.
    """
    with open_picture(path) as image:
        time = 0.0
        frames = islice(ImageSequence.Iterator(image), 1 if _is_photograph(image) else None)  # counting would read all
        while True:
            try:
                frame = next(frames)
                rgba = to_rgba(ImageOps.exif_transpose(frame))
            except StopIteration:
                return
            except (*PARSER_ERRORS, Image.DecompressionBombError):
                return
            yield resize_rgba(rgba, bounded_size((rgba.shape[0], rgba.shape[1]), max_side)), time
            duration = float(frame.info.get("duration", 0.0)) / 1000.0
            time += duration if duration > 0.01 else BROWSER_DURATION
