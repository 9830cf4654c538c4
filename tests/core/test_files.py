from __future__ import annotations

from pathlib import Path

import pytest

from lim_cli.core.errors import OutputError
from lim_cli.core.files import atomic_folder, atomic_path, hash_file, hash_json, hash_tree

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class BoomError(Exception):
    pass


def test_atomic_path_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.glb"
    with atomic_path(target) as partial:
        assert partial.suffix == ".glb"
        partial.write_bytes(b"x")
        assert not target.exists()
    assert target.read_bytes() == b"x"
    assert [p.name for p in target.parent.iterdir()] == ["a.glb"]


def test_atomic_path_leaves_nothing_behind_on_failure_and_keeps_the_old(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(BoomError), atomic_path(target) as partial:
        partial.write_text("half")
        raise BoomError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_atomic_folder_replaces_on_success_and_vanishes_on_failure(tmp_path: Path) -> None:
    target = tmp_path / "run"
    for text in ("one", "two"):
        with atomic_folder(target) as partial:
            (partial / "f").write_text(text)
    with pytest.raises(BoomError), atomic_folder(target) as partial:
        (partial / "f").write_text("three")
        raise BoomError
    assert (target / "f").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another"), atomic_path(tmp_path / "file" / "a.txt"):
        pass


def test_hashes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert hash_file(tmp_path / "a") == EMPTY_SHA256
    before = hash_tree(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert hash_tree(tmp_path) != before
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
