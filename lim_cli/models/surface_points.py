"""Points on the surface that a triplane holds, and what the triplane says of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.models.triplane import FieldDecoder, sample_triplane


@dataclass(frozen=True)
class SurfacePoints:
    """Of batch and point: positions [..., 3] (model units), normals [..., 3] (unit, outward; 0 where unknown), colours

    [..., 3] (0 to 1), features [..., 3 * channel] of the planes.
    """

    positions: Tensor
    normals: Tensor
    colours: Tensor
    features: Tensor


@torch.no_grad()
def surface_points(
    field: FieldDecoder, triplanes: Tensor, count: int, *, lattice: int = 48, generator: torch.Generator | None = None
) -> SurfacePoints:
    """`count` points where edges of a lattice cross the surface of triplanes [batch, 3, channel, h, w], about as many a

    unit of area everywhere; at random with a generator. Of fewer crossings some come again. A triplane without any
    surface gives the origin.
    """
    found = [_crossings(field, triplane, lattice) for triplane in triplanes.float()]
    chosen = []
    for positions, normals in found:
        if generator is None:
            order = torch.linspace(0, len(positions) - 1, count, device=positions.device).round().long()
        else:
            order = torch.randperm(len(positions), generator=generator, device=positions.device)
            order = order.repeat(-(-count // len(order)))[:count]
        chosen.append((positions[order], normals[order]))
    positions, normals = (torch.stack(part) for part in zip(*chosen, strict=True))
    _, colours = field(triplanes.float(), positions)
    return SurfacePoints(positions, normals, colours, sample_triplane(triplanes.float(), positions))


def _crossings(field: FieldDecoder, triplane: Tensor, lattice: int) -> tuple[Tensor, Tensor]:
    """Where the lattice's edges cross the surface [crossing, 3], and the normals there."""
    axis = (torch.arange(lattice, device=triplane.device) + 0.5) / lattice * 2 - 1
    logits = field.on_lattice(field.project(triplane), (axis, axis, axis)).float()
    slopes = torch.stack(torch.gradient(logits), -1)
    positions, normals = [], []
    for along in range(3):
        here, there = logits.narrow(along, 0, lattice - 1), logits.narrow(along, 1, lattice - 1)
        cells = ((here > 0) != (there > 0)).nonzero()
        onward = cells + F.one_hot(torch.tensor(along, device=cells.device), 3)
        first, second = logits[tuple(cells.T)], logits[tuple(onward.T)]
        share = (first / (first - second))[:, None]
        positions.append(axis[cells] + share * (axis[onward] - axis[cells]))
        normals.append(-torch.lerp(slopes[tuple(cells.T)], slopes[tuple(onward.T)], share))
    if not sum(map(len, positions)):
        return torch.zeros(1, 3, device=triplane.device), torch.zeros(1, 3, device=triplane.device)
    return torch.cat(positions), F.normalize(torch.cat(normals), dim=-1)
