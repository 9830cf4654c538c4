"""Whole reconstructions at `tiny` size in about a second: coarse lattices, few vertices, but several windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lim_cli.cli.settings import resolve
from lim_cli.stages.chain import ReconstructResult, reconstruct
from lim_cli.stages.config import ReconstructConfig

SETTINGS: dict[str, Any] = {
    "fps": 24.0,
    "keyframe_stride": 1,
    "texture_size": 64,
    "vertices": 200,
    "refine": 0.4,
    "track": {
        "resolution": 40,
        "step_resolution": 28,
        "samples": 2_000,
        "level": 0.0,
        "span": 1,
        "evaluations": 1,
        "iterations": 2,
        "outline_rounds": 2,
    },
}


def quick_config(**change: Any) -> ReconstructConfig:
    """Options of a run of about a second. change: of `SETTINGS`."""
    return resolve([("", {**SETTINGS, **change})]).config


def reconstruct_quickly(
    clip: Path, folder: Path, weights: Path, *, fresh: bool = False, **change: Any
) -> ReconstructResult:
    """One reconstruction; its run folder `run` and its GLB `out/a.glb` lie in `folder`. change: of `SETTINGS`."""
    config = quick_config(**change)
    output, run = folder / "out" / "a.glb", folder / "run"
    return reconstruct(clip, output, config, workdir=run, weights=weights, fresh=fresh)


def differences(expected: Path, found: Path) -> list[str]:
    """What two folders do not have in common; of manifests the seconds may differ."""
    wanted, given = files_of(expected), files_of(found)
    named = [f"{name} missing" for name in sorted(wanted.keys() - given.keys())]
    named += [f"{name} left over" for name in sorted(given.keys() - wanted.keys())]
    return named + [f"{name} differs" for name in sorted(wanted.keys() & given.keys()) if wanted[name] != given[name]]


def files_of(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder, and its subfolders; manifests without their seconds."""
    contents: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        contents[name] = b"folder" if path.is_dir() else path.read_bytes()
        if path.name == "manifest.json":
            contents[name] = json.dumps({**json.loads(contents[name]), "seconds": 0}).encode()
    return contents
