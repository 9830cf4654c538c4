"""Compiled functions: kept on disk for the next process, and compiled where nothing can be kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from lim_cli.core.cached_njit import cached_njit

SOURCE = """
from lim_cli.core.cached_njit import cached_njit

@cached_njit()
def doubled(n):
    return 2 * n
"""


def test_the_next_process_finds_the_code_on_disk(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(SOURCE)
    ask = "from loops import doubled; print(doubled(21), sum(doubled.stats.cache_hits.values()))"
    said = [
        subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert [line.split() for line in said] == [["42", "0"], ["42", "1"]]


def test_without_a_place_on_disk_it_still_compiles() -> None:
    names: dict[str, Any] = {}
    exec(compile("def doubled(n):\n    return 2 * n\n", "<no file>", "exec"), names)
    assert cached_njit()(names["doubled"])(21) == 42
