"""Plain Euler sampling of one window, without a scheduler object."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser, Reference


def shifted_levels(steps: int, shift: float = 2.0) -> list[float]:
    """Noise levels of Euler steps from 1 down to 0; a shift over 1 spends more of them at much noise."""
    even = [1 - step / steps for step in range(steps)]
    return [shift * level / (1 + (shift - 1) * level) for level in even] + [0.0]


def predict_clean(
    model: MultiviewVideoDenoiser,
    sample: Tensor,
    clean: Tensor,
    known: Tensor,
    level: float,
    reference: Reference,
) -> Tensor:
    """Clean prediction [batch, time, view - 1, 4, height, width]; what is known enters and leaves as it is.

    sample: the state at noise level `level`; clean: same shape, read where known [batch, time, view - 1].
    """
    where = known[..., None, None, None]
    levels = torch.where(known, 0.0, level).to(sample.dtype)
    predicted = model.denoise(torch.where(where, clean, sample), levels, reference)
    return torch.where(where, clean, predicted.to(clean.dtype))


@torch.no_grad()
def sample_window(
    model: MultiviewVideoDenoiser,
    pixels: Tensor,
    known: Tensor,
    world_from_camera: Tensor,
    intrinsics: Tensor,
    noise: Tensor,
    levels: Sequence[float],
) -> Tensor:
    """Fills the unknown images of `pixels` [batch, time, view, 4, height, width] (`encode_pixels` space).

    Args:
        known: bool [batch, time, view]; view 0 counts as known whatever it says.
        noise: shape of `pixels[:, :, 1:]`, as of `correlated_noise`.
        levels: noise levels falling from 1 to 0, as of `shifted_levels`.
    """
    reference = model.encode_reference(pixels[:, :, 0], world_from_camera, intrinsics)
    clean, known, sample = pixels[:, :, 1:], known[:, :, 1:], noise
    for level, next_level in pairwise(levels):
        predicted = predict_clean(model, sample, clean, known, level, reference)
        sample = predicted + (sample - predicted) * (next_level / level)
    return torch.cat([pixels[:, :, :1], torch.where(known[..., None, None, None], clean, sample)], 2)
