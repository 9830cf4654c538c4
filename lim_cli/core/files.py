"""Atomic writes and content hashes: a path either holds the whole result or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lim_cli.core.errors import OutputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a sibling path to write to; renames it to `path` on success, removes it on failure.

    The sibling keeps `path`'s suffix, since encoders choose their container by it.

    Raises:
        OutputError: the folder cannot be created or written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(partial)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}. Choose another output path.") from error
    try:
        yield partial
        if path.is_dir() and partial.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError as error:
        remove(partial)
        raise OutputError(f"Cannot write {path}: {error.strerror}. Free some space or choose another path.") from error
    except BaseException:
        remove(partial)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields `NAME.partial` as an empty folder; renames it to `path` once the block succeeds."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        remove(partial)
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            remove(path)
        os.replace(partial, path)
    except OSError as error:
        remove(partial)
        raise OutputError(f"Cannot write {path}: {error.strerror}. Free some space or choose another path.") from error
    except BaseException:
        remove(partial)
        raise


def remove(path: Path) -> None:
    """Deletes a file or a folder tree; absent is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form, hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def hash_tree(path: Path) -> str:
    """SHA-256 over the relative names and contents of every file below a folder (or of one file)."""
    if path.is_file():
        return hash_file(path)
    entries = sorted(p for p in path.rglob("*") if p.is_file())
    return hash_json([[p.relative_to(path).as_posix(), hash_file(p)] for p in entries])
