"""Emission-absorption ray marching, and its slow readable twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lim_cli.core.rays import intersect_box

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
"""points [batch, point, 3] -> density per unit length [batch, point], values [batch, point, channel]."""


@dataclass(frozen=True)
class RayRender:
    """values [batch, ray, channel] (not composited: weighted sums), opacity and ray_length [batch, ray].

    ray_length is the expected length where something was met (weights normalised), 0 where nothing was.
    """

    values: Tensor
    opacity: Tensor
    ray_length: Tensor


def march_rays(
    field: Field,
    origins: Tensor,
    directions: Tensor,
    *,
    samples: int,
    generator: torch.Generator | None = None,
    half_size: float = 1.0,
) -> RayRender:
    """Renders rays [batch, ray, 3] through the cube [-half_size, half_size]^3.

    Each ray's passage is cut into `samples` equal steps, each evaluated at its middle, or at a random place in it
    when a generator is given. Weights: w_i = T_i (1 - exp(-sigma_i delta)), T_i = exp(-sum_{j<i} sigma_j delta).
    """
    near, far = intersect_box(origins, directions, half_size)
    return march_between(field, origins, directions, near, far, samples=samples, generator=generator)


def march_between(
    field: Field,
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    *,
    samples: int,
    generator: torch.Generator | None = None,
) -> RayRender:
    """`march_rays` where every ray has bounds of its own: near and far [batch, ray]; outside them nothing is met."""
    step = (far - near) / samples  # [batch, ray]
    place = torch.arange(samples, device=origins.device, dtype=origins.dtype) + 0.5
    if generator is not None:
        jitter = torch.rand((*step.shape, samples), generator=generator, device=generator.device) - 0.5
        place = place + jitter.to(origins.device)
    lengths = near[..., None] + step[..., None] * place  # [batch, ray, sample]
    points = origins[..., None, :] + directions[..., None, :] * lengths[..., None]
    sigma, values = field(points.flatten(1, 2))
    sigma = sigma.view(lengths.shape)
    values = values.view(*lengths.shape, -1)
    thickness = sigma * step[..., None]
    before = torch.cumsum(thickness, -1) - thickness
    weights = torch.exp(-before) * -torch.expm1(-thickness)
    opacity = weights.sum(-1)
    total = (weights * lengths).sum(-1) / opacity.clamp_min(1e-6)
    return RayRender((weights[..., None] * values).sum(-2), opacity, torch.where(opacity > 1e-6, total, 0.0))


def march_ray_slowly(
    field: Field, origin: Tensor, direction: Tensor, *, samples: int, half_size: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """The twin of `march_rays` for one ray [3], [3]: a loop that reads as the equation. -> values, opacity, length."""
    near, far = intersect_box(origin, direction, half_size)
    step = (far - near) / samples
    transmittance = origin.new_ones(())
    values, opacity, length = None, origin.new_zeros(()), origin.new_zeros(())
    for i in range(samples):
        t = near + (i + 0.5) * step
        sigma, value = field((origin + t * direction)[None, None])
        share = transmittance * (1 - torch.exp(-sigma[0, 0] * step))
        values = share * value[0, 0] if values is None else values + share * value[0, 0]
        opacity, length = opacity + share, length + share * t
        transmittance = transmittance * torch.exp(-sigma[0, 0] * step)
    if values is None:
        raise ValueError(f"expected at least one sample, got {samples}")
    return values, opacity, length / opacity.clamp_min(1e-6) if opacity > 1e-6 else length * 0
