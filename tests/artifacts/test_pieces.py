"""What an unfinished stage finished is used again only if it is still just that."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from lim_cli.artifacts.manifest import Manifest
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.run_folder import RunFolder

MANIFEST = Manifest("track", 1, {"vertices": 4}, {"in": "a" * 64}, {"lim": "b" * 64}, 0)
ARRAYS = {"shapes": np.arange(6, dtype=np.float32).reshape(2, 3), "moments": np.array([0.5])}


class CutOffError(Exception):
    pass


def cut_off(run: RunFolder, manifest: Manifest = MANIFEST) -> Path:
    """Leaves two pieces, a finished file and half-written ones."""
    with pytest.raises(CutOffError), run.store(manifest) as pieces:
        pieces.save("one", ARRAYS)
        pieces.save("two", ARRAYS)
        (pieces.folder / "done.bin").write_bytes(b"done")
        pieces.finish("done.bin")
        (pieces.folder / "half.bin").write_bytes(b"ha")
        (pieces.folder / "sub").mkdir()
        (pieces.folder / "sub" / "half.bin").write_bytes(b"ha")
        raise CutOffError
    return run.path / "40_track.partial"


def test_finished_pieces_come_back_and_half_written_files_do_not(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        cut_off(run)
    with RunFolder(tmp_path) as run:
        assert not run.is_complete(MANIFEST)
        with run.store(MANIFEST) as pieces:
            for name in ("one", "two"):
                found = pieces.load(name)
                assert found is not None
                for key, array in ARRAYS.items():
                    np.testing.assert_array_equal(found[key], array)
            assert pieces.load("three") is None
            assert pieces.is_finished("done.bin")
            assert not list(pieces.folder.rglob("half.bin"))
        assert run.is_complete(MANIFEST)
        assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["40_track"]
        assert {p.name for p in run.stage_path("track").iterdir() if p.is_file()} == {"done.bin", "manifest.json"}


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(MANIFEST, config={"vertices": 5}),
        dataclasses.replace(MANIFEST, weight_hashes={"lim": "c" * 64}),
        dataclasses.replace(MANIFEST, input_hashes={"in": "c" * 64}),
        dataclasses.replace(MANIFEST, stage_version=2),
        dataclasses.replace(MANIFEST, seed=1),
    ],
)
def test_pieces_of_other_work_are_removed(tmp_path: Path, other: Manifest) -> None:
    with RunFolder(tmp_path) as run:
        cut_off(run)
        with run.store(other) as pieces:
            assert pieces.is_empty
            assert not (pieces.folder / "done.bin").exists()
            (pieces.folder / "a").write_text("a")


def test_damaged_pieces_are_not_used(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        partial = cut_off(run)
        file = partial / ".pieces" / "one.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        (partial / "done.bin").write_bytes(b"dont")
        with pytest.raises(CutOffError), run.store(MANIFEST) as pieces:
            assert pieces.load("one") is None
            assert pieces.load("two") is not None
            assert not pieces.is_finished("done.bin")
            raise CutOffError
        for text in ("", "{", "[]", '{"../../x": 3}', json.dumps({"../../x": "a" * 64})):
            (partial / ".pieces" / "finished.json").write_text(text)
            with pytest.raises(CutOffError), run.store(MANIFEST) as pieces:
                assert pieces.is_empty
                pieces.save("two", ARRAYS)
                raise CutOffError


def test_pieces_no_longer_needed_go(tmp_path: Path) -> None:
    other = dataclasses.replace(MANIFEST, seed=1)
    with RunFolder(tmp_path) as run:
        with run.store(MANIFEST) as pieces:
            (pieces.folder / "a").write_text("a")
        partial = cut_off(run, other)
        assert run.is_complete(MANIFEST)
        assert not partial.exists()
        cut_off(run, other)
        run.clear()
        assert {path.name for path in tmp_path.iterdir()} == {".lock"}


def test_a_whole_result_not_yet_in_its_place_is_put_there(tmp_path: Path) -> None:
    """The process died after the manifest, before or while the old result was removed."""
    with RunFolder(tmp_path) as run:
        with run.store(MANIFEST) as pieces:
            (pieces.folder / "a").write_text("a")
        place = run.stage_path("track")
        place.rename(tmp_path / "40_track.partial")
        place.mkdir()
        (place / "remains_of_an_old_one").write_text("b")
        (tmp_path / "40_track.partial" / ".pieces").mkdir()
        (tmp_path / "40_track.partial" / ".pieces" / "x").write_text("x")
    with RunFolder(tmp_path) as run:
        assert run.is_complete(MANIFEST)
        assert {p.name for p in place.iterdir()} == {"a", "manifest.json"}
        assert not (tmp_path / "40_track.partial").exists()


def test_without_a_folder_nothing_is_kept() -> None:
    pieces = Pieces()
    pieces.save("one", ARRAYS)
    assert pieces.load("one") is None
    assert pieces.is_empty
