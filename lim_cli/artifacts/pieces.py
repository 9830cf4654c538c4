"""Finished pieces of an unfinished stage: what survives when its process dies, each vouched for by its hash."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from lim_cli.artifacts.folder_io import write_tensors
from lim_cli.artifacts.manifest import FILE_NAME
from lim_cli.core.files import atomic_path, hash_file, remove

PIECES = ".pieces"
LEDGER = "finished.json"


class Pieces:
    """The unfinished folder of a stage. Two kinds of file in it are finished and survive:

    - arrays that only the stage itself reads (`save`, `load`); they lie in `.pieces/`, which goes when the stage ends;
    - files of the result that are whole already (`finish`, `is_finished`).

    Both count only once the ledger `.pieces/finished.json` holds their SHA-256. On opening, everything else in the
    folder is removed: it was half written, or has changed since.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: None keeps nothing, for a stage that runs without a run folder."""
        self._folder = folder
        self._finished: dict[str, str] = {}
        if folder is None:
            return
        (folder / PIECES).mkdir(parents=True, exist_ok=True)
        self._finished = {name: value for name, value in self._ledger().items() if _is(folder / name, value)}
        kept = {FILE_NAME, f"{PIECES}/{LEDGER}", *self._finished}
        for root, _, names in os.walk(folder):
            for name in names:
                path = Path(root, name)
                if path.relative_to(folder).as_posix() not in kept:
                    remove(path)

    @property
    def folder(self) -> Path:
        """Where the stage writes its result."""
        if self._folder is None:
            raise ValueError("nothing is kept: there is no folder")
        return self._folder

    @property
    def is_empty(self) -> bool:
        """Whether nothing is finished yet."""
        return not self._finished

    def finish(self, name: str) -> None:
        """Vouches for a whole file of the result, by its path relative to the folder."""
        self._finished[name] = hash_file(self.folder / name)
        with atomic_path(self.folder / PIECES / LEDGER) as partial:
            partial.write_text(json.dumps(self._finished), encoding="utf-8")

    def is_finished(self, name: str) -> bool:
        """Whether an earlier process, or this one, finished this file."""
        return name in self._finished

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps named arrays."""
        if self._folder is not None:
            write_tensors(self._folder / PIECES / f"{name}.safetensors", arrays)
            self.finish(f"{PIECES}/{name}.safetensors")

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays kept under this name, or None."""
        if self._folder is None or not self.is_finished(f"{PIECES}/{name}.safetensors"):
            return None
        try:
            return dict(load_file(self._folder / PIECES / f"{name}.safetensors"))
        except (SafetensorError, OSError, ValueError):
            return None

    def _ledger(self) -> dict[str, str]:
        try:
            values = json.loads((self.folder / PIECES / LEDGER).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(values, dict):
            return {}
        names = {name: value for name, value in values.items() if isinstance(value, str)}
        return {name: value for name, value in names.items() if ".." not in name and not Path(name).is_absolute()}


def _is(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and hash_file(path) == digest
    except OSError:
        return False
