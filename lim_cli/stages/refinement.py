"""One triplane brought closer to what its views show, by a residual on its planes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.core.errors import NumericalError
from lim_cli.models.seen_rays import SeenRays, disagreement
from lim_cli.models.triplane import FieldDecoder
from lim_cli.stages.config import RefinementConfig

WARMUP = 5
LAST_RATE = 0.1
"""Share of the rate that is left at the last step."""
COARSER = 4
"""The residual is a sum of two grids, the second so many times coarser: what is wrong all over is mended at once."""


def fitted_residual(
    field: FieldDecoder,
    triplane: Tensor,
    rays: SeenRays,
    steps: int,
    config: RefinementConfig,
    *,
    generator: torch.Generator,
) -> Tensor:
    """What to add to a triplane [3, c, h, w] so that its renders agree with `rays`: [3, c, h, w].

    `steps` of Adam on: squared error of the premultiplied colour + `opacity` x BCE of opacity and matte +
    `proximity` x mean square of the residual.

    Raises:
        NumericalError: it became NaN.
    """
    height, width = triplane.shape[-2:]
    coarse = triplane.new_zeros(*triplane.shape[:2], max(height // COARSER, 1), max(width // COARSER, 1))
    grids = [torch.zeros_like(triplane).requires_grad_(), coarse.requires_grad_()]
    optimiser = torch.optim.Adam(grids, lr=config.rate, betas=(0.9, 0.99))
    for step in range(steps if len(rays) else 0):
        left = 1 - (1 - LAST_RATE) * step / steps
        optimiser.param_groups[0]["lr"] = config.rate * left * min(1.0, (step + 1) / WARMUP)
        some = rays[torch.multinomial(rays.chances, config.rays, replacement=True, generator=generator)]
        residual = _sum(grids)
        colour, outline = disagreement(field, triplane + residual, some, config.samples, generator)
        loss = colour.mean() + config.opacity * outline.mean() + config.proximity * residual.square().mean()
        for grid, gradient in zip(grids, torch.autograd.grad(loss, grids), strict=True):
            grid.grad = gradient  # no `backward`, which would reach the field's weights too
        optimiser.step()
    found = _sum(grids).detach()
    if not bool(torch.isfinite(found.half()).all()):
        raise NumericalError("A refined triplane is NaN or infinite; lower --set refinement.rate, or give --refine 0.")
    return found


def _sum(grids: list[Tensor]) -> Tensor:
    fine, coarse = grids
    return fine + F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
