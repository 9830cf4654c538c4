"""What a finished stage says of itself: how it was made and what it wrote."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lim_cli.core.config import to_plain
from lim_cli.core.files import atomic_path

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"
FRAME_CONVENTION = "world right-handed, +Y up; cameras OpenCV, world_from_camera"


@dataclass(frozen=True)
class Manifest:
    """config: resolved options as plain JSON values. *_hashes: name -> SHA-256 hex. seconds: time taken.

    output_hashes is keyed by path relative to the stage's folder.
    """

    stage: str
    stage_version: int
    config: dict[str, Any]
    input_hashes: dict[str, str]
    weight_hashes: dict[str, str]
    seed: int
    seconds: float = 0.0
    output_hashes: dict[str, str] | None = None
    schema_version: int = SCHEMA_VERSION
    frame_convention: str = FRAME_CONVENTION

    def made_alike(self, other: Manifest) -> bool:
        """Whether both describe the same work: everything but the time it took and what came of it."""
        ignored = {"seconds", "output_hashes"}
        mine, theirs = json.loads(_text(self)), json.loads(_text(other))
        return all(mine[f.name] == theirs[f.name] for f in fields(self) if f.name not in ignored)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `manifest.json` into a stage's folder, atomically."""
    with atomic_path(folder / FILE_NAME) as partial:
        partial.write_text(_text(manifest) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a stage's folder; None if it is absent, damaged or of another schema."""
    try:
        values = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or set(values) != {f.name for f in fields(Manifest)}:
        return None
    hashes = [values[name] for name in ("input_hashes", "weight_hashes", "output_hashes")]
    valid = (
        values["schema_version"] == SCHEMA_VERSION
        and values["frame_convention"] == FRAME_CONVENTION
        and isinstance(values["stage"], str)
        and _is_int(values["stage_version"])
        and _is_int(values["seed"])
        and isinstance(values["config"], dict)
        and isinstance(values["seconds"], int | float)
        and math.isfinite(values["seconds"])
        and all(_is_hash_table(table) for table in hashes)
    )
    if not valid:
        return None
    manifest = Manifest(**values)
    try:
        _text(manifest)
    except RecursionError:  # nested so deep that it can be read but not compared
        return None
    return manifest


def _text(manifest: Manifest) -> str:
    return json.dumps(to_plain(manifest), indent=1, sort_keys=True)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_hash_table(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(v, str) and len(v) == 64 and not set(v) - set("0123456789abcdef") for v in value.values()
    )
