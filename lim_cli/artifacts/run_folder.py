"""The folder of one run: numbered stages, each whole or absent, one process at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from lim_cli.artifacts.manifest import FILE_NAME, Manifest, read_manifest, write_manifest
from lim_cli.artifacts.pieces import PIECES, Pieces
from lim_cli.core.errors import InputError, OutputError
from lim_cli.core.files import hash_file, remove, writing

STAGE_FOLDERS = {
    "clip": "00_clip",
    "views": "10_views",
    "keyframes": "20_keyframes",
    "refined": "30_refined",
    "track": "40_track",
    "texture": "50_texture",
}
LOCK_NAME = ".lock"


class RunFolder:
    """A run's working folder, locked while the context is open.

    Use as a context manager; inside, `is_complete` tells which stages can be skipped and `store` writes one.

    Raises:
        InputError: on entering, if another process works in the folder.
        OutputError: on entering, if the folder cannot be made.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = FileLock(self.path / LOCK_NAME, timeout=0)
        self._sound: set[str] = set()

    def __enter__(self) -> RunFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"Another run is working in {self.path}; wait for it or choose another --workdir."
            ) from None
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(f"Cannot work in {self.path} ({reason}); choose another --workdir.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sound.clear()
        self._lock.release()

    def stage_path(self, stage: str) -> Path:
        """The folder of a stage: one of `STAGE_FOLDERS`."""
        if stage not in STAGE_FOLDERS:
            raise ValueError(f"unknown stage {stage!r}, expected one of {', '.join(STAGE_FOLDERS)}")
        return self.path / STAGE_FOLDERS[stage]

    def is_complete(self, expected: Manifest) -> bool:
        """Whether the stage was made just as `expected` says and its files are still what it wrote.

        A result that was whole but not yet in its place is put there; pieces of an unfinished other one are removed.
        """
        stage = expected.stage
        folder, partial = self.stage_path(stage), self._partial(stage)
        if not self._holds(folder, expected):
            if not self._holds(partial, expected):
                return False
            with writing(folder):
                self._put_in_place(stage)
        with writing(folder):
            remove(partial)
        self._sound.add(stage)
        return True

    def is_sound(self, stage: str) -> bool:
        """Whether the stage's files are still what it wrote; hashed once, since the folder is locked."""
        if stage not in self._sound and self._holds(self.stage_path(stage), None):
            self._sound.add(stage)
        return stage in self._sound

    def changed_since(self, stage: str) -> str | None:
        """The folder of an earlier stage that is not what this one was made from; None where all still are.

        What is no longer there is not missed, but for a refinement, without which the keyframes are others.
        """
        made, order = read_manifest(self.stage_path(stage)), list(STAGE_FOLDERS)
        for earlier in order[: order.index(stage)]:
            folder = STAGE_FOLDERS[earlier]
            found = read_manifest(self.stage_path(earlier))
            used = {k: v for k, v in (made.input_hashes if made else {}).items() if k.startswith(f"{folder}/")}
            there = _as_inputs(earlier, found) if found else {}
            if (earlier == "refined" or (used and there)) and used != there:
                return folder
        return None

    def output_hashes(self, stage: str) -> dict[str, str]:
        """Hashes of a finished stage's files, prefixed by its folder: the input hashes of the next stage.

        Raises:
            InputError: the stage is not finished, or its files are not what it wrote.
        """
        manifest = read_manifest(self.stage_path(stage))
        if manifest is None or not manifest.output_hashes:
            raise InputError(f"{self.path} holds no finished {STAGE_FOLDERS[stage]}; run that stage first.")
        if not self.is_sound(stage):
            raise InputError(f"{self.stage_path(stage)} is damaged; run that stage again.")
        return _as_inputs(stage, manifest)

    @contextmanager
    def store(self, manifest: Manifest) -> Iterator[Pieces]:
        """Yields the unfinished `NAME.partial`; then writes the manifest (hashes, seconds) and renames the folder.

        What an earlier process that was to make just the same (`Manifest.made_alike`) finished there is still in it;
        otherwise it is empty. An earlier result of the stage stays until the new one is whole. A block that fails
        leaves its finished pieces for the next try, or nothing if there are none.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        began = time.monotonic()
        partial = self._partial(manifest.stage)
        with writing(self.stage_path(manifest.stage)):
            found = read_manifest(partial)
            if found is None or not found.made_alike(manifest):
                remove(partial)
                partial.mkdir(parents=True)
                write_manifest(partial, replace(manifest, output_hashes={}, seconds=0.0))
            pieces = Pieces(partial)
            try:
                yield pieces
                hashes = hash_outputs(partial)
                if not hashes:
                    raise ValueError(f"stage {manifest.stage} wrote nothing")
                seconds = round(time.monotonic() - began, 3) if manifest.seconds == 0 else manifest.seconds
                write_manifest(partial, replace(manifest, output_hashes=hashes, seconds=seconds))
            except BaseException:
                if pieces.is_empty:
                    remove(partial)
                raise
            self._put_in_place(manifest.stage)
        self._sound.add(manifest.stage)

    def clear(self) -> None:
        """Removes all stages, finished or not."""
        for stage in STAGE_FOLDERS:
            self.remove(stage)

    def remove(self, stage: str) -> None:
        """Removes a stage, finished or not."""
        for folder in (self.stage_path(stage), self._partial(stage)):
            with writing(folder):
                remove(folder)
        self._sound.discard(stage)

    def _partial(self, stage: str) -> Path:
        path = self.stage_path(stage)
        return path.with_name(f"{path.name}.partial")

    def _put_in_place(self, stage: str) -> None:
        """The whole result in `NAME.partial` becomes the stage's; may be cut off anywhere and done again."""
        remove(self._partial(stage) / PIECES)
        remove(self.stage_path(stage))
        os.replace(self._partial(stage), self.stage_path(stage))

    @staticmethod
    def _holds(folder: Path, expected: Manifest | None) -> bool:
        found = read_manifest(folder)
        if found is None or not found.output_hashes or not (expected is None or found.made_alike(expected)):
            return False
        try:
            return hash_outputs(folder) == found.output_hashes
        except OSError:
            return False


def refined_in(run: Path) -> Path | None:
    """The folder of a run's refinement; None where its keyframes are not refined.

    Raises:
        InputError: it was made from other keyframes than lie there now.
    """
    folder = run / STAGE_FOLDERS["refined"]
    if not folder.is_dir():
        return None
    made, keyframes = read_manifest(folder), read_manifest(run / STAGE_FOLDERS["keyframes"])
    if made is not None and keyframes is not None:
        wanted = _as_inputs("keyframes", keyframes)
        if wanted.items() <= made.input_hashes.items():
            return folder
    raise InputError(f"{folder} was not made from these keyframes; run lim refine {run} again.")


def _as_inputs(stage: str, manifest: Manifest) -> dict[str, str]:
    """Hashes of what a stage wrote, by the names that stages made from it have them under."""
    folder = STAGE_FOLDERS[stage]
    return {f"{folder}/{name}": value for name, value in (manifest.output_hashes or {}).items()}


def hash_outputs(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a stage's folder but its manifest and pieces, keyed by relative POSIX path."""
    files = sorted(Path(root, name) for root, _, names in os.walk(folder) for name in names)
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {n: hash_file(file) for n, file in names.items() if n != FILE_NAME and not n.startswith(f"{PIECES}/")}
