"""The example scripts, run as their comments say, over tiny trained models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from odd_clips import disc_frames, write_clip
from tiny_release import cached_weights

EXAMPLES = Path(__file__).parents[1] / "examples"
OPTIONS = ["--vertices", "200", "--fps", "6", "--texture-size", "64", "--device", "cpu"]
OPTIONS += ["--set", "track.resolution=40", "--set", "track.step_resolution=32", "--set", "texture.observations=4"]
PARALLEL = """#!/usr/bin/env bash
# What the example asks of GNU parallel.
set -euo pipefail
[[ $1 == --jobs && $3 == --line-buffer && $4 == --quote ]]
shift 4
while read -r number; do "${@//\\{\\}/$number}"; done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`bin` with `lim` and the tools that the scripts use; `my clips` with two clips."""
    (tmp_path / "bin").mkdir()
    program(tmp_path, "lim", f'#!/usr/bin/env bash\nexec "{sys.executable}" -m lim_cli "$@"\n')
    for tool in ("bash", "env", "seq", "xargs"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    (tmp_path / "my clips").mkdir()
    for name, shift in (("a.mp4", 0.0), ("b c.GIF", 4.0)):
        write_clip(tmp_path / "my clips" / name.lower(), disc_frames(2, shift=shift))
    (tmp_path / "my clips" / "b c.gif").rename(tmp_path / "my clips" / "b c.GIF")
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / "bin" / name).write_text(text)
    (folder / "bin" / name).chmod(0o755)


def script(name: str, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> list[str]:
    """Runs an example in `folder` with nothing but `bin` on the path; returns the lines of stdout."""
    root = Path(__file__).parents[1]
    plain = {"PATH": str(folder / "bin"), "LIM_WEIGHTS": str(cached_weights()), "PYTHONPATH": str(root)}
    kept = {name: os.environ[name] for name in ("HOME", "OMP_NUM_THREADS", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        ["bash", str(EXAMPLES / name), *arguments],
        cwd=folder,
        env={**kept, **plain, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def inputs(folder: Path, summary: str, status: str) -> list[str]:
    """Names of the clips that a summary in `folder/out` lists with this status."""
    clips = json.loads((folder / "out" / summary).read_text())["clips"]
    return sorted(Path(clip["input"]).name for clip in clips if clip["status"] == status)


def starts(lines: Sequence[str], word: str) -> int:
    return sum(line.startswith(word) for line in lines)


def test_the_examples_share_one_folder_of_results(folder: Path) -> None:
    """The first script does the work, so that the others, which start several processes, only find it done."""
    assert starts(script("folder.sh", folder, "my clips", "out", *OPTIONS), "done") == 2
    assert {path.name for path in (folder / "out").glob("*.glb")} == {"a.glb", "b c.glb"}
    assert starts(script("folder.sh", folder, "my clips", "out", *OPTIONS), "skipped") == 2

    for number, expected in ((4, ["a.mp4"]), (6, ["b c.GIF"])):
        slurm = {"ID": str(number), "COUNT": "2", "MIN": "4", "STEP": "2"}
        environment = {f"SLURM_ARRAY_TASK_{name}": value for name, value in slurm.items()}
        lines = script("slurm_array.sh", folder, "my clips/*", "out", *OPTIONS, environment=environment)
        assert [json.loads(line)["status"] for line in lines] == ["skipped"]
        assert inputs(folder, f"batch-{(number - 2) // 2}-of-2.json", "skipped") == expected

    with_xargs = script("parallel.sh", folder, "2", "my clips/*", "out", *OPTIONS)
    program(folder, "parallel", PARALLEL)
    with_parallel = script("parallel.sh", folder, "2", "my clips/*", "out", *OPTIONS)
    assert starts(with_xargs, "skipped") == starts(with_parallel, "skipped") == 2


def test_a_folder_without_videos_is_said(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(AssertionError, match="There is no video in empty"):
        script("folder.sh", folder, "empty", "out")
