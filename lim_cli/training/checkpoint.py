"""A run's state in safetensors and JSON, enough to go on as if it had never stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lim_cli.core.errors import MissingError
from lim_cli.core.files import atomic_folder


def save_run(folder: Path, module: nn.Module, optimizers: list[torch.optim.Optimizer], state: dict[str, Any]) -> None:
    """Writes the module, the optimizers' tensors and `state` (plain values) as one folder, atomically."""
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for n, optimizer in enumerate(optimizers):
        for index, slots in optimizer.state_dict()["state"].items():
            for name, value in slots.items():
                if isinstance(value, Tensor):
                    tensors[f"{n}.{index}.{name}"] = value.detach().cpu().contiguous()
                else:
                    scalars[f"{n}.{index}.{name}"] = value
    with atomic_folder(folder) as partial:
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}, partial / "model.safetensors"
        )
        save_file(tensors, partial / "optimizer.safetensors")
        (partial / "state.json").write_text(json.dumps({**state, "optimizer": scalars}, indent=1))


def load_run(folder: Path, module: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    """Restores what `save_run` wrote and returns its `state`.

    Raises:
        MissingError: no complete checkpoint is there.
    """
    if not (folder / "state.json").is_file():
        raise MissingError(f"No training state in {folder}; start the run without --resume.")
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    module.load_state_dict(load_file(folder / "model.safetensors"))
    scalars = state.pop("optimizer")
    slots: list[dict[int, dict[str, Any]]] = [{} for _ in optimizers]
    for key, value in [*load_file(folder / "optimizer.safetensors").items(), *scalars.items()]:
        n, index, name = key.split(".", 2)
        slots[int(n)].setdefault(int(index), {})[name] = value
    for optimizer, slot in zip(optimizers, slots, strict=True):
        plain = optimizer.state_dict()
        plain["state"] = slot
        optimizer.load_state_dict(plain)
    return state
