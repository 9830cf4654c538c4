"""Writes the pages of the commands, lim_cli/docs/commands/*.md, and the index, from the commands themselves.

    python -m tests.docs.generate

Run it after every change of an option or a help text; a test compares the pages with the commands.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from typer.models import ArgumentInfo

from lim_cli.cli.main import COMMANDS

DOCS = Path(__file__).resolve().parents[2] / "lim_cli" / "docs"
NOTE = "<!-- Written by `python -m tests.docs.generate`; change the command's help, not this page. -->"
PAGES = {"limits.md": "Limits, and what to expect", "view-models.md": "Other view models: `--views-model`"}
"""Pages written by hand, and how the index names them."""


def pages() -> dict[str, str]:
    """Path below `lim_cli/docs` -> text, of every page that is generated."""
    found = {f"commands/{name}.md": page(name, importlib.import_module(COMMANDS[name][0]).app) for name in COMMANDS}
    return {"README.md": index(), **found}


def index() -> str:
    rows = [f"| [lim {name}](commands/{name}.md) | {text} |" for name, (_, text) in COMMANDS.items()]
    other = [f"- [{title}]({file})" for file, title in PAGES.items()]
    return "\n".join([NOTE, "", "# lim", "", *other, "", "| command | what it does |", "|---|---|", *rows, ""])


def page(name: str, app: typer.Typer) -> str:
    """One command's page, with a section for each of its own commands."""
    lines = [NOTE, "", f"# lim {name}", ""]
    if app.registered_callback is None:
        [command] = app.registered_commands
        return _joined([*lines, *section(f"lim {name}", command.callback)])
    lines += description(app.registered_callback.callback)
    for command in app.registered_commands:
        path = f"lim {name} {command.name or command.callback.__name__}"
        lines += [f"## {path}", "", *section(path, command.callback)]
    return _joined(lines)


def section(path: str, function: Any) -> Iterator[str]:
    yield from description(function)
    yield from signature(path, function)


def description(function: Any) -> Iterator[str]:
    """Paragraphs of a help text; examples and preformatted blocks as code."""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(function.__doc__ or "")):
        if block.startswith("\b"):
            yield from ("```bash", inspect.cleandoc(block.removeprefix("\b").lstrip("\n")), "```", "")
        elif block.startswith("Example: "):
            yield from ("```bash", " ".join(block.removeprefix("Example: ").split()), "```", "")
        else:
            yield from (" ".join(block.split()), "")


@dataclass(frozen=True)
class Parameter:
    """One argument or option. value: what is to be written after it; None for a switch."""

    name: str
    spellings: tuple[str, ...]
    value: str | None
    default: str
    help: str
    required: bool


def signature(path: str, function: Any) -> Iterator[str]:
    """The usage line, and tables of arguments and options."""
    arguments, options = parameters(function)
    usage = " ".join([path, *(a.name if a.required else f"[{a.name}]" for a in arguments), "[OPTIONS]"])
    yield from ("```text", usage, "```", "")
    if arguments:
        yield from ("| argument | |", "|---|---|")
        yield from (f"| `{a.name}` | {a.help} |" for a in arguments)
        yield ""
    if options:
        yield from ("| option | default | |", "|---|---|---|")
        for option in options:
            names = ", ".join(f"`{name}`" for name in option.spellings)
            yield f"| {names}{f' {option.value}' if option.value else ''} | {option.default} | {option.help} |"
        yield ""


def parameters(function: Any) -> tuple[list[Parameter], list[Parameter]]:
    """Arguments and options of a command's function, from its annotations."""
    hints = typing.get_type_hints(function, include_extras=True)
    arguments: list[Parameter] = []
    options: list[Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is typer.Context:  # typer's own, not the user's
            continue
        kind, info = typing.get_args(hints[name])
        if getattr(info, "hidden", False):
            continue
        switch = kind is bool
        required = parameter.default is inspect.Parameter.empty
        first = (info.default,) if isinstance(info.default, str) else ()  # typer's own reading of Annotated
        spellings = (*first, *(info.param_decls or ()))
        if isinstance(info, ArgumentInfo):
            place = info.metavar or name.upper()
            arguments.append(Parameter(place, (), None, "", _cell(info.help), required))
            continue
        if not spellings:
            dashed = name.replace("_", "-")
            spellings = (f"--{dashed}/--no-{dashed}",) if switch else (f"--{dashed}",)
        value = None if switch else _cell(info.metavar or _values(kind, info))
        shown = "required" if required else _default(parameter.default, info, spellings, switch)
        options.append(Parameter(name, spellings, value, shown, _cell(info.help), required))
    return arguments, options


def _values(kind: Any, info: Any) -> str:
    """What a value is: its choices, or a word, with its range."""
    inner = [a for a in typing.get_args(kind) if a is not type(None)]
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(str, inner))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(str(choice.value) for choice in kind)
    if inner:
        return _values(inner[0], info)
    word = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}[kind]
    if info.min is None and info.max is None:
        return word
    low, high = info.min, info.max
    return f"{word} ({f'from {low}' if high is None else f'up to {high}' if low is None else f'{low} to {high}'})"


def _default(value: Any, info: Any, spellings: tuple[str, ...], switch: bool) -> str:
    if isinstance(info.show_default, str):
        return f"`{info.show_default}`"
    if switch:
        both = spellings[0].split("/")
        return f"`{both[0 if value else 1]}`" if len(both) == 2 else ""
    return "" if value is None or info.show_default is False else f"`{value}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Writes every page, and removes those of commands that are gone."""
    current = pages()
    for path in (DOCS / "commands").glob("*.md"):
        if path.relative_to(DOCS).as_posix() not in current:
            path.unlink()
    for name, text in current.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
