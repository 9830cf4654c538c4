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
from lim_cli.core.errors import InputError, OutputError
from lim_cli.core.files import atomic_folder, hash_file

STAGE_FOLDERS = {
    "clip": "00_clip",
    "views": "10_views",
    "keyframes": "20_keyframes",
    "interpolate": "30_interpolate",
    "track": "40_track",
    "texture": "50_texture",
    "export": "70_export",
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

    def __enter__(self) -> RunFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"Another run is working in {self.path}; wait for it or choose another --workdir."
            ) from None
        except OSError as error:
            raise OutputError(f"Cannot work in {self.path}: {error.strerror}; choose another --workdir.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def stage_path(self, stage: str) -> Path:
        """The folder of a stage: one of `STAGE_FOLDERS`."""
        if stage not in STAGE_FOLDERS:
            raise ValueError(f"unknown stage {stage!r}, expected one of {', '.join(STAGE_FOLDERS)}")
        return self.path / STAGE_FOLDERS[stage]

    def is_complete(self, expected: Manifest) -> bool:
        """Whether the stage was made just as `expected` says and its files are still what it wrote."""
        folder = self.stage_path(expected.stage)
        found = read_manifest(folder)
        if found is None or not found.output_hashes or not found.made_alike(expected):
            return False
        try:
            return hash_outputs(folder) == found.output_hashes
        except OSError:
            return False

    def output_hashes(self, stage: str) -> dict[str, str]:
        """Hashes of a finished stage's files, prefixed by its folder: the input hashes of the next stage.

        Raises:
            InputError: the stage is not finished.
        """
        manifest = read_manifest(self.stage_path(stage))
        if manifest is None or not manifest.output_hashes:
            raise InputError(f"{self.path} holds no finished {STAGE_FOLDERS[stage]}; run that stage first.")
        return {f"{STAGE_FOLDERS[stage]}/{name}": value for name, value in manifest.output_hashes.items()}

    @contextmanager
    def store(self, manifest: Manifest) -> Iterator[Path]:
        """Yields an empty `NAME.partial` to fill; then writes the manifest (hashes, seconds) and renames.

        An earlier result of the stage stays until the new one is whole; a failed block leaves it as it was.
        """
        began = time.monotonic()
        with atomic_folder(self.stage_path(manifest.stage)) as partial:
            yield partial
            hashes = hash_outputs(partial)
            if not hashes:
                raise ValueError(f"stage {manifest.stage} wrote nothing")
            seconds = round(time.monotonic() - began, 3) if manifest.seconds == 0 else manifest.seconds
            write_manifest(partial, replace(manifest, output_hashes=hashes, seconds=seconds))


def hash_outputs(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a stage's folder but its manifest, keyed by relative POSIX path."""
    files = sorted(Path(root, name) for root, _, names in os.walk(folder) for name in names)
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: hash_file(file) for name, file in names.items() if name != FILE_NAME}
