"""One clip from preflight to result: what a single call, a batch and a cluster's worker all do."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lim_cli.cli import record
from lim_cli.cli.failure import explain
from lim_cli.cli.jobs import STDIN, Job
from lim_cli.cli.options import drive_config
from lim_cli.cli.preflight import check_job
from lim_cli.cli.settings import Settings
from lim_cli.core.errors import InputError, InterruptedRun
from lim_cli.core.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from lim_cli.stages.drive import DriveConfig
    from lim_cli.stages.networks import Networks


PICTURE_STARTS = {
    ".gif": re.compile(rb"GIF8"),
    ".png": re.compile(rb"\x89PNG"),
    ".webp": re.compile(rb"RIFF....WEBP", re.S),
}
"""First bytes of the pictures that move; all else is left to FFmpeg, which looks for itself."""


@dataclass(frozen=True)
class Outcome:
    """What became of one clip: status is done, skipped, failed or waiting; error is one sentence.

    seconds: it took. result: of a done one, as `lim reconstruct --json` prints it.
    """

    input: str
    status: str
    output: str
    seconds: float = 0.0
    error: str | None = None
    exit_code: int = 0
    result: dict[str, Any] | None = None


def attempt(job: Job, settings: Settings, *, fresh: bool = False, progress: Progress | None = None) -> Outcome:
    """One clip of a batch. Whatever goes wrong becomes an outcome; a result that is current is left alone."""
    began = time.monotonic()
    name, output = str(job.input_path), str(job.output)
    try:
        result = reconstruct(job, settings, fresh=fresh, keep_current=not fresh, progress=progress)
    except (KeyboardInterrupt, InterruptedRun):
        raise
    except Exception as error:  # any failure of one clip, so that the others still run
        sentence, code = explain(error)
        return Outcome(name, "failed", output, round(time.monotonic() - began, 2), sentence, code)
    status = "skipped" if result is None else "done"
    return Outcome(name, status, output, round(time.monotonic() - began, 2), result=result)


def reconstruct(
    job: Job,
    settings: Settings,
    *,
    fresh: bool = False,
    keep_current: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """Checks, reconstructs and records one clip; returns the result as JSON values.

    fresh: start over where a run folder holds finished stages. keep_current: do nothing and return None where the
    result of just this is there.

    Raises:
        LimError: with one sentence that says what to do.
    """
    with _at_hand(job.input_path) as path:
        release = check_job(replace(job, input_path=path), settings)
        described = record.describe(job, path, settings, release)
        if keep_current and record.is_current(job, described):
            return None
        from lim_cli.core.device import choose_device  # torch from here on
        from lim_cli.stages.chain import reconstruct as reconstruct_clip

        device = str(choose_device(settings.command.device))
        result = reconstruct_clip(
            path,
            job.output,
            settings.config,
            workdir=job.workdir,
            fresh=fresh,
            preview=job.preview,
            sheet=job.sheet,
            drive=_drive(settings),
            networks=_networks(device, release, settings.config.views_model),
            progress=progress or SilentProgress(),
        )
        record.write(job, {**described, "device": device})
    plain: dict[str, Any] = {**result.to_plain(), "config": str(record.config_path(job.output))}
    return plain


def _drive(settings: Settings) -> DriveConfig | None:
    """What becomes of the user's own mesh, if there is one."""
    command = settings.command
    if command.mesh is None:
        return None
    return drive_config(Path(command.mesh), command.mesh_align, command.mesh_frame)


@lru_cache(maxsize=1)
def _networks(device: str, release: Path, views_model: str | None) -> Networks:
    """The models, kept for the clips that follow."""
    from lim_cli.stages.networks import Networks

    return Networks(device, weights=release, views_model=views_model, needs=())


@contextmanager
def _at_hand(path: Path) -> Iterator[Path]:
    """The input's path; standard input is first copied to a file, since most formats cannot be read in one go."""
    if path != STDIN:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="lim-stdin-") as folder:
        start = sys.stdin.buffer.read(16)
        if not start:
            raise InputError("Standard input is empty; pipe a video into it.")
        suffix = next((name for name, magic in PICTURE_STARTS.items() if magic.match(start)), "")
        copy = Path(folder) / f"stdin{suffix}"
        with open(copy, "wb") as stream:
            stream.write(start)
            shutil.copyfileobj(sys.stdin.buffer, stream)
        try:
            yield copy
        except InputError as error:
            raise InputError(str(error).replace(str(copy), "Standard input")) from error
