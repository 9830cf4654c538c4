"""What two triplanes lose when they are moved to one time and blended, put back.

Not in the paper, whose LIM adds a residual to the source's features. This one knows nothing of motion and learns from
planes that were moved truly: it repairs what a blend of two reconstructions makes soft, and what planes, which see all
along their normals at once, cannot move.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lim_cli.models.plane_flows import blend
from lim_cli.models.plane_layers import PlaneConvolutions

_WIDTH = 64


class PlaneRestoration(nn.Module):
    """channels: of the planes. It starts without effect, and has none at either end."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = PlaneConvolutions(2 * channels + 1, channels, _WIDTH, gain=0.3)

    def forward(self, source: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
        """Both ends' planes [batch * 3, channels, h, w], moved to alpha [batch * 3, 1, 1, 1] -> the planes there."""
        blended = blend(source, target, alpha)
        far = (4 * alpha * (1 - alpha)).to(blended.dtype)
        seen = [blended, (source - target).abs(), far.expand(-1, 1, *blended.shape[-2:])]
        restored: Tensor = blended + far * self.residual(torch.cat(seen, 1))
        return restored
