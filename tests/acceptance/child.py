"""`lim` as its user runs it: a child process with its seconds, its peak memory and what it printed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.1
RUSAGE_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class ChildRun:
    """exit_code: negative for a signal. peak_bytes: largest resident memory of the child or of one of its own.

    cpu_seconds: over all cores; far under wall_seconds where other work slowed the run.
    """

    exit_code: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: str
    stderr: str


def run_lim(
    arguments: Sequence[str | Path],
    logs: Path,
    *,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = 1800.0,
) -> ChildRun:
    """Runs `python -m lim_cli ARGUMENTS`; its output is kept in `logs` as stdout.txt and stderr.txt.

    environment: replaces variables of ours. A child that outlasts `timeout_seconds` is killed (exit code -9).
    """
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "lim_cli", *map(str, arguments)]
    began = time.monotonic()
    with open(logs / "stdout.txt", "wb") as stdout, open(logs / "stderr.txt", "wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env={**os.environ, **(environment or {})}
        )
        # wait4 rather than getrusage, whose peak is over all children so far.
        finished, status, usage = os.wait4(process.pid, os.WNOHANG)
        while not finished:
            if time.monotonic() - began > timeout_seconds:
                process.kill()
            time.sleep(POLL_SECONDS)
            finished, status, usage = os.wait4(process.pid, os.WNOHANG)
    wall_seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)  # reaped already: Popen must not wait again
    texts = [(logs / name).read_text(encoding="utf-8", errors="replace") for name in ("stdout.txt", "stderr.txt")]
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return ChildRun(process.returncode, wall_seconds, cpu_seconds, usage.ru_maxrss * RUSAGE_UNIT, *texts)
