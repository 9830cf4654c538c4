"""The batch on a Ray cluster. The cluster needs `pip install 'lim-cli[ray]'`: pytest -m slow tests/cli/test_ray.py."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from clips import disc_clip

from lim_cli.cli.main import run

CLIPS = 6
OPTIONS = ["--vertices", "200", "--fps", "6", "--texture-size", "64", "--device", "cpu"]
OPTIONS += ["--set", "track.resolution=40", "--set", "track.step_resolution=32", "--set", "texture.observations=4"]


def test_without_ray_one_sentence_says_what_to_install(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    clips = [str(disc_clip(tmp_path / name, frames=1)) for name in "ab"]
    arguments = ["reconstruct", *clips, "-o", str(tmp_path / "out"), "--engine", "ray", "--weights", str(tiny_weights)]
    assert run(arguments) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "lim: --engine ray needs the ray package; run `pip install 'lim-cli[ray]'`.\n"
    assert run(["reconstruct", "-", clips[0], *arguments[3:]]) == 2


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes on this machine, one clip at a time each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    made.add_node(**node)
    yield made.address
    made.shutdown()


def busy_workers() -> list[psutil.Process]:
    """Worker processes that are at a clip now; Ray writes the task's name into their title."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[:1] == ["ray::attempt"]:
                found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_does_not_lose_the_batch(tmp_path: Path, tiny_weights: Path, cluster: str) -> None:
    for number in range(CLIPS):
        disc_clip(tmp_path / "clips" / f"{number}", frames=2)
    (tmp_path / "clips" / "text.mp4").write_text("not a video\n" * 50)
    command = [sys.executable, "-m", "lim_cli", "reconstruct", "clips/*", "-o", "out", "--engine", "ray", "--json"]
    environment = {**os.environ, "LIM_WEIGHTS": str(tiny_weights), "RAY_ADDRESS": cluster}
    with subprocess.Popen(
        [*command, *OPTIONS], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        began = time.monotonic()
        while not (tmp_path / "out" / "batch.json").is_file():  # written when the first clip is through
            assert time.monotonic() - began < 300
            assert driver.poll() is None, driver.stderr.read() if driver.stderr else ""
            time.sleep(0.05)
        while not (busy := busy_workers()):
            time.sleep(0.01)
        busy[0].kill()
        stdout, stderr = driver.communicate(timeout=300)
    lines = [json.loads(line) for line in stdout.splitlines()]
    assert driver.returncode == 2, stderr
    assert sorted(line["input"] for line in lines if line["status"] == "done") == [f"clips/{n}" for n in range(CLIPS)]
    assert [line["input"] for line in lines if line["status"] == "failed"] == ["clips/text.mp4"]
    assert len(list((tmp_path / "out").glob("*.glb"))) == CLIPS
    assert "text.mp4" in stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there(tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = str(disc_clip(tmp_path / "a", frames=1))
    arguments = ["reconstruct", clip, "-o", str(tmp_path / "out"), "--weights", str(tiny_weights), "--engine", "ray"]
    assert run([*arguments, "--ray-address", "127.0.0.1:1"]) == 2
    assert "There is no Ray cluster at 127.0.0.1:1" in capsys.readouterr().err
