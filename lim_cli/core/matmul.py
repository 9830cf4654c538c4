"""How fast a device multiplies matrices: what the networks' own speed is judged against."""

from __future__ import annotations

import time

import torch


def measure_matmul(device: torch.device | str, dtype: torch.dtype = torch.float32, *, seconds: float = 0.3) -> float:
    """Measured rate of square matrix products in GFLOP/s: the best of the products done in `seconds`.

    Large matrices, except where small ones show that a large product would take longer than that.

    Raises:
        RuntimeError: the device cannot multiply matrices of this type.
    """
    device = torch.device(device)
    size = 1024 if device.type == "cpu" else 4096
    small = _rate(device, dtype, 256, seconds / 10)
    return small if 2 * size**3 / small / 1e9 > seconds else max(small, _rate(device, dtype, size, seconds))


def _rate(device: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    a = torch.ones(size, size, device=device, dtype=dtype)

    def multiply() -> None:
        (a @ a)[0, 0].item()  # item() waits for the device

    multiply()
    best, start = float("inf"), time.perf_counter()
    while (began := time.perf_counter()) - start < seconds or best == float("inf"):
        multiply()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best / 1e9


def matmul_rates(device: torch.device | str) -> dict[str, float | None]:
    """GFLOP/s by precision; None where the device cannot do it."""
    rates: dict[str, float | None] = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        try:
            rates[name] = round(measure_matmul(device, dtype), 1)
        except RuntimeError:
            rates[name] = None
    return rates
