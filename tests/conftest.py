"""Shape checks while tests run: jaxtyping's annotations are enforced in the rooms that carry them."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import install_import_hook

# Installed before any test imports these packages.
CHECKED = ["lim_cli.core", "lim_cli.render", "lim_cli.models", "lim_cli.metrics"]
install_import_hook(CHECKED, "typechecking.check")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="needs a CUDA device")
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(skip)
