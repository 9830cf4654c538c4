"""The clips of a batch as tasks of a Ray cluster that runs already."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lim_cli.cli.jobs import STDIN, Job
from lim_cli.cli.one_clip import Outcome, attempt
from lim_cli.cli.preflight import check_weights, is_posed
from lim_cli.cli.settings import Settings, with_absolute_folders
from lim_cli.core.errors import ConfigError, MissingError

RETRIES = 3
"""How often a clip is begun anew after its worker died."""
ADDRESS_NAME = "RAY_ADDRESS"
SECONDS_TO_CONNECT = 10.0


def connect(address: str | None) -> Any:
    """The `ray` module, connected to the cluster at `address`, else RAY_ADDRESS, else one on this machine.

    Raises:
        MissingError: ray is not installed. ConfigError: there is no such cluster.
    """
    try:
        import ray
    except ImportError:
        raise MissingError("--engine ray needs the ray package; run `pip install 'lim-cli[ray]'`.") from None
    wanted = address or os.environ.get(ADDRESS_NAME) or "auto"
    try:
        if ":" in wanted:
            _knock(wanted)
        ray.init(address=wanted, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (OSError, ValueError, RuntimeError) as error:
        place = "on this machine" if wanted == "auto" else f"at {wanted}"
        raise ConfigError(
            f"There is no Ray cluster {place}; start one with `ray start --head`, or give its --ray-address."
        ) from error
    return ray


def _knock(address: str) -> None:
    """Raises OSError or ValueError if nobody listens at host:port; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_CONNECT).close()


def run_on_ray(
    jobs: Sequence[Job], settings: Settings, *, fresh: bool, address: str | None = None
) -> Iterator[Outcome]:
    """Outcomes as clips finish, one task a clip. Inputs, weights and outputs must lie where all workers see them.

    A clip whose worker dies is begun anew up to `RETRIES` times, on whichever node is free.

    Raises:
        MissingError, ConfigError: see `connect`.
    """
    if any(job.input_path == STDIN for job in jobs):
        raise ConfigError("--engine ray cannot take its input from standard input; give a file.")
    ray = connect(address)
    settings = _for_workers(jobs, settings)
    gpus = 1 if settings.command.device.startswith("cuda") else 0
    task = ray.remote(max_retries=RETRIES, num_cpus=1, num_gpus=gpus)(attempt)
    waiting = {task.remote(_absolute(job), settings, fresh=fresh): job for job in jobs}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Ray says that a worker died
            while waiting:
                (ready,), _ = ray.wait(list(waiting), num_returns=1)
                yield _outcome(ray, ready, waiting.pop(ready))
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)
        ray.shutdown()


def _outcome(ray: Any, reference: Any, job: Job) -> Outcome:
    try:
        found: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        why = " ".join(str(error).split())[:200]
        sentence = f"Its worker died or could not start, {RETRIES + 1} times over ({type(error).__name__}: {why})."
        return Outcome(str(job.input_path), "failed", str(job.output), error=sentence, exit_code=1)
    # as the user named them, not as the worker saw them
    return replace(found, input=str(job.input_path), output=str(job.output))


def _absolute(job: Job) -> Job:
    """A worker has another working folder."""
    paths = (job.workdir, job.preview, job.sheet)
    return Job(job.input_path.resolve(), job.output.resolve(), *(p.resolve() if p is not None else None for p in paths))


def _for_workers(jobs: Sequence[Job], settings: Settings) -> Settings:
    """The same with absolute paths, and with the release that was found here whatever the workers' environment."""
    generates = not all(is_posed(job.input_path) for job in jobs)
    release = check_weights(settings, generates=generates).resolve()
    mesh = settings.command.mesh
    return replace(
        settings,
        command=replace(
            settings.command, weights=str(release), mesh=str(Path(mesh).resolve()) if mesh is not None else None
        ),
        config=with_absolute_folders(settings.config),
    )
