"""One model on disk, `<release>/<model>/{config.json, model.safetensors, MODEL_CARD.md}`, loaded strictly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lim_cli.core.errors import ConfigError, WeightsError
from lim_cli.core.files import atomic_path
from lim_cli.models.releases import (
    CONFIG_NAME,
    HINT,
    FileCheck,
    find_release,
    is_model,
    list_models,
    list_releases,
    table,
    verify,
    weight_hash,
)

__all__ = [
    "FileCheck",
    "find_release",
    "is_model",
    "list_models",
    "list_releases",
    "load_model",
    "read_config",
    "read_tensors",
    "save_model",
    "save_tensors",
    "table",
    "verify",
    "weight_hash",
]

ModuleT = TypeVar("ModuleT", bound=nn.Module)

TENSORS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"


def save_model(
    folder: Path, module: nn.Module, config_plain: Mapping[str, Any], *, dtype: torch.dtype = torch.bfloat16
) -> None:
    """Writes config.json and model.safetensors; floating tensors are stored as `dtype`, others as they are.

    A model card in the folder is left alone.
    """
    save_tensors(folder, module.state_dict(), config_plain, dtype=dtype)


def save_tensors(
    folder: Path, tensors: Mapping[str, Tensor], config_plain: Mapping[str, Any], *, dtype: torch.dtype = torch.bfloat16
) -> None:
    """`save_model` of a module's tensors by name."""
    tensors = {
        name: (t.to(dtype) if t.is_floating_point() else t).detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }
    with atomic_path(folder / TENSORS_NAME) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})
    with atomic_path(folder / CONFIG_NAME) as partial:
        partial.write_text(json.dumps(config_plain, indent=2) + "\n")
    (folder / INDEX_NAME).unlink(missing_ok=True)


def read_config(folder: Path) -> dict[str, Any]:
    """The model's config.json.

    Raises:
        WeightsError: it is absent or no JSON object.
    """
    path = folder / CONFIG_NAME
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise WeightsError(f"There is no {path}. {HINT}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not JSON: {error}. {HINT}") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} must hold a JSON object. {HINT}")
    return values


def load_model(folder: Path, build: Callable[[dict[str, Any]], ModuleT], device: torch.device | str = "cpu") -> ModuleT:
    """Builds the module of `folder`'s config.json and fills it strictly; returned in eval mode.

    The module is built without memory of its own and compared with the stored tensors before it takes them over, so
    that no config.json can ask for more than the file holds. Half-precision tensors become float32.

    Raises:
        WeightsError: a file is absent or damaged, the config has an unknown key, or a tensor (named) is
            missing, extra or of another shape.
    """
    values = read_config(folder)
    try:
        with torch.device("meta"):
            module = build(values)
    except ConfigError as error:
        raise WeightsError(f"{folder / CONFIG_NAME} does not fit this version of lim: {error}") from error
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise WeightsError(f"{folder / CONFIG_NAME} holds sizes that make no model. {HINT}") from error
    stored = read_tensors(folder)
    expected = module.state_dict()
    _compare(folder, stored, expected)
    filled = {name: stored[name].to(tensor.dtype) for name, tensor in expected.items()}
    module.load_state_dict(filled, strict=True, assign=True)
    return module.to(device).eval()


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model folder as stored, whether in one file or in shards with a hub-style index."""
    index = folder / INDEX_NAME
    names = [TENSORS_NAME]
    expected: set[str] | None = None
    if not (folder / TENSORS_NAME).is_file() and index.is_file():
        try:
            weight_map: dict[str, str] = json.loads(index.read_text())["weight_map"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise WeightsError(f"{index} is damaged. {HINT}") from error
        names, expected = sorted(set(weight_map.values())), set(weight_map)
    tensors: dict[str, Tensor] = {}
    for name in names:
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"There is no {path}. {HINT}")
        try:
            with safe_open(path, framework="pt") as stream:
                tensors.update({key: stream.get_tensor(key) for key in stream.keys()})  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} is damaged ({error}). {HINT}") from error
    if expected is not None and (absent := sorted(expected - set(tensors))):
        raise WeightsError(f"{index} names the tensor '{absent[0]}', which no shard holds. {HINT}")
    return tensors


def _compare(folder: Path, stored: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    if missing := sorted(set(expected) - set(stored)):
        raise WeightsError(f"Weights in {folder} lack the tensor '{missing[0]}' ({len(missing)} missing).")
    if extra := sorted(set(stored) - set(expected)):
        raise WeightsError(f"Weights in {folder} hold the unexpected tensor '{extra[0]}' ({len(extra)} extra).")
    for name, tensor in expected.items():
        if stored[name].shape != tensor.shape:
            raise WeightsError(
                f"Tensor '{name}' in {folder} has shape {tuple(stored[name].shape)}, "
                f"the configuration needs {tuple(tensor.shape)}."
            )
