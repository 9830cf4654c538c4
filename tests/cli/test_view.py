"""`lim view` as a process of its own: it says where it serves and ends well at Ctrl-C."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from bending_bar import bar_mesh, bending_bar

from lim_cli.cli.main import run
from lim_cli.export.gltf import write_glb
from lim_cli.geometry.uv_atlas import unwrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    write_glb(tmp_path / "bar.glb", bending_bar(*unwrap(bar_mesh(), 64), frames=2))
    return tmp_path / "bar.glb"


def test_it_serves_until_interrupted_and_exits_with_zero(glb: Path) -> None:
    command = [sys.executable, "-m", "lim_cli", "view", str(glb), "--no-open", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs the tests may ignore it
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=heed) as process:
        try:
            assert process.stdout is not None
            text = ""
            while not text.rstrip().endswith("}"):
                line = process.stdout.readline()
                assert line, "it ended before it said where it serves"
                text += line
            with urllib.request.urlopen(json.loads(text)["url"]) as answer:
                assert b"bar.glb" in answer.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_one_page_is_written(glb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["view", str(glb), "-o", str(tmp_path / "page.html"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["size_bytes"] == (tmp_path / "page.html").stat().st_size > glb.stat().st_size


def test_what_cannot_be_shown_is_refused(glb: Path, tmp_path: Path) -> None:
    assert run(["view", str(tmp_path / "none.glb")]) == 2
    assert run(["view", str(glb), "-o", str(tmp_path / "page.png")]) == 2
