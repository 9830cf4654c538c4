"""What can be known to fail before anything heavy is loaded: paths, space and weights."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lim_cli.core.errors import ConfigError, InputError, OutputError

MINIMUM_FREE_BYTES = 300_000_000
RESULT_NAME = "result.json"
"""Marks a folder as a result of ours, which a rerun may replace."""


@dataclass(frozen=True)
class Job:
    """One input and where its results go."""

    input_path: Path
    output: Path
    workdir: Path | None
    preview: Path | None
    sheet: Path | None = None


def plan_jobs(
    inputs: list[Path], output: Path, *, workdir: Path | None, preview: Path | None, sheet: Path | None = None
) -> list[Job]:
    """One job per input. With several inputs `output`, `workdir`, `preview` and `sheet` are folders.

    Raises:
        OutputError: the output is neither a .glb file nor, for several inputs, a folder.
        InputError: two inputs would write the same file.
    """
    many = len(inputs) > 1
    if not many and not _means_folder(output):
        check_suffix(output)
        return [Job(inputs[0], output, workdir, preview, sheet)]
    if output.suffix:
        raise OutputError(f"With several inputs -o must be a folder, got {output}.")
    jobs: dict[str, Job] = {}
    for path in inputs:
        name = path.resolve().stem
        if name in jobs:
            raise InputError(f"Both {jobs[name].input_path} and {path} would write {name}.glb; rename one.")
        jobs[name] = Job(
            path,
            output / f"{name}.glb",
            workdir / name if workdir and many else workdir,
            preview / f"{name}.mp4" if preview and many else preview,
            sheet / f"{name}.png" if sheet and many else sheet,
        )
    return list(jobs.values())


def parse_shard(text: str | None) -> tuple[int, int]:
    """ "i/n", i from 1 -> (i, n); None is the whole.

    Raises:
        ConfigError: anything else.
    """
    if text is None:
        return 1, 1
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise ConfigError(f"--shard must be i/n with 1 <= i <= n, got {text!r}.")
    return int(first), int(second)


def check_job(job: Job) -> None:
    """Raises InputError or OutputError if the job cannot start."""
    check_input(job.input_path)
    check_sheet(job.sheet)
    for path in (job.output, job.preview, job.sheet, job.workdir):
        if path is not None:
            check_writable(path)


def check_sheet(sheet: Path | None) -> None:
    """Raises OutputError if a contact sheet would not be a .png."""
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise OutputError(f"The contact sheet {sheet} must end in .png.")


def check_input(path: Path) -> None:
    """Raises InputError if there is nothing to read."""
    if not path.exists():
        raise InputError(f"There is no {path}; give a video, an image folder or a scene folder.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(f"The folder {path} is empty.")


def check_run(path: Path) -> None:
    """Raises InputError if `path` is no folder that could be a run's."""
    if not path.is_dir():
        raise InputError(f"There is no run folder {path}; run lim ingest INPUT --workdir {path} first.")


def is_posed(path: Path) -> bool:
    """Whether an input is a scene folder, told without reading it."""
    return (path / "transforms.json").is_file()


def check_suffix(path: Path) -> None:
    if path.suffix.lower() != ".glb":
        raise OutputError(f"Output {path} must end in .glb.")


def check_glb(path: Path) -> None:
    """Raises OutputError if `path` is no .glb that can be written."""
    check_suffix(path)
    check_writable(path)


def check_new_folder(path: Path) -> None:
    """Raises OutputError if a result folder cannot be written at `path`, or holds something else already."""
    check_writable(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"Output {path} is a file; give a folder.")
    if path.is_dir() and any(path.iterdir()) and not (path / RESULT_NAME).is_file():
        raise OutputError(f"The folder {path} holds other things; choose another -o.")


def check_writable(path: Path) -> None:
    """Raises OutputError if `path` cannot be created or its disk is nearly full."""
    if path.is_dir() and path.suffix == ".glb":
        raise OutputError(f"Output {path} is a folder; give a file name.")
    parent = path.resolve()
    while not parent.exists():
        parent = parent.parent
    if parent != path.resolve() and not parent.is_dir():
        raise OutputError(f"Cannot write {path}: {parent} is not a folder.")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"Cannot write {path}: no permission in {parent}.")
    free = shutil.disk_usage(parent).free
    if free < MINIMUM_FREE_BYTES:
        needed = MINIMUM_FREE_BYTES / 1e6
        raise OutputError(f"Only {free / 1e6:.0f} MB are free for {path}; {needed:.0f} MB are needed.")


def _means_folder(path: Path) -> bool:
    return path.is_dir() or not path.suffix
