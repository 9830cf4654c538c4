"""The GLB container (glTF 2.0, sec. 4), what it refers to, and its JSON without what goes without saying."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lim_cli.core.errors import InputError, OutputError

MAGIC, VERSION, JSON_CHUNK, BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942

_DEFAULTS: dict[str, Any] = {
    "byteOffset": 0,
    "normalized": False,
    "interpolation": "LINEAR",
    "mode": 4,
    "alphaMode": "OPAQUE",
    "doubleSided": False,
    "texCoord": 0,
    "metallicFactor": 1.0,
    "roughnessFactor": 1.0,
}
"""By the specification, of whatever has a member of that name."""


def pack_glb(document: dict[str, Any], blob: bytes) -> bytes:
    """A GLB of a document whose first buffer is `blob`.

    Raises:
        OutputError: it would be longer than a GLB can be.
    """
    blob += b"\0" * (-len(blob) % 4)
    return glb_head(document, len(blob)) + blob


def glb_head(document: dict[str, Any], length: int) -> bytes:
    """What comes before a document's first buffer of `length` bytes, a multiple of 4, in a GLB.

    Raises:
        OutputError: it would be longer than a GLB can be.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + length
    if total >= 1 << 32:
        raise OutputError("A GLB holds at most 4 GB, and this one would be larger; take fewer vertices or frames.")
    head = struct.pack("<III", MAGIC, VERSION, total)
    return b"".join([head, struct.pack("<II", len(text), JSON_CHUNK), text, struct.pack("<II", length, BINARY_CHUNK)])


def uri_bytes(path: Path, uri: str) -> bytes:
    """What the glTF file `path` refers to: a data URI's bytes, or those of a file in its own folder.

    Raises:
        InputError: the URI is broken, leaves the folder, or names no file.
    """
    if uri.startswith("data:"):
        try:
            return base64.b64decode(uri.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise InputError(f"{path} holds a broken data URI.") from error
    folder = path.parent.resolve()
    target = (folder / unquote(uri)).resolve()
    if "://" in uri or not target.is_relative_to(folder):
        raise InputError(f"{path} points outside its folder ('{uri}'); use a self-contained .glb.")
    if not target.is_file():
        raise InputError(f"{path} needs '{uri}', which is not in its folder; use a self-contained .glb.")
    return target.read_bytes()


def without_defaults(value: Any) -> Any:
    """A glTF document, or a part of one, without members that have their default value and without empty lists.

    `extras` and what extensions say stay as they are.
    """
    if isinstance(value, list):
        return [without_defaults(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, entry in value.items():
        if name in ("extras", "extensions"):
            if entry:
                kept[name] = entry
        elif entry is not None and entry != [] and not (name in _DEFAULTS and entry == _DEFAULTS[name]):
            kept[name] = without_defaults(entry)
    return kept
