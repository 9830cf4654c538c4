"""The pages say what the commands say, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.generate import DOCS, pages

ROOT = DOCS.parents[1]


def test_the_pages_of_the_commands_are_current() -> None:
    current = pages()
    there = {p.relative_to(DOCS).as_posix() for p in (DOCS / "commands").glob("*.md")} | {"README.md"}
    stale = {name for name, text in current.items() if name not in there or (DOCS / name).read_text("utf-8") != text}
    stale |= there - set(current)
    assert not stale, f"{sorted(stale)} not current; run: python -m tests.docs.generate"


def test_every_page_has_an_example_and_a_usage_line() -> None:
    for name, text in pages().items():
        if name.startswith("commands/"):
            command = name.removeprefix("commands/").removesuffix(".md")
            examples = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
            assert any(f"lim {command}" in example for example in examples), name
            assert f"```text\nlim {command}" in text


def test_what_a_page_says_of_an_option() -> None:
    text = pages()["commands/render.md"]
    assert "lim render TRIPLANES [OPTIONS]" in text
    assert "| `--output`, `-o` PATH | required | The folder to write. |" in text
    assert "| `--size` INTEGER (8 to 4096) | `256` | Side of the pictures, pixels. |" in text
    assert "| `--depth/--no-depth` | `--depth` | Write 16-bit depth pictures. |" in text


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page} links to {link}"
