"""Runs readers on damaged files in a child process that may neither hang, nor crash, nor eat the memory.

A case is a subject's name and a number; both together give the damage, so that every case can be run again.
The parent imports and builds everything once; children are forked from it and do many cases each. The child says
through a pipe which case it is at; the parent watches the clock and the child's resident memory, kills it where a
case breaks a limit, and goes on with the next case in a new child.
"""

from __future__ import annotations

import json
import os
import select
import signal
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lim_cli.core.errors import MissingError, UserError
from tests.fuzz.mutations import damaged

CPU_SECONDS = 10.0
WALL_SECONDS = 60.0  # sleeping, or a machine with other work
MEMORY_BYTES = 2_000_000_000
POLL_SECONDS = 0.02
CASES_A_CHILD = 500  # so that what a library leaks does not add up


@dataclass(frozen=True)
class Subject:
    """Files that belong together, and what reads them.

    files: name -> content. targets: names of those that are damaged; all if empty. read: gets the folder.
    """

    name: str
    files: dict[str, bytes]
    read: Callable[[Path], Any]
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A case that neither succeeded nor was refused on purpose."""

    subject: str
    number: int
    what: str


@dataclass
class Report:
    """outcomes: (subject, `read` or `refused`) -> how often."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0
    peak_bytes: int = 0

    @property
    def cases(self) -> int:
        return sum(self.outcomes.values()) + len(self.failures)


def run_cases(
    subjects: Sequence[Subject], numbers: Sequence[int], *, announce: Callable[[Failure], None] | None = None
) -> Report:
    """Runs every number on the subject whose turn it is; `announce` hears of a failure at once."""
    report = Report()
    cases = [(subjects[number % len(subjects)], number) for number in numbers]
    began, place = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="lim-fuzz-") as scratch:
        while place < len(cases):
            place = _child_s_cases(cases, place, Path(scratch), report, announce or (lambda _: None))
    report.seconds = time.monotonic() - began
    return report


def materialise(subject: Subject, number: int, folder: Path) -> str:
    """Writes a case's files; returns the name of the damaged one."""
    rng = np.random.default_rng([number, zlib.crc32(subject.name.encode())])
    targets = subject.targets or tuple(subject.files)
    chosen = targets[int(rng.integers(len(targets)))]
    write_whole(subject, folder)
    (folder / chosen).write_bytes(damaged(chosen, subject.files[chosen], rng))
    return chosen


def write_whole(subject: Subject, folder: Path) -> None:
    """Writes a subject's files undamaged."""
    for name, data in subject.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _child_s_cases(
    cases: list[tuple[Subject, int]],
    first: int,
    scratch: Path,
    report: Report,
    announce: Callable[[Failure], None],
) -> int:
    """Forks a child for the cases from `first` on; returns the place to go on at."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _work(cases[first : first + CASES_A_CHILD], scratch, writing)
        finally:
            os._exit(0)
    os.close(writing)
    place, process, memory, cpu = first, psutil.Process(child), 0, 0.0
    began, cpu_began, why = time.monotonic(), 0.0, ""
    try:
        for line in _lines(reading):
            if line is None:  # nothing said for a moment
                with suppress(psutil.Error):  # it may just have died, which the closed pipe will tell
                    memory, cpu = process.memory_info().rss, process.cpu_times().user + process.cpu_times().system
                report.peak_bytes = max(report.peak_bytes, memory)
                if memory > MEMORY_BYTES:
                    why = f"took {memory / 1e9:.1f} GB"
                elif cpu - cpu_began > CPU_SECONDS or time.monotonic() - began > WALL_SECONDS:
                    why = f"ran for {time.monotonic() - began:.0f} s, {cpu - cpu_began:.0f} s of them computing"
                if why:
                    break
                continue
            outcome, text, peak = json.loads(line)
            report.slowest = max(report.slowest, time.monotonic() - began)
            report.peak_bytes = max(report.peak_bytes, peak)
            _count(report, cases[place], outcome, text, announce)
            place, began, cpu_began = place + 1, time.monotonic(), cpu
            if peak > MEMORY_BYTES:  # this child's peak never falls again
                _count(report, cases[place - 1], "failed", f"took {peak / 1e9:.1f} GB", announce)
                return place
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if why or place < min(len(cases), first + CASES_A_CHILD):
        what = why or f"died of signal {os.WTERMSIG(status)}"
        _count(report, cases[place], "failed", what, announce)
        place += 1
    return place


def _count(
    report: Report, case: tuple[Subject, int], outcome: str, text: str, announce: Callable[[Failure], None]
) -> None:
    subject, number = case
    if outcome == "failed":
        report.failures.append(Failure(subject.name, number, text))
        announce(report.failures[-1])
    else:
        report.outcomes[subject.name, outcome] += 1


def _lines(reading: int) -> Iterator[str | None]:
    """Whole lines of a pipe until it closes; None whenever none came for `POLL_SECONDS`."""
    rest = b""
    while True:
        if not select.select([reading], [], [], POLL_SECONDS)[0]:
            yield None
            continue
        data = os.read(reading, 65536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode()
            yield None


def _work(cases: list[tuple[Subject, int]], scratch: Path, writing: int) -> None:
    warnings.simplefilter("ignore")  # a reader may warn; under pytest that would be an error
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)  # decoders complain on stderr
    for subject, number in cases:
        folder = scratch / subject.name
        materialise(subject, number, folder)
        outcome, text = outcome_of(subject, folder)
        line = json.dumps([outcome, text, peak_bytes()]) + "\n"
        os.write(writing, line.encode())


def outcome_of(subject: Subject, folder: Path) -> tuple[str, str]:
    """(`read`, ""), (`refused`, the sentence) or (`failed`, what came and from where)."""
    try:
        subject.read(folder)
    except (UserError, MissingError) as error:
        return "refused", str(error)[:300]
    except BaseException as error:
        where = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
        return "failed", f"{type(error).__name__}: {str(error)[:200]} at {' < '.join(reversed(where[-5:]))}"
    return "read", ""


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
