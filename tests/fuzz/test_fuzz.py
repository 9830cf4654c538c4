"""No damaged file may bring down the program; `python -m tests.fuzz.run` does the same for as long as you like."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from lim_cli.core.errors import InputError, NumericalError
from tests.fuzz import harness
from tests.fuzz.harness import Subject, outcome_of, run_cases, write_whole
from tests.fuzz.mutations import damaged
from tests.fuzz.subjects import all_subjects

CASES = 340
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def subjects() -> list[Subject]:
    return all_subjects()


def test_whole_files_are_read(subjects: list[Subject], tmp_path: Path) -> None:
    for subject in subjects:
        write_whole(subject, tmp_path / subject.name)
        assert outcome_of(subject, tmp_path / subject.name) == ("read", ""), subject.name


def test_damaged_files_are_read_or_refused() -> None:
    """In an interpreter of its own: forks of one whose OpenMP threads have run die in their next parallel region."""
    command = [sys.executable, "-m", "tests.fuzz.run", "--count", str(CASES)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, summary = done.stdout.splitlines()
    assert summary.startswith(f"{CASES} cases in ")
    assert ", 0 failed;" in summary
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:-1]]
    assert sum(int(read) for _, read, _ in rows) > 0
    assert sum(int(refused) for _, _, refused in rows) > CASES / 2


@pytest.mark.parametrize("name", ["a.json", "a.glb", "a.safetensors", "a.toml", "a.bin"])
def test_a_case_is_the_same_every_time(subjects: list[Subject], name: str) -> None:
    suffix = name[1:]
    known = {n: data for s in subjects for n, data in s.files.items()}
    data = next((d for n, d in known.items() if n.endswith(suffix)), bytes(range(256)))
    first, second, other = (damaged(name, data, np.random.default_rng(n)) for n in (1, 1, 2))
    assert first == second
    assert first != data
    assert first != other


def _raise(error: BaseException) -> None:
    raise error


def test_the_harness_sees_what_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to fail, between cases that go well: the rest must still run."""
    monkeypatch.setattr(harness, "CPU_SECONDS", 2.0)
    monkeypatch.setattr(harness, "WALL_SECONDS", 6.0)
    # a forked child starts from at most what its parent holds now, often from much less
    monkeypatch.setattr(harness, "MEMORY_BYTES", psutil.Process().memory_info().rss + 300_000_000)
    reads = {
        "good": lambda folder: json.loads("1"),
        "refusing": lambda folder: _raise(InputError("no")),
        "raising": lambda folder: _raise(KeyError("no")),
        "of_exit_code_1": lambda folder: _raise(NumericalError("no")),
        "hanging": lambda folder: time.sleep(600),
        "computing": lambda folder: all(True for _ in iter(int, 1)),
        "dying": lambda folder: os.kill(os.getpid(), signal.SIGKILL),
        "eating": lambda folder: np.ones(harness.MEMORY_BYTES, np.uint8)[-1],
        "good_again": lambda folder: None,
    }
    report = run_cases([Subject(name, {"a.bin": b"abc"}, read) for name, read in reads.items()], range(len(reads)))
    assert {f.subject for f in report.failures} == {*reads} - {"good", "refusing", "good_again"}
    whats = {f.subject: f.what for f in report.failures}
    assert "KeyError" in whats["raising"]
    assert "0 s of them computing" in whats["hanging"]
    assert "2 s of them computing" in whats["computing"]
    assert "signal" in whats["dying"]
    assert "GB" in whats["eating"]
    assert report.outcomes == {("good", "read"): 1, ("refusing", "refused"): 1, ("good_again", "read"): 1}
