from __future__ import annotations

from pathlib import Path

import pytest
from tiny_release import cached_weights


@pytest.fixture(scope="session")
def tiny_weights() -> Path:
    """A weights folder with one release of tiny trained models."""
    return cached_weights()
