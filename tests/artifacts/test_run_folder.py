"""Stages are whole or absent, and are redone when anything they rest on changes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from lim_cli.artifacts.manifest import Manifest, read_manifest
from lim_cli.artifacts.run_folder import RunFolder
from lim_cli.core.errors import InputError, OutputError

MANIFEST = Manifest(
    stage="clip",
    stage_version=1,
    config={"size": 256},
    input_hashes={"in": "a" * 64},
    weight_hashes={},
    seed=0,
)


def finish(run: RunFolder, manifest: Manifest = MANIFEST, text: str = "data") -> None:
    with run.store(manifest) as pieces:
        assert pieces.folder.name == "00_clip.partial"
        (pieces.folder / "sub").mkdir()
        (pieces.folder / "sub" / "a.txt").write_text(text)


def test_complete_only_when_nothing_changed(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as run:
        assert not run.is_complete(MANIFEST)
        finish(run)
        assert run.is_complete(MANIFEST)
        assert run.stage_path("track").name == "40_track"
        assert list(run.output_hashes("clip")) == ["00_clip/sub/a.txt"]
        for other in (
            dataclasses.replace(MANIFEST, config={"size": 128}),
            dataclasses.replace(MANIFEST, seed=1),
            dataclasses.replace(MANIFEST, stage_version=2),
            dataclasses.replace(MANIFEST, input_hashes={"in": "b" * 64}),
            dataclasses.replace(MANIFEST, weight_hashes={"lrm": "c" * 64}),
        ):
            assert not run.is_complete(other)
        (run.stage_path("clip") / "sub" / "a.txt").write_text("touched")
        assert not run.is_complete(MANIFEST)


def test_a_stage_made_from_others_than_are_there_now(tmp_path: Path) -> None:
    def make(run: RunFolder, stage: str, *, text: str, **others: str) -> None:
        inputs = {k: v for name in others.values() for k, v in run.output_hashes(name).items()}
        with run.store(dataclasses.replace(MANIFEST, stage=stage, input_hashes=inputs)) as pieces:
            (pieces.folder / "a.txt").write_text(text)

    with RunFolder(tmp_path) as run:
        make(run, "keyframes", text="first")
        make(run, "track", text="of first", a="keyframes")
        assert run.changed_since("track") is None
        make(run, "keyframes", text="second")
        assert run.changed_since("track") == "20_keyframes"
        make(run, "track", text="of second", a="keyframes")
        make(run, "refined", text="refined", a="keyframes")
        assert run.changed_since("track") == "30_refined"
        make(run, "track", text="of refined", a="keyframes", b="refined")
        assert run.changed_since("track") is None
        run.remove("refined")
        assert run.changed_since("track") == "30_refined"
        run.remove("keyframes")  # to save space
        make(run, "refined", text="refined")
        assert run.changed_since("track") is None


def test_extra_or_missing_file(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        finish(run)
        extra = run.stage_path("clip") / "extra.txt"
        extra.write_text("x")
        assert not run.is_complete(MANIFEST)
        extra.unlink()
        assert run.is_complete(MANIFEST)
        (run.stage_path("clip") / "sub" / "a.txt").unlink()
        assert not run.is_complete(MANIFEST)


def test_failed_stage_leaves_the_old_one(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        finish(run)
        with pytest.raises(RuntimeError), run.store(MANIFEST):
            raise RuntimeError
        assert run.is_complete(MANIFEST)
        assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"stage": 3}', "null"])
def test_corrupted_manifest_is_absent(tmp_path: Path, text: str) -> None:
    with RunFolder(tmp_path) as run:
        finish(run)
        (run.stage_path("clip") / "manifest.json").write_text(text)
        assert read_manifest(run.stage_path("clip")) is None
        assert not run.is_complete(MANIFEST)
        with pytest.raises(InputError):
            run.output_hashes("clip")


def test_second_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from lim_cli.artifacts.run_folder import RunFolder\n"
        "from lim_cli.core.errors import InputError\n"
        "try:\n    RunFolder(sys.argv[1]).__enter__()\n"
        "except InputError as error:\n    print(error); sys.exit(2)"
    )
    with RunFolder(tmp_path):
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert other.returncode == 2
    assert "Another run" in other.stdout
    with RunFolder(tmp_path):
        pass


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError), RunFolder(tmp_path / "file" / "run"):
        pass
