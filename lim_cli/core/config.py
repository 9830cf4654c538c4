"""Frozen dataclasses to and from plain JSON or TOML values; an unknown key names its nearest kin."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lim_cli.core.errors import ConfigError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A config dataclass as nested dicts, lists and scalars."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    return value


def from_plain(cls: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Builds a config dataclass, nested ones included.

    Raises:
        ConfigError: an unknown key (the nearest known one is named), a missing one or a wrong type.
    """
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            known = leaf_paths(cls, where)
            raise ConfigError(f"Unknown option '{where}{key}'.{hint_for(f'{where}{key}', known)}")
    arguments = {k: _convert(hints[k], v, f"{where}{k}") for k, v in values.items()}
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ConfigError(f"Incomplete options for {where or cls.__name__}: {error}.") from error


def replace_path(config: T, path: str, value: Any) -> T:
    """A copy of `config` with the dotted `path` set, as `--set a.b=c` does it."""
    head, _, rest = path.partition(".")
    names = [f.name for f in dataclasses.fields(config)]  # type: ignore[arg-type]
    if head not in names:
        raise ConfigError(f"Unknown option '{head}'.{hint_for(head, names)}")
    if rest:
        new: Any = replace_path(getattr(config, head), rest, value)
    else:
        new = _convert(typing.get_type_hints(type(config))[head], value, head)
    return dataclasses.replace(config, **{head: new})  # type: ignore[type-var]


def leaf_paths(cls: Any, where: str = "") -> list[str]:
    """The dotted paths of all values of a config class, nested ones included."""
    paths: list[str] = []
    for name, hint in typing.get_type_hints(cls).items():
        paths += leaf_paths(hint, f"{where}{name}.") if dataclasses.is_dataclass(hint) else [f"{where}{name}"]
    return paths


def hint_for(key: str, known: Sequence[str]) -> str:
    """What to say after "Unknown option 'key'.": the nearest of `known`, by its whole path or its last part alone."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    if not near:
        last = {path.rpartition(".")[2]: path for path in reversed(known)}
        near = [last[name] for name in difflib.get_close_matches(key.rpartition(".")[2], list(last), n=1)]
    short = [path for path in known if "." not in path] or known
    return f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(short)}."


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if dataclasses.is_dataclass(value):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(f"Option '{where}' must be a table, got {value!r}.")
        return from_plain(hint, value, where=f"{where}.")  # type: ignore[arg-type]
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = typing.get_args(hint)
        if (value is None or value in ("none", "auto")) and type(None) in options:
            return None  # TOML and the command line have no null
        return _convert(next(o for o in options if o is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"Option '{where}' must be a list, got {value!r}.")
        args = typing.get_args(hint)
        item = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(item) != len(value):
            raise ConfigError(f"Option '{where}' must have {len(item)} entries, got {len(value)}.")
        return tuple(_convert(h, v, where) for h, v in zip(item, value, strict=True))
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise ConfigError(f"Option '{where}' must be one of {typing.get_args(hint)}, got {value!r}.")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and hint in (int, float, str, bool):
        if isinstance(value, str) and hint is not str:
            try:
                return {"true": True, "false": False}[value.lower()] if hint is bool else hint(value)
            except (ValueError, KeyError):
                raise ConfigError(f"Option '{where}' must be {hint.__name__}, got {value!r}.") from None
        if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
            raise ConfigError(f"Option '{where}' must be {hint.__name__}, got {value!r}.")
    return value
