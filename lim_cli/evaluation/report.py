"""Results as JSON with weight hashes, as Markdown, and as one picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.core.files import atomic_path
from lim_cli.stages.networks import MODELS, Networks


def with_provenance(result: Mapping[str, Any], networks: Networks) -> dict[str, Any]:
    """The result beside the release's name and its models' hashes."""
    present = [m for m in MODELS if (networks.release / m).is_dir()]
    return {"release": networks.release.name, "weights": networks.hashes(*present), "result": dict(result)}


def markdown(result: Mapping[str, Any]) -> str:
    """A table of method -> metric -> value; one more level gives one table a group."""
    first = next(iter(result.values()))
    if isinstance(next(iter(first.values())), Mapping):
        return "\n".join(f"**{group}**\n\n{markdown(rows)}" for group, rows in result.items())
    names = list(first)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {row} | " + " | ".join(f"{values[n]:.4g}" for n in names) + " |" for row, values in result.items()]
    return "\n".join(lines) + "\n"


def save(folder: Path, plain: Mapping[str, Any], result: Mapping[str, Any], pictures: list[np.ndarray]) -> None:
    """Writes result.json, result.md and, if there are any, pictures.png.

    Raises:
        OutputError: the folder cannot be written.
    """
    with atomic_path(folder / "result.json") as path:
        path.write_text(json.dumps(plain, indent=1) + "\n")
    with atomic_path(folder / "result.md") as path:
        path.write_text(markdown(result))
    if pictures:
        import imageio.v3 as iio

        with atomic_path(folder / "pictures.png") as path:
            iio.imwrite(path, np.concatenate(pictures[:16], 0))
