"""Noise of a clip, partly common to all frames so that they start alike (PYoCo, arXiv 2305.10474)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

STILL_SHARE = 0.5


def correlated_noise(
    shape: Sequence[int],
    generator: torch.Generator,
    device: torch.device | str,
    *,
    still: Tensor | None = None,
) -> Tensor:
    """Normal noise [batch, time, ...], unit variance, correlation `STILL_SHARE` between frames.

    `still` [batch, 1, ...] is the part common to all frames; given, windows of one clip can share it.
    """
    if still is None:
        still = still_noise(shape, generator, device)
    own = torch.randn(tuple(shape), generator=generator, device=generator.device).to(device)
    return STILL_SHARE**0.5 * still + (1 - STILL_SHARE) ** 0.5 * own


def still_noise(shape: Sequence[int], generator: torch.Generator, device: torch.device | str) -> Tensor:
    """The common part [batch, 1, ...] of the noise of a clip [batch, time, ...]."""
    common = (shape[0], 1, *shape[2:])
    return torch.randn(common, generator=generator, device=generator.device).to(device)
