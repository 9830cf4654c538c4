"""What scattered points know, read anywhere: on the cells of planes and at other points."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.models.plane_flows import cell_centres
from lim_cli.models.triplane import PLANE_AXES

_BANDWIDTH = 0.03
"""Model units; of points farther than the nearest by more than about this much, little is read."""


def at_places(places: Tensor, points: Tensor, values: Tensor) -> Tensor:
    """Means of values [..., point, k] that lie at points [..., point, d], near each of places [..., place, d]: [...,

    place, k]. Weights fall off as a Gaussian; a place far from all points takes what the nearest say.
    """
    # softmax over -|place - point|^2 / bandwidth^2, less what is the same for all points, as attention
    ones = torch.ones_like(places[..., :1])
    query = torch.cat([places, ones], -1) / _BANDWIDTH
    key = torch.cat([2 * points, -points.square().sum(-1, keepdim=True)], -1) / _BANDWIDTH
    width = max(query.shape[-1], values.shape[-1])
    query, key, padded = (F.pad(part, (0, width - part.shape[-1])) for part in (query, key, values))
    return F.scaled_dot_product_attention(query, key, padded, scale=1.0)[..., : values.shape[-1]]


def on_planes(points: Tensor, moves: Tensor, height: int, width: int) -> Tensor:
    """Moves [batch, point, k, 3] of points [batch, point, 3], as a triplane's planes see them, along their normals: [k,

    batch, 3, 2, h, w].
    """
    cells = cell_centres(height, width, points.device).view(1, 1, -1, 2)
    seen = torch.stack([points[..., list(axes)] for axes in PLANE_AXES], 1)  # [batch, 3, point, 2]
    values = torch.stack([moves[..., list(axes)] for axes in PLANE_AXES], 1).flatten(3)
    found = at_places(cells.expand(len(points), 3, -1, -1), seen, values)
    return found.view(len(points), 3, height, width, -1, 2).permute(4, 0, 1, 5, 2, 3)
