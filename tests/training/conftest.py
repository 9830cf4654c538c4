"""Tiny teachers, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import tiny_lrm

from lim_cli.core.config import to_plain
from lim_cli.models.checkpoints import save_model


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folders = {}
    for kind in ("rgb", "canonical"):
        folder: Path = tmp_path_factory.mktemp(kind)
        lrm = tiny_lrm(kind)  # type: ignore[arg-type]
        save_model(folder, lrm, to_plain(lrm.config))
        folders[kind] = str(folder)
    return folders
