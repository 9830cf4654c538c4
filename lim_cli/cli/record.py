"""The configuration stored beside every result: what repeats the run, and how to tell that nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import lim_cli
from lim_cli.cli.jobs import STDIN, Job
from lim_cli.cli.option_layers import RECORD
from lim_cli.cli.preflight import MODELS, is_posed
from lim_cli.cli.settings import Settings, absolute_folder, with_absolute_folders
from lim_cli.core.config import to_plain
from lim_cli.core.files import atomic_path, hash_file, hash_json, hash_tree
from lim_cli.data.model_files import hash_model
from lim_cli.models.releases import is_model, weight_hash
from lim_cli.stages.config import skin_path

RUN_NAME = "config.json"
"""Its name in a run folder."""


def config_path(output: Path) -> Path:
    """OUT.config.json for OUT.glb."""
    return output.with_suffix(".config.json")


def describe(job: Job, path: Path, settings: Settings, release: Path) -> dict[str, Any]:
    """All options of one clip, and hashes of what went in. `path` is where the input lies; for STDIN a copy.

    release: of the weights, its folder.

    Folders are absolute, the release is named, and so is the node of the file, so that the same bytes come out.
    """
    config = settings.config
    hashes = {"input": hash_tree(path)}
    if Path(config.ingest.matte).is_dir():
        hashes["matte"] = hash_tree(Path(config.ingest.matte))
    command = settings.command
    if command.mesh is not None:
        hashes["mesh"] = hash_model(Path(command.mesh))
    models = {name: _weight_hash(release / name) for name in MODELS}
    if not is_posed(path):
        other = config.views_model
        foreign = None if other is None else Path(other)
        if foreign is not None and not foreign.is_dir():
            models["views"] = hash_json(other)  # a hub id has no files to hash
        else:
            models["views"] = _weight_hash(foreign or release / "views")
        if config.views.elevation is None and is_model(release / "camera"):
            models["camera"] = _weight_hash(release / "camera")
    resolved = replace(
        with_absolute_folders(config),
        release=release.name,
        export=replace(config.export, name=config.export.name or job.output.stem),
    )
    return {
        "input": str(job.input_path if job.input_path == STDIN else job.input_path.resolve()),
        "output": str(job.output.resolve()),
        "preview": str(job.preview.resolve()) if job.preview is not None else None,
        "sheet": str(job.sheet.resolve()) if job.sheet is not None else None,
        "mesh": str(Path(command.mesh).resolve()) if command.mesh is not None else None,
        "mesh_frame": command.mesh_frame,
        "mesh_align": command.mesh_align,
        "weights": command.weights and absolute_folder(command.weights),
        "device": command.device,
        **to_plain(resolved),
        RECORD: {"lim": lim_cli.__version__, "inputs": hashes, "weights": models},
    }


def write(job: Job, described: Mapping[str, Any]) -> None:
    """Stores the description of a finished result beside it, and in its run folder if it keeps one."""
    whole = {**described, RECORD: {**described[RECORD], "output": _output_hashes(job, described)}}
    places = [config_path(job.output)]
    if job.workdir is not None:
        places.append(job.workdir / RUN_NAME)
    for place in places:
        with atomic_path(place) as partial:
            partial.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def is_current(job: Job, described: Mapping[str, Any]) -> bool:
    """Whether the job's result is there already: made from these inputs, options and weights, and not changed since."""
    try:
        stored = json.loads(config_path(job.output).read_text(encoding="utf-8"))
        record = dict(stored[RECORD])
        if record.pop("output") != _output_hashes(job, described):
            return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if any(path is not None and not path.is_file() for path in (job.preview, job.sheet)):
        return False
    unlike = ("input", "output", "preview", "sheet", "mesh", "weights", "device", RECORD)
    mine, theirs = ({k: v for k, v in d.items() if k not in unlike} for d in (described, stored))
    return record == described[RECORD] and mine == theirs


def _output_hashes(job: Job, described: Mapping[str, Any]) -> list[str]:
    """Of the result's file, or of both where the skin has one of its own."""
    both = described["export"]["anim"] == "both"
    return [hash_file(path) for path in (job.output, *([skin_path(job.output)] if both else []))]


@lru_cache(maxsize=32)
def _weight_hash(folder: Path) -> str:
    return weight_hash(folder)
