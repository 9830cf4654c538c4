"""Arrays, scalars and pictures of an artifact's folder; nothing that could hold code is ever read."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lim_cli.core.errors import InputError

ARRAYS, SCALARS = "arrays.safetensors", "artifact.json"
ArraySpec = tuple[str, Sequence[int | str]]
"""dtype name and shape; a word stands for a size that must agree wherever the word occurs."""


def save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays to `arrays.safetensors`."""
    write_tensors(folder / ARRAYS, arrays)


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays to a safetensors file.

    Raises:
        OSError: as the operating system has it, for instance on a full disk; safetensors hides that in a text.
    """
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error


def load_arrays(folder: Path, specs: Mapping[str, ArraySpec], optional: Mapping[str, ArraySpec]) -> dict[str, Any]:
    """Reads arrays, each of the dtype and shape it must have; optional ones that are absent are left out.

    Raises:
        InputError: damaged, an array missing or too many, or another shape or dtype.
    """
    path = folder / ARRAYS
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is missing or damaged; run its stage again.") from error
    known = {**specs, **{name: spec for name, spec in optional.items() if name in arrays}}
    if set(arrays) != set(known):
        raise InputError(f"{path} holds {sorted(arrays)}, expected {sorted(specs)}; run its stage again.")
    sizes: dict[str, int] = {}
    for name, (dtype, shape) in known.items():
        found = arrays[name]
        fits = found.dtype == dtype and found.ndim == len(shape)
        if fits:
            expected = [
                sizes.setdefault(s, n) if isinstance(s, str) else s for s, n in zip(shape, found.shape, strict=True)
            ]
            fits = list(found.shape) == expected
        if not fits:
            raise InputError(f"{path}: '{name}' is {found.dtype} {found.shape}, expected {dtype} {list(shape)}.")
    return dict(arrays)


def save_scalars(folder: Path, kind: str, values: Mapping[str, Any]) -> None:
    """Writes plain values to `artifact.json`, with the artifact's kind."""
    text = json.dumps({"kind": kind, **values}, indent=1, sort_keys=True)
    (folder / SCALARS).write_text(text + "\n", encoding="utf-8")


def load_scalars(folder: Path, kind: str, names: Mapping[str, type]) -> dict[str, Any]:
    """Reads exactly the values `names` of their types.

    Raises:
        InputError: missing, damaged, another kind of artifact, or other keys or types.
    """
    path = folder / SCALARS
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is missing or damaged; run its stage again.") from error
    if not isinstance(values, dict) or values.pop("kind", None) != kind:
        raise InputError(f"{folder} does not hold a '{kind}' artifact; give the folder of that stage.")
    wrong = set(values) ^ set(names) or {n for n, t in names.items() if not isinstance(values[n], t)}
    if wrong:
        raise InputError(f"{path}: {', '.join(sorted(wrong))} missing, unknown or of a wrong type.")
    return values


def save_pictures(folder: Path, rgba: np.ndarray) -> None:
    """Writes pictures [picture, height, width, 4] uint8 as `0000.png`, ...; lossless."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(rgba):
        Image.fromarray(picture).save(folder / f"{index:04d}.png", compress_level=3)


def load_pictures(folder: Path, count: int, size: tuple[int, int]) -> np.ndarray:
    """Reads `count` RGBA pictures of (height, width): [count, height, width, 4] uint8.

    Raises:
        InputError: a picture is missing, damaged, surplus, or of another size or kind.
    """
    names = sorted(p.name for p in folder.glob("*.png"))
    if names != [f"{index:04d}.png" for index in range(count)]:
        raise InputError(f"{folder} holds {len(names)} pictures, expected {count}; run its stage again.")
    for name in names:  # all headers before the memory for all of them is asked for
        with _picture(folder / name, "RGBA", size):
            pass
    rgba = np.empty((count, *size, 4), dtype=np.uint8)
    for index, name in enumerate(names):
        with _picture(folder / name, "RGBA", size) as picture:
            rgba[index] = np.asarray(picture)
    return rgba


def load_picture(path: Path, mode: str, *, largest: int) -> np.ndarray:
    """One picture of a mode (`RGB`, ...), at most `largest` pixels on a side: [height, width, channel] uint8.

    Raises:
        InputError: missing, damaged, or of another mode or size.
    """
    with _picture(path, mode, largest) as picture:
        return np.array(picture)


@contextmanager
def _picture(path: Path, mode: str, size: tuple[int, int] | int) -> Iterator[Image.Image]:
    """An opened picture whose header says what it must: (height, width), or the largest side."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # checked here, more strictly
            with Image.open(path) as picture:
                found = picture.height, picture.width
                if picture.mode != mode or not (max(found) <= size if isinstance(size, int) else found == size):
                    wanted = f"at most {size} on a side" if isinstance(size, int) else f"{size[1]}x{size[0]}"
                    raise InputError(
                        f"{path} is {picture.mode} {found[1]}x{found[0]}, expected {mode} {wanted}; "
                        "run its stage again."
                    )
                yield picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is damaged; run its stage again.") from error
