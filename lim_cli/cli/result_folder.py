"""The folder a command writes its pictures and meshes into: whole or not at all, with a list of what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lim_cli.cli.preflight import RESULT_NAME
from lim_cli.core.files import atomic_folder


@contextmanager
def result_folder(path: Path, values: Mapping[str, Any]) -> Iterator[Path]:
    """Yields an empty folder to fill; adds `result.json` with `values` and the files' names, then moves it to `path`.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_folder(path) as partial:
        yield partial
        files = list_files(partial)
        (partial / RESULT_NAME).write_text(json.dumps({**values, "files": files}, indent=1) + "\n", encoding="utf-8")


def list_files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def describe(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """A finished result folder as JSON values and as a line to print."""
    plain = json.loads((folder / RESULT_NAME).read_text(encoding="utf-8"))
    return {"output": str(folder), **plain}, [f"{folder}: {len(plain['files'])} files"]
