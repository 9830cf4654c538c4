"""Where releases of weights lie, and whether their files are the published ones; needs no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lim_cli.core.errors import WeightsError
from lim_cli.core.files import hash_file, hash_json
from lim_cli.models.hub import cached, is_hub_id

CONFIG_NAME = "config.json"
PIPELINE_NAME = "model_index.json"
TABLE_NAME = "README.md"
ENVIRONMENT_NAME = "LIM_WEIGHTS"
HINT = f"Give --weights DIR, set {ENVIRONMENT_NAME}, or reinstall the package."

_PACKAGE = Path(__file__).resolve().parents[1]
_TABLE_ROW = re.compile(r"^\|\s*`?(?P<name>[\w./+-]+)`?\s*\|.*\b(?P<digest>[0-9a-f]{64})\b", re.MULTILINE)


def find_release(
    weights: Path | None = None,
    release: str | None = None,
    *,
    needs: tuple[str, ...] = (),
) -> Path:
    """The folder of one release.

    Search order: `weights`; the environment's LIM_WEIGHTS; the installed package or its checkout. The first
    two may be a folder of releases, one release, or a hub id `owner/name` whose snapshot lies in the local
    hub cache (`lim weights pull` puts it there). Without `release` the newest by natural order of names is taken.

    Args:
        needs: names of models that must be in it.

    Raises:
        WeightsError: nothing found, no such release, or a model in `needs` is absent.
    """
    releases = list_releases(weights)
    if not releases:
        raise WeightsError(f"No weights found in {_searched(weights)}. {HINT}")
    if release is None:
        chosen = releases[-1]
    else:
        named = [r for r in releases if r.name == release]
        if not named:
            known = ", ".join(r.name for r in releases)
            raise WeightsError(f"There is no release '{release}' in {releases[0].parent}; known: {known}.")
        chosen = named[0]
    present = {m.name for m in list_models(chosen)}
    absent = [name for name in needs if name not in present]
    if absent:
        raise WeightsError(f"Release {chosen} lacks the model {', '.join(absent)}. {HINT}")
    return chosen


def list_releases(weights: Path | None = None) -> list[Path]:
    """Release folders at the first place that has any, oldest first by natural order of names.

    A place named by `weights` or LIM_WEIGHTS is the only one searched.
    """
    named = str(weights) if weights is not None else os.environ.get(ENVIRONMENT_NAME)
    if named:
        return _releases_in(_resolve_named(named))
    for place in (_PACKAGE / "_weights", _PACKAGE.parent / "weights"):
        if found := _releases_in(place):
            return found
    return []


def list_models(release: Path) -> list[Path]:
    """Model folders of a release: those with a config.json, or a diffusers model_index.json."""
    return sorted(f for f in release.iterdir() if is_model(f)) if release.is_dir() else []


def is_model(folder: Path) -> bool:
    """Whether the folder holds one."""
    return (folder / CONFIG_NAME).is_file() or (folder / PIPELINE_NAME).is_file()


def _releases_in(place: Path) -> list[Path]:
    if list_models(place):
        return [place]
    if not place.is_dir():
        return []
    return sorted((f for f in place.iterdir() if list_models(f)), key=lambda f: _natural(f.name))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _resolve_named(named: str) -> Path:
    path = Path(named).expanduser()
    if path.is_dir():
        return path
    if not is_hub_id(named):
        raise WeightsError(f"There is no weights folder {path}. {HINT}")
    if (snapshot := cached(named)) is None:
        raise WeightsError(f"There is no folder '{named}' and no such hub repository here; lim weights pull {named}.")
    return snapshot


def _searched(weights: Path | None) -> str:
    named = weights or os.environ.get(ENVIRONMENT_NAME)
    return str(named) if named else f"{_PACKAGE / '_weights'} and {_PACKAGE.parent / 'weights'}"


@dataclass(frozen=True)
class FileCheck:
    """One weight file against the table: `name` is `<release>/<model>/...` as the table writes it."""

    name: str
    status: Literal["ok", "changed", "missing", "unlisted"]


def verify(release: Path) -> list[FileCheck]:
    """Compares a release's .safetensors and .json files with the SHA-256 table in the README.md beside it.

    Raises:
        WeightsError: there is no such table.
    """
    table_path = release.parent / TABLE_NAME
    if not table_path.is_file():
        raise WeightsError(f"There is no {table_path} to verify {release.name} against. {HINT}")
    rows = {
        m["name"]: m["digest"] for m in _TABLE_ROW.finditer(table_path.read_text(encoding="utf-8", errors="replace"))
    }
    listed = {name: digest for name, digest in rows.items() if name.startswith(f"{release.name}/")}
    present = {f"{release.name}/{f.relative_to(release).as_posix()}": f for f in _weight_files(release)}
    checks = []
    for name in sorted(listed | present):
        if name not in present:
            checks.append(FileCheck(name, "missing"))
        elif name not in listed:
            checks.append(FileCheck(name, "unlisted"))
        else:
            checks.append(FileCheck(name, "ok" if hash_file(present[name]) == listed[name] else "changed"))
    return checks


def table(release: Path) -> str:
    """The Markdown table of a release's files, megabytes and SHA-256 that `verify` reads."""
    rows = ["| file | MB | SHA-256 |", "|---|---|---|"]
    for path in _weight_files(release):
        name = f"{release.name}/{path.relative_to(release).as_posix()}"
        rows.append(f"| `{name}` | {path.stat().st_size / 1e6:.2f} | `{hash_file(path)}` |")
    return "\n".join(rows) + "\n"


def weight_hash(folder: Path) -> str:
    """One SHA-256 over a model's (or a release's) weights and configs; model cards do not count."""
    return hash_json([[f.relative_to(folder).as_posix(), hash_file(f)] for f in _weight_files(folder)])


def _weight_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.suffix in (".safetensors", ".json") and f.is_file())
