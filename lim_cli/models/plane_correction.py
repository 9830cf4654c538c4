"""What is left to move after both ends' planes were moved to one time: flows corrected by what the planes show there.

Not in the paper. As in networks for optical flow (RAFT), cells look around themselves for what they should meet.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.models.plane_layers import PlaneConvolutions

_RADIUS = 3
_FARTHEST = 0.1


class PlaneCorrection(nn.Module):
    """channels: of the planes. It starts without effect."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        window = 2 * (2 * _RADIUS + 1) ** 2
        self.embed = nn.ModuleList(nn.Conv2d(channels, 24, 1) for _ in range(2))
        self.correction = PlaneConvolutions(window + 2 * channels + 3, 4, 64, gain=0.1)

    def forward(self, source: Tensor, target: Tensor, velocity: Tensor, alpha: Tensor) -> Tensor:
        """Both ends' planes [n, channels, h, w] moved to alpha [n, 1, 1, 1], the way [n, 2, h, w] from source to

        target that they were moved along -> what to add to the whole way back to the source and to the whole way on to
        the target [n, 2 + 2, h, w], model units.
        """
        halves = [F.avg_pool2d(planes, 2) for planes in (source, target)]
        seen = []
        for embed, ends in zip(self.embed, ((source, target), halves), strict=True):
            first, second = (F.normalize(embed(planes).float(), dim=1) for planes in ends)
            agreement = local_correlation(first, second, _RADIUS)
            seen.append(F.interpolate(agreement, size=source.shape[-2:], mode="bilinear"))
        share = alpha.expand(-1, 1, *source.shape[-2:])
        found = self.correction(torch.cat([*seen, source, target, velocity, share], 1))
        return _FARTHEST * torch.tanh(found)


def local_correlation(first: Tensor, second: Tensor, radius: int) -> Tensor:
    """Scalar products of every cell of `first` [n, c, h, w] with the cells of `second` around it.

    Returns:
        [n, (2 radius + 1)^2, h, w], row by row; cells beyond the rim are 0.
    """
    height, width = first.shape[-2:]
    padded = F.pad(second, [radius] * 4)
    window = range(2 * radius + 1)
    return torch.stack(
        [(first * padded[:, :, i : i + height, j : j + width]).sum(1) for i in window for j in window], 1
    )
