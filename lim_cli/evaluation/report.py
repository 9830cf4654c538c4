"""A table as JSON with weight hashes and the command that made it, as Markdown, and as a picture strip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lim_cli.evaluation.scores import Cell
from lim_cli.evaluation.strips import Row, strip_png
from lim_cli.models.releases import weight_hash
from lim_cli.stages.networks import Networks

Table = Mapping[str, Mapping[str, Cell]]
"""row -> column -> figure"""


@dataclass(frozen=True)
class Report:
    """result: one table per group of cases. notes: sentences. cases: figures of every single case.

    curves: row -> values, where a table comes from curves. columns, strip: the picture strip's, if there is one.
    strips: further strips with the same columns, one a case.
    """

    result: Mapping[str, Table]
    notes: Sequence[str] = ()
    cases: Sequence[Mapping[str, Any]] = ()
    curves: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()
    strip: Sequence[Row] = ()
    strips: Mapping[str, Sequence[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """command: the line that made the report. weights: model -> SHA-256; rows brought by --lim count as models."""

    command: str
    release: str
    weights: Mapping[str, str]


def provenance(
    command: str, networks: Networks, models: Sequence[str], more: Mapping[str, Path] | None = None
) -> Provenance:
    """The release's models that were used, and further ones by name, hashed."""
    hashes = networks.hashes(*models)
    hashes |= {name: weight_hash(folder) for name, folder in (more or {}).items()}
    return Provenance(command, networks.release.name, hashes)


def plain(report: Report, made: Provenance) -> dict[str, Any]:
    """Everything but the pictures as JSON values."""
    values: dict[str, Any] = {"command": made.command, "release": made.release, "weights": dict(made.weights)}
    values["result"] = {group: {row: dict(cells) for row, cells in t.items()} for group, t in report.result.items()}
    if report.notes:
        values["notes"] = list(report.notes)
    if report.curves:
        values["curves"] = dict(report.curves)
    if report.cases:
        values["cases"] = list(report.cases)
    return values


def markdown(report: Report, made: Provenance) -> str:
    """The command, every group's table, the notes and the weights' hashes."""
    parts = [f"`{made.command}`"]
    for group, table in report.result.items():
        parts += [f"**{group}**", table_markdown(table)]
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    hashes = ", ".join(f"{name} `{digest[:12]}`" for name, digest in made.weights.items())
    parts.append(f"Release {made.release}; SHA-256 of the weights begins: {hashes}.")
    return "\n\n".join(parts) + "\n"


def table_markdown(table: Table) -> str:
    """Rows and columns, figures to four digits."""
    names = list(next(iter(table.values())))
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row, cells in table.items():
        shown = [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in (cells[n] for n in names)]
        lines.append(f"| {row} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def write_pages(folder: Path, report: Report, made: Provenance) -> None:
    """Writes result.md and, if there are any, strip.png and one strip_CASE.png a case into an existing folder."""
    text = markdown(report, made)
    if report.strip:
        (folder / "strip.png").write_bytes(strip_png(report.columns, report.strip))
        text += "\n![Pictures](strip.png)\n"
    for case, rows in report.strips.items():
        name = f"strip_{re.sub(r'[^A-Za-z0-9_-]+', '_', case)}.png"
        (folder / name).write_bytes(strip_png(report.columns, rows))
        text += f"\n![{case}]({name})\n"
    (folder / "result.md").write_text(text, encoding="utf-8")
