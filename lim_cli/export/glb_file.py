"""The GLB container (glTF 2.0, sec. 4), and its JSON without what goes without saying."""

from __future__ import annotations

import json
import struct
from typing import Any

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
    """A GLB of a document whose first buffer is `blob`."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    blob += b"\0" * (-len(blob) % 4)
    total = 12 + 8 + len(text) + 8 + len(blob)
    head = struct.pack("<III", MAGIC, VERSION, total)
    chunks = struct.pack("<II", len(text), JSON_CHUNK), text, struct.pack("<II", len(blob), BINARY_CHUNK), blob
    return b"".join([head, *chunks])


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
