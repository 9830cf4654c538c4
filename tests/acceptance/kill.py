"""Kills runs at random moments and looks whether anything is lost: resumed, they must end as if never killed.

    PYTHONPATH=.:tests/support OMP_NUM_THREADS=1 python tests/acceptance/kill.py --kills 200

Every trial starts a run with a work folder, or a changed one on top of a finished run, kills it (SIGKILL) once or
several times in a row, lets it finish, and compares every byte of the run folder and of the GLB with those of an
uninterrupted run (manifests but for `seconds`); nothing else may be left. Half of the kills fall at a random time,
half right before a random one of the run's own changes to its files, where most can go wrong. Models are those of
the tests at `tiny` size. One process imports everything once; runs are forks of it. Linux and macOS.

Prints one line a broken trial and a summary; exits with 1 if any trial broke.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import torch
import typer
from clips import disc_clip
from quick_chain import differences, reconstruct_quickly
from tiny_release import cached_weights

CHANGES: tuple[dict[str, Any], ...] = ({}, {"texture_size": 96}, {"fps": 12.0})
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}


@dataclass(frozen=True)
class Moment:
    """When to kill: after so many seconds, or right before so many changes to files."""

    seconds: float | None = None
    event: int | None = None


@dataclass(frozen=True)
class Workshop:
    """A scratch folder with the input, the weights, and finished runs to compare with."""

    scratch: Path
    clip: Path
    weights: Path

    def run(self, folder: Path, change: dict[str, Any]) -> None:
        """One reconstruction; its run folder and its GLB lie in `folder`."""
        reconstruct_quickly(self.clip, folder, self.weights, **change)

    def forked(self, folder: Path, change: dict[str, Any], moment: Moment | None = None) -> int:
        """Runs in a fork; kills it at the moment. Returns the exit code, negative for a signal."""
        child = fork(lambda: self.run(folder, change), folder, moment.event if moment else None)
        if moment is not None and moment.seconds is not None:
            time.sleep(moment.seconds)
            os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def reference(self, change: dict[str, Any]) -> Path:
        """An uninterrupted run, made when first asked for; a changed one on top of the unchanged one."""
        folder = self.scratch / f"whole_{CHANGES.index(change)}"
        if not folder.is_dir():
            if change:
                shutil.copytree(self.reference({}), folder)
            if self.forked(folder, change) != 0:
                raise SystemExit("An uninterrupted run failed.")
        return folder


def fork(work: Callable[[], None], folder: Path, last_event: int | None = None) -> int:
    """Starts `work` in a fork, which says on stderr why it failed; killed by itself before file event `last_event`."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if last_event is not None:
            sys.addaudithook(EventCounter(folder, last_event))
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class EventCounter:
    """An audit hook that counts changes to files below `folder`, and kills the process at the last one."""

    def __init__(self, folder: Path, last: int) -> None:
        self.folder, self.last, self.count = str(folder), last, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILE_EVENTS or not arguments or not str(arguments[0]).startswith(self.folder):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def main(
    kills: Annotated[int, typer.Option(help="How many runs are killed.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
) -> None:
    torch.set_num_threads(1)  # forks must not inherit threads
    cv2.setNumThreads(0)
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        scratch = Path(folder).resolve()
        shop = Workshop(scratch, disc_clip(scratch / "clip", frames=6), cached_weights())
        (scratch / "tmp").mkdir()
        tempfile.tempdir = str(scratch / "tmp")
        events, seconds = measure(shop)
        done = trials = broken = 0
        while done < kills:
            change = dice.choice(CHANGES)
            trial = scratch / "trial"
            if change:  # on top of a finished run
                shutil.copytree(shop.reference({}), trial)
            left = dice.choice((1, 1, 1, 2, 3))
            moments = [pick(dice, seconds, events) for _ in range(min(left, kills - done))]
            codes = [shop.forked(trial, change, moment) for moment in moments]
            faults = [f"a killed run ended with {code}" for code in codes if code not in (0, -signal.SIGKILL)]
            if (code := shop.forked(trial, change)) != 0:
                faults.append(f"the resumed run ended with {code}")
            faults += differences(shop.reference(change), trial)
            faults += [f"left {path}" for path in (scratch / "tmp").iterdir()]
            if faults:
                broken += 1
                print(f"{change} killed at {moments}: {'; '.join(faults)}", flush=True)
            done, trials = done + len(moments), trials + 1
            shutil.rmtree(trial)
    print(f"{done} kills in {trials} trials, {broken} broken (run of {seconds:.1f} s, {events} changes to files)")
    raise typer.Exit(int(broken > 0))


def measure(shop: Workshop) -> tuple[int, float]:
    """Makes the uninterrupted runs; returns how many changes to files the first makes, and its seconds."""
    counter = EventCounter(shop.scratch / "first", -1)
    sys.addaudithook(counter)
    shop.run(shop.scratch / "first", {})  # here, so that every fork has the compiled code
    began = time.monotonic()
    whole = shop.reference({})
    seconds = time.monotonic() - began
    if found := differences(shop.scratch / "first", whole):
        raise SystemExit(f"Two uninterrupted runs differ: {'; '.join(found)}")
    return counter.count, seconds


def pick(dice: random.Random, seconds: float, events: int) -> Moment:
    if dice.random() < 0.5:
        return Moment(seconds=dice.uniform(0, 1.1 * seconds))
    return Moment(event=dice.randint(1, events))


if __name__ == "__main__":
    typer.run(main)
