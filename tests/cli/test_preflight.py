"""What cannot work is refused before torch is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clips import disc_clip, posed_scene
from odd_clips import disc_frames, write_clip

from lim_cli.cli.jobs import Job
from lim_cli.cli.preflight import check_job, check_weights
from lim_cli.cli.settings import resolve
from lim_cli.core.errors import OutputError, WeightsError

SCRIPT = """
import contextlib, io, json, sys
from lim_cli.cli.main import run
said = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()) as stdout:
        code = run(["reconstruct", *arguments])
    said.append([code, stdout.getvalue(), stderr.getvalue(), "torch" in sys.modules])
print(json.dumps(said))
"""


def test_nothing_that_fails_waits_for_torch(tmp_path: Path, tiny_weights: Path) -> None:
    def bad(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    clip = str(disc_clip(tmp_path / "clip", frames=2))
    whole = write_clip(tmp_path / "whole.mp4", disc_frames(8), pixel_format="yuv420p").read_bytes()
    scene = disc_clip(tmp_path / "scene", frames=1)
    (scene / "transforms.json").write_text('{"frames": [')
    posed = str(posed_scene(tmp_path / "posed"))
    (tmp_path / "blank").mkdir()
    (tmp_path / "no weights").mkdir()
    out = ["-o", str(tmp_path / "out" / "a.glb")]
    cases: list[tuple[list[str], int]] = [
        ([str(tmp_path / "absent.mp4"), *out], 2),
        ([bad("empty.mp4", b""), *out], 2),
        ([bad("text.mp4", b"not a video at all\n" * 50), *out], 2),
        ([bad("text.txt", b"not a video at all\n" * 50), *out], 2),
        ([bad("half.mp4", whole[: len(whole) // 2]), *out], 2),
        ([bad("bad.png", b"\x89PNG\r\n\x1a\nnothing"), *out], 2),
        ([str(tmp_path / "blank"), *out], 2),
        ([str(scene), *out], 2),
        ([str(tmp_path / "nothing*.mp4"), *out], 2),
        ([clip, "-o", str(tmp_path / "a.obj")], 2),
        ([clip, "-o", str(tmp_path / "text.mp4" / "a.glb")], 2),
        ([clip, *out, "--preview", str(tmp_path / "a.xyz")], 2),
        ([clip, *out, "--workdir", str(tmp_path / "text.mp4")], 2),
        ([clip, *out, "--weights", str(tmp_path / "no weights")], 3),
        ([clip, *out, "--release", "v9"], 3),
        ([clip, *out, "--matte", "grabcat"], 2),
        ([clip, *out, "--device", "abacus"], 2),
        ([clip, *out, "--set", "track.stifness=3"], 2),
        ([clip, *out, "--set", "export.format=obj"], 2),
        ([posed, *out, "--start", "50"], 2),
        ([posed, *out, "--matte", clip], 2),
        ([clip, *out, "--start", "50"], 2),
        ([clip], 2),
        (["-o", "a.glb"], 2),
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([arguments for arguments, _ in cases]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LIM_WEIGHTS": str(tiny_weights)},
    )
    for (arguments, expected), (code, stdout, stderr, heavy) in zip(cases, json.loads(done.stdout), strict=True):
        assert (code, stdout, heavy) == (expected, "", False), (arguments, stderr)
        assert stderr.startswith("lim: "), arguments
        assert stderr.count("\n") == 1, stderr
    assert not (tmp_path / "out").exists()


def test_weights_that_are_cut_off(tiny_weights: Path, tmp_path: Path) -> None:
    settings = resolve([("", {"weights": str(tmp_path)})])
    for model in ("lrm", "lim", "canonical_lrm", "canonical_lim"):
        (tmp_path / "v1" / model).mkdir(parents=True)
        for file in (tiny_weights / "v1" / model).iterdir():
            (tmp_path / "v1" / model / file.name).write_bytes(file.read_bytes())
    assert check_weights(settings, generates=False) == tmp_path / "v1"
    with pytest.raises(WeightsError, match="views"):
        check_weights(settings, generates=True)
    file = tmp_path / "v1" / "lim" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged or cut off"):
        check_weights(settings, generates=False)
    file.unlink()
    with pytest.raises(WeightsError, match="holds no weights"):
        check_weights(settings, generates=False)


def test_a_result_that_would_replace_a_folder(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIM_WEIGHTS", str(tiny_weights))
    clip = disc_clip(tmp_path / "clip", frames=1)
    check_job(Job(clip, tmp_path / "a.glb", preview=tmp_path / "b.mp4"), resolve([]))
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_job(Job(clip, tmp_path / "a.glb", preview=tmp_path / "a.mp4"), resolve([]))
