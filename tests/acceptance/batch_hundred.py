"""A hundred clips in one call, five of them poisoned: 95 done, 5 listed, and memory that does not grow.

    OMP_NUM_THREADS=1 PYTHONPATH=.:tests/support python tests/acceptance/batch_hundred.py [--clips 100] [--keep DIR]

Runs over tiny trained models, which are made first (half a minute) unless they are cached. Resident memory is read
each time a clip finishes, in all and without pages of files (which the system takes back as it likes). Growth is the
mean over the last tenth of the clips against the mean over the second tenth, since the first clips load the models
and compile. Then the same call again, which must skip what is done.
Prints the figures and exits with 1 if a bar is missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from bad_input import cut, write_video
from clips import disc_clip
from tiny_release import cached_weights

POISONED = 5
MOST_GROWTH = 0.05
OPTIONS = ["--vertices", "200", "--fps", "6", "--texture-size", "64", "--device", "cpu", "--json", "--quiet"]
OPTIONS += ["--set", "track.resolution=40", "--set", "track.step_resolution=32", "--set", "texture.observations=4"]


def main(
    clips: Annotated[int, typer.Option(min=20)] = 100,
    keep: Annotated[Path | None, typer.Option(help="Work here and leave everything.")] = None,
) -> None:
    with tempfile.TemporaryDirectory(prefix="batch-hundred-") as temporary:
        folder = keep or Path(temporary)
        make_inputs(folder / "in", clips)
        lines, memory, seconds, code = run_batch(folder)
        done = sum(line["status"] == "done" for line in lines)
        failed = [line for line in lines if line["status"] == "failed"]
        tenth = clips // 10
        before, after = memory[tenth : 2 * tenth].mean(0), memory[-tenth:].mean(0)
        growth = after / before - 1
        print(f"first call: {done} done, {len(failed)} failed, exit code {code}, {seconds:.0f} s")
        for line in failed:
            print(f"  {Path(line['input']).name}: {line['error'].replace(str(folder), '.')}")
        for column, kind in enumerate(("resident", "resident less files")):
            marks = [f"{memory[n - 1, column] / 1e6:.0f} after {n}" for n in (1, tenth, 2 * tenth, clips // 2, clips)]
            print(f"{kind}, MB: {', '.join(marks)}; growth {growth[column]:+.1%}")
        again, _, seconds, _ = run_batch(folder)
        skipped = sum(line["status"] == "skipped" for line in again)
        print(f"second call: {skipped} skipped, {len(again) - skipped} failed, {seconds:.1f} s")
        listed = json.loads((folder / "out" / "batch.json").read_text())
        right = (done, len(failed), code) == (clips - POISONED, POISONED, 2) and skipped == done
        right &= listed["failed"] == POISONED and len(listed["clips"]) == clips and bool((growth < MOST_GROWTH).all())
    raise typer.Exit(int(not right))


def make_inputs(folder: Path, clips: int) -> None:
    """Clips of two or three frames; every twentieth is one that cannot be used, each in its own way."""
    folder.mkdir(parents=True)
    poisons = 0
    for number in range(clips):
        path = folder / f"{number:03d}"
        if number % (clips // POISONED) == clips // POISONED // 2:
            poison(path, poisons)
            poisons += 1
        else:
            disc_clip(path, frames=2 + number % 2)


def poison(path: Path, kind: int) -> None:
    if kind == 0:
        path.with_suffix(".mp4").write_text("not a video at all\n" * 50, encoding="utf-8")
    elif kind == 1:
        path.with_suffix(".mp4").touch()
    elif kind == 2:
        cut(write_video(path.with_suffix(".mp4")), 0.5)
    elif kind == 3:
        disc_clip(path, frames=3)
        (path / "001.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    else:
        disc_clip(path, frames=1)
        (path / "transforms.json").write_text('{"frames": [', encoding="utf-8")


def run_batch(folder: Path) -> tuple[list[dict[str, Any]], np.ndarray, float, int]:
    """Lines of a call, resident bytes [line, 2] (all, and less files) when each came, seconds, and exit code."""
    command = [sys.executable, "-m", "lim_cli", "reconstruct", str(folder / "in" / "*"), "-o", str(folder / "out")]
    environment = {**os.environ, "LIM_WEIGHTS": str(cached_weights())}
    began = time.monotonic()
    lines, memory = [], []
    with subprocess.Popen(
        [*command, *OPTIONS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        watched = psutil.Process(process.pid)
        assert process.stdout is not None
        for text in process.stdout:
            used = watched.memory_info()
            memory.append((used.rss, used.rss - used.shared))
            lines.append(json.loads(text))
    return lines, np.array(memory, np.float64), time.monotonic() - began, process.returncode


if __name__ == "__main__":
    typer.run(main)
