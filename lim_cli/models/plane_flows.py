"""Flows in the planes of a triplane: how far from each cell its content lies in another triplane, model units."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.models.triplane import PLANE_AXES, bilinear_rows


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """(x, y) of the centres of a plane's cells [h, w, 2], [-1, 1] across."""
    ys = (torch.arange(height, device=device) + 0.5) / height * 2 - 1
    xs = (torch.arange(width, device=device) + 0.5) / width * 2 - 1
    return torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], -1)


def for_planes(alpha: Tensor) -> Tensor:
    """alpha [batch] for every plane: [batch * 3, 1, 1, 1]."""
    return alpha.float().repeat_interleave(3).view(-1, 1, 1, 1)


def warp(planes: Tensor, flow: Tensor) -> Tensor:
    """Backward warp of [n, channel, h, w] by flows [n, 2, h, w]; cells from beyond the rim show the rim."""
    height, width = planes.shape[-2:]
    grid = cell_centres(height, width, planes.device) + flow.permute(0, 2, 3, 1)
    read = F.grid_sample(planes.float(), grid, padding_mode="border", align_corners=False)
    # grid_sample reads the rim where a flow is NaN, which would hide it
    return read + 0 * flow.sum(1, keepdim=True)


def blend(source: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
    """Planes that lie over each other at alpha, both ends' weighted by how near they are in time."""
    return (1 - alpha) * source + alpha * target


def mean_displacement(flow: Tensor, points: Tensor) -> Tensor:
    """What flows [batch * 3, 2, h, w] say of points [batch, point, 3]; each axis is the mean of two planes."""
    table = flow.unflatten(0, (-1, 3)).permute(0, 1, 3, 4, 2).contiguous()
    moved = torch.zeros_like(points)
    for plane, axes in enumerate(PLANE_AXES):
        found = bilinear_rows(table[:, plane], points[..., list(axes)])
        moved = moved.index_add(-1, torch.tensor(axes, device=points.device), 0.5 * found)
    return moved
