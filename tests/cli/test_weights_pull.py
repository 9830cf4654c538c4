"""`lim weights pull` against a hub of our own on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, serve
from torch import nn

from lim_cli.models.checkpoints import save_model, table

NAME = "someone/weights"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Two releases, their table, and a file of a kind that is never fetched."""
    folder = tmp_path / "published"
    rows = ""
    for release, width in (("v1", 64), ("v2", 3000)):  # the second has 12 MB
        save_model(folder / release / "lrm", nn.Linear(width, 2000), {"width": width})
        rows += table(folder / release)
    (folder / "README.md").write_text(rows)
    (folder / "v1" / "evil.pkl").write_bytes(b"\x80\x04.")
    with serve(NAME, folder) as hub:
        yield hub


def lim(tmp_path: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The hub's address is read when huggingface_hub is imported, so every call is a process of its own."""
    ours = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1"}
    unset = {"LIM_WEIGHTS", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN", "LIM_DEBUG"}
    environment = {**{k: v for k, v in os.environ.items() if k not in unset}, **ours}
    return subprocess.run(
        [sys.executable, "-m", "lim_cli", "weights", *arguments],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def test_what_was_pulled_is_found_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    done = lim(tmp_path, hub.url, "pull", NAME, "--release", "v1", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no bars when piped
    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert [r["release"] for r in found["releases"]] == ["v1"]
    asked = {path for method, path, _ in hub.requests if method == "GET" and "/resolve/" in path}
    assert {p.split("/resolve/")[1].split("/", 1)[1] for p in asked} == {
        "README.md", "v1/lrm/config.json", "v1/lrm/model.safetensors",
    }  # fmt: skip
    nowhere = "http://127.0.0.1:9"
    listed = lim(tmp_path, nowhere, "path", "--weights", NAME)
    assert (listed.returncode, listed.stdout.strip()) == (0, found["releases"][0]["path"])
    assert lim(tmp_path, nowhere, "verify", "--weights", NAME).returncode == 0


def test_a_download_that_broke_off_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    name, cut = "v2/lrm/model.safetensors", 11_500_000  # huggingface_hub writes pieces of 10 MiB
    hub.cuts[name] = cut
    done = lim(tmp_path, hub.url, "pull", NAME)
    if done.returncode != 0:  # older huggingface_hub gives up; newer ones go on by themselves
        assert done.returncode == 3
        assert "again to go on" in done.stderr
        done = lim(tmp_path, hub.url, "pull", NAME)
    assert done.returncode == 0, done.stderr
    starts = [start for method, path, start in hub.requests if method == "GET" and path.endswith(name)]
    assert starts[0] == 0
    assert 0 < starts[1] <= cut


def test_a_file_that_is_not_the_published_one_is_told(hub: Hub, tmp_path: Path) -> None:
    hub.files["v1/lrm/config.json"] = b'{"width": 65}'
    done = lim(tmp_path, hub.url, "pull", NAME)
    assert done.returncode == 3
    assert "changed    v1/lrm/config.json" in done.stdout
    assert "v2: 2 of 2 files verified" in done.stdout


@pytest.mark.parametrize("hub_id", ["someone/else", "no repository", "../etc", "a/b@../c"])
def test_a_repository_that_is_not_there(hub: Hub, tmp_path: Path, hub_id: str) -> None:
    done = lim(tmp_path, hub.url, "pull", hub_id)
    assert done.returncode == 3
    assert done.stderr.startswith("lim: ")
    assert done.stderr.count("\n") == 1
    assert "repository" in done.stderr


def test_a_hub_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = lim(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}", "pull", NAME)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("lim: The hub http://127.0.0.1")
    assert done.stderr.count("\n") == 1
