"""Choosing a device and making its random numbers."""

from __future__ import annotations

import torch

from lim_cli.core.errors import ConfigError


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: the named device is unknown or not present.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if present["cuda"] else "mps" if present["mps"] else "cpu")
    kind = name.split(":")[0]
    if not present.get(kind, False):
        raise ConfigError(f"Device '{name}' is not available here; use --device auto or --device cpu.")
    return torch.device(name)


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for `device`, so that no global seed is touched."""
    return torch.Generator(device=device).manual_seed(seed)


def fast_in_bfloat16(device: torch.device | str) -> bool:
    """Whether a device has units for bfloat16 products: every CUDA device of today, and CPUs with AMX or

    AVX512_BF16. Other CPUs take many times longer for them than for float32.
    """
    kind = torch.device(device).type
    units = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return kind == "cuda" or (kind == "cpu" and units)
