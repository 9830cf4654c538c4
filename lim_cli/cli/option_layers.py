"""Options as they are written: in a file or behind `--set`; and laying one source over another."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lim_cli.core.errors import ConfigError

RECORD = "record"
"""Table of a stored configuration that says what came of it; no options."""


def read_file(path: Path) -> dict[str, Any]:
    """The options of a .toml or .json file.

    Raises:
        ConfigError: it is absent, or no table in one of these formats.
    """
    if path.suffix.lower() not in (".toml", ".json"):
        raise ConfigError(f"--config {path} must end in .toml or .json.")
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be understood: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a table of options.")
    return {name: value for name, value in values.items() if name != RECORD}


def parse_set(text: str) -> dict[str, Any]:
    """ "track.stiffness=3" -> {"track": {"stiffness": "3"}}.

    Raises:
        ConfigError: it has not this form.
    """
    path, equals, value = text.partition("=")
    names = [name.strip() for name in path.split(".")]
    if not equals or not all(names):
        raise ConfigError(f"--set takes NAME=VALUE, as in seed=3, got {text!r}.")
    table: Any = value.strip()
    for name in reversed(names):
        table = {name: table}
    return dict(table)


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Values replace those of `into`, table by table."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value
