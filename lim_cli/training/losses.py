"""Losses on a triplane's field: direct 3-D, rays, distillation of one field into another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.models.triplane import FieldDecoder, density
from lim_cli.render.marching import march_rays

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""Distance of pictures [batch, 3, height, width] in [0, 1]: one number each, differentiable in the first."""


@dataclass(frozen=True)
class FieldLossWeights:
    """The paper's losses are the ray terms and `perceptual` (LPIPS, sec. 3.1); the others are ours (0: off).

    inset: how far inside the surface the logit is to be 0, model units. Rays are half opaque .01 to .02 outside of
    where it is, so that with 0 the object that occupancy asks for is seen a fifth too large.
    perceptual and edges (differences between neighbouring pixels, at three scales) need rays in patches.
    """

    occupancy: float = 1.0
    surface: float = 4.0
    ray_values: float = 4.0
    ray_opacity: float = 0.4
    ray_depth: float = 0.2
    perceptual: float = 0.0
    edges: float = 0.0
    softness: float = 0.025
    inset: float = 0.0
    ray_samples: int = 48


def field_losses(
    field: FieldDecoder,
    triplane: Tensor,
    labels: Mapping[str, Tensor],
    weights: FieldLossWeights,
    generator: torch.Generator,
    *,
    patch: int = 0,
    perceptual: Perceptual | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a triplane [batch, 3, c, h, w] against labels of one instant (the keys of `data.samples`, no time axis).

    Occupancy: BCE of the logit against sigmoid(-(sdf + inset) / softness). Surface: squared error of colour (or
    canonical XYZ) on the surface. Rays: squared error of rendered values on white (canonical: on the object), BCE of
    opacity, L1 of ray length. Patches (colour only, rays in squares of `patch` pixels): perceptual distance, edges.
    """
    canonical = field.config.kind == "canonical"
    terms: dict[str, Tensor] = {}
    points = torch.cat([labels["points"], labels["surface"]], 1).float()
    count = labels["points"].shape[1]
    logit, values = field(triplane, points)
    target = torch.sigmoid(-(labels["sdf"].float() + weights.inset) / weights.softness)
    terms["occupancy"] = weights.occupancy * F.binary_cross_entropy_with_logits(logit[:, :count], target)
    on_surface = labels["surface_canonical" if canonical else "surface_rgb"].float()
    terms["surface"] = weights.surface * F.mse_loss(values[:, count:], on_surface)

    def densities(places: Tensor) -> tuple[Tensor, Tensor]:
        logits, found = field(triplane, places)
        return density(logits), found

    origins, directions = labels["origins"].float(), labels["directions"].float()
    render = march_rays(densities, origins, directions, samples=weights.ray_samples, generator=generator)
    mask = labels["ray_mask"].float()
    opacity = render.opacity.float().clamp(1e-4, 1 - 1e-4)
    if canonical:
        truth = labels["ray_canonical"].float()
        error = (render.values / opacity[..., None] - truth).square().mean(-1) * mask * (opacity.detach() > 0.3)
        terms["ray_values"] = weights.ray_values * error.mean()
    else:
        truth = labels["ray_rgb"].float() * mask[..., None] + 1 - mask[..., None]
        rendered = render.values + 1 - render.opacity[..., None]
        terms["ray_values"] = weights.ray_values * F.mse_loss(rendered, truth)
        if patch:
            found, wanted = _pictures(rendered, patch), _pictures(truth, patch)
            if perceptual is not None:
                terms["perceptual"] = weights.perceptual * perceptual(found, wanted).mean()
            if weights.edges > 0:
                terms["edges"] = weights.edges * edge_distance(found, wanted)
    # by hand, since autocast refuses binary_cross_entropy
    entropy = -(mask * opacity.log() + (1 - mask) * (1 - opacity).log()).mean()
    terms["ray_opacity"] = weights.ray_opacity * entropy
    both = mask * (opacity.detach() > 0.3)
    terms["ray_depth"] = weights.ray_depth * ((render.ray_length - labels["ray_length"].float()).abs() * both).mean()
    with torch.no_grad():
        solid = render.opacity > 0.5
        terms_only = {
            "iou": ((solid & (mask > 0.5)).sum() / (solid | (mask > 0.5)).sum().clamp_min(1)).detach(),
        }
        if not canonical:
            terms_only["psnr"] = -10 * torch.log10(F.mse_loss(rendered, truth).clamp_min(1e-8))
            inside = ((rendered - truth).square().mean(-1) * mask).sum() / mask.sum().clamp_min(1)
            terms_only["psnr_fg"] = -10 * torch.log10(inside.clamp_min(1e-8))
        else:
            terms_only["xyz_rms"] = (error.sum() / both.sum().clamp_min(1) * 3).sqrt()
    total = torch.stack(list(terms.values())).sum()
    return total, {**{k: v.detach() for k, v in terms.items()}, **terms_only}


def _pictures(values: Tensor, patch: int) -> Tensor:
    """Values [batch, ray, 3] of rays in square patches -> pictures [batch * patches, 3, patch, patch]."""
    return values.reshape(-1, patch, patch, 3).movedim(-1, 1)


def edge_distance(found: Tensor, wanted: Tensor, scales: int = 3) -> Tensor:
    """Mean absolute error of differences between neighbours of pictures [n, 3, h, w], each scale half the last."""
    error = found - wanted
    terms = []
    for _ in range(scales):
        if min(error.shape[-2:]) < 2:
            break
        terms += [error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()]
        error = F.avg_pool2d(error, 2)
    return torch.stack(terms).mean()


def distillation_loss(field: FieldDecoder, predicted: Tensor, teacher: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of two decoded fields at points [batch, point, 3]: smooth-L1 of logits cut to [-4, 2], and

    squared error of values weighted by the teacher's occupancy. A higher floor (-2) would make fog free. Where both
    are beyond the same end they agree; where only the prediction is, a leak of 0.1 pulls it back.
    """
    with torch.no_grad():
        logit_true, values_true = field(teacher, points)
    logit, values = field(predicted, points)
    cut, logit_true = logit.clamp(-4, 2), logit_true.clamp(-4, 2)
    logit = torch.where(cut == logit_true, cut, 0.9 * cut + 0.1 * logit)
    weight = torch.sigmoid(3 * logit_true)
    shape = F.smooth_l1_loss(logit, logit_true)
    colour = ((values - values_true).square().mean(-1) * weight).mean()
    return shape, colour


def mean_distance(found: Tensor, truth: Tensor, counted: Tensor | None = None) -> Tensor:
    """Mean distance of points [..., 3], smooth where they meet; of those that are `counted` [...] alone, 0 of none."""
    distances = ((found - truth).square().sum(-1) + 1e-6).sqrt()
    return distances.mean() if counted is None else (distances * counted).sum() / counted.sum().clamp_min(1)
