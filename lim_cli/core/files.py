"""Atomic writes and content hashes: a path either holds the whole result or nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lim_cli.core.errors import OutputError

FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO, errno.ENOTDIR, errno.EISDIR)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a sibling path to write to; renames it to `path` on success, removes it on failure.

    The sibling keeps `path`'s suffix, since encoders choose their container by it.

    Raises:
        OutputError: the folder cannot be created or written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(partial)
        try:
            yield partial
            if path.is_dir() and partial.is_dir():
                shutil.rmtree(path)
            os.replace(partial, path)
        except BaseException:
            remove(partial)
            raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields `NAME.partial` as an empty folder; renames it to `path` once the block succeeds.

    Raises:
        OutputError: the folder cannot be created or written.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    with writing(path):
        remove(partial)
        try:
            partial.mkdir(parents=True)
            yield partial
            if path.exists():
                remove(path)
            os.replace(partial, path)
        except BaseException:
            remove(partial)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the operating system says against writing `path` in the block into one sentence.

    An error that is about reading some other file is let through.

    Raises:
        OutputError: the disk is full, or the path cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            text = f"The disk is full: cannot write {path}; free some space or choose another path."
        elif _concerns(error, path):
            text = f"Cannot write {path} ({error.strerror}); choose another path."
        else:
            raise
        raise OutputError(text) from error


def _concerns(error: OSError, path: Path) -> bool:
    if not isinstance(error.filename, str):
        return error.errno in UNWRITABLE
    about, target = Path(error.filename).absolute(), path.absolute()
    return about.is_relative_to(target.parent) or target.is_relative_to(about)


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
