"""LIM's flows against how the surface truly moved.

A cell of a plane sees all that lies along the plane's normal, so what it should say is the mean motion of the surface
there. With these flows in the place of LIM's its triplanes render as well as LRM's own on the true pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lim_cli.models.plane_flows import cell_centres
from lim_cli.models.triplane import PLANE_AXES

_NEAR, _FAR_WEIGHT = 0.06, 0.1
_BANDWIDTH = 0.03


def motion_losses(flows: Sequence[tuple[Tensor, Tensor]], truth: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Mean error of flows towards both ends [batch, 3, 2, h, w], as from `with_flows` of either LIM: one number for

    each pair, against what `plane_motion` says.
    """
    weight, *truths = truth
    losses = []
    for pair in flows:
        errors = [((f - t).square().sum(2) + 1e-6).sqrt() for f, t in zip(pair, truths, strict=True)]
        losses.append(((errors[0] + errors[1]) / 2 * weight).sum() / weight.sum())
    return torch.stack(losses)


@torch.no_grad()
def plane_motion(tracks: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of tracks [batch, (source, alpha, target), point, 3]: how much every cell of the planes counts [batch, 3, h, w],

    and how far the surface that it sees at alpha is from where it was and from where it will be [batch, 3, 2, h, w].
    Cells that see no surface take the motion of the nearest. Cells far from the object, wherever it is at the three
    instants, count a tenth.
    """
    cells = cell_centres(height, width, tracks.device).view(-1, 2)
    weights, sources, targets = [], [], []
    for axes in PLANE_AXES:
        source, middle, target = tracks[..., list(axes)].float().unbind(1)
        away = torch.cdist(cells.expand(len(middle), -1, -1), middle)
        nearest = away.amin(-1, keepdim=True)
        share = torch.exp(-(((away - nearest) / _BANDWIDTH) * (away + nearest) / _BANDWIDTH).clamp_max(60))
        share = share / share.sum(-1, keepdim=True)
        sources.append(share @ (source - middle))
        targets.append(share @ (target - middle))
        others = [torch.cdist(cells.expand(len(p), -1, -1), p).amin(-1) for p in (source, target)]
        closest = torch.stack([nearest[..., 0], *others]).amin(0)
        weights.append(_FAR_WEIGHT + (1 - _FAR_WEIGHT) * torch.exp(-((closest / _NEAR) ** 2)))
    shape = (len(tracks), 3, height, width)
    flows = [torch.stack(f, 1).transpose(2, 3).reshape(len(tracks), 3, 2, height, width) for f in (sources, targets)]
    return torch.stack(weights, 1).view(shape), flows[0], flows[1]
