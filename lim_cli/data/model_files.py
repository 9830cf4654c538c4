"""All files that a user's model consists of: the named one, and those it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lim_cli.core.errors import InputError
from lim_cli.core.files import hash_file, hash_json
from lim_cli.export.driven_gltf import read_document

_PICTURES = ("map_", "bump", "disp", "decal", "norm", "refl")
_LARGEST_PLY_HEADER = 1 << 16


def model_files(path: Path) -> list[Path]:
    """The model's own file first; then its buffers, materials and pictures, as far as they are there.

    A model that cannot be understood is its own file: whoever reads it says what is wrong.
    """
    suffix = path.suffix.lower()
    if suffix in (".gltf", ".glb"):
        others = _of_gltf(path)
    elif suffix == ".obj":
        others = _of_obj(path)
    else:
        others = _of_ply(path) if suffix == ".ply" else iter(())
    return list(dict.fromkeys([path, *sorted(other for other in others if other.is_file())]))


def hash_model(path: Path) -> str:
    """SHA-256 over the model's own bytes, and the names and contents of all files it refers to."""
    own, *others = model_files(path)
    if not others:
        return hash_file(own)
    return hash_json(
        [hash_file(own), [[other.relative_to(path.parent).as_posix(), hash_file(other)] for other in others]]
    )


def _of_gltf(path: Path) -> Iterator[Path]:
    try:
        document, _ = read_document(path)
    except InputError:
        return
    for kind in ("buffers", "images"):
        entries: Any = document.get(kind)
        for entry in entries if isinstance(entries, list) else ():
            uri = entry.get("uri") if isinstance(entry, dict) else None
            if isinstance(uri, str) and not uri.startswith("data:"):
                yield from _beside(path, unquote(uri))


def _of_obj(path: Path) -> Iterator[Path]:
    for library in _statements(path, "mtllib"):
        for materials in _beside(path, library):
            yield materials
            for picture in _statements(materials, *_PICTURES):
                # Options may stand before the name, and a name may hold blanks.
                words = picture.split()
                names = (" ".join(words[first:]) for first in range(len(words)))
                yield from next((found for name in names if (found := list(_beside(materials, name)))), [])


def _of_ply(path: Path) -> Iterator[Path]:
    with open(path, "rb") as stream:
        header = stream.read(_LARGEST_PLY_HEADER).partition(b"end_header")[0].decode("latin-1")
    for line in header.splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3 and words[0] == "comment" and words[1].lower() == "texturefile":
            yield from _beside(path, words[2].strip())


def _statements(path: Path, *keywords: str) -> Iterator[str]:
    """What follows lines that start with one of the keywords."""
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            words = line.split(maxsplit=1)
            if len(words) == 2 and words[0].lower().startswith(keywords):
                yield words[1].strip()


def _beside(path: Path, name: str) -> Iterator[Path]:
    """The file of that name, if it is in the model's folder or below it: no reader goes elsewhere."""
    try:
        target = path.parent / name
        if target.resolve().is_relative_to(path.parent.resolve()) and target.is_file():
            yield target
    except (OSError, ValueError):  # no name a file can have
        return
