"""Convolutions over the planes of a triplane, which tell each other what they see."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlaneConvolutions(nn.Module):
    """Convolutions with widening windows; planes of one triplane tell each other what they see along shared axes.

    It starts as 0 (beside its output's bias). gain: how fast it leaves it.
    """

    def __init__(self, inputs: int, outputs: int, width: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.input = nn.Conv2d(inputs, width, 1)
        self.norm = nn.GroupNorm(8, width)
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, 1, d, d) for d in (1, 2, 4, 1))
        self.exchanges = nn.ModuleList(PlaneExchange(width) for _ in range(2))
        self.output = nn.Conv2d(width, outputs, 3, 1, 1)
        with torch.no_grad():
            for parameter in self.output.parameters():
                parameter.zero_()

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm(self.input(x)))
        for n, block in enumerate(self.blocks):
            x = x + F.silu(block(x))
            if n < len(self.exchanges):
                x = x + self.exchanges[n](x)
        found: Tensor = self.gain * self.output(x)
        return found.float()


class PlaneExchange(nn.Module):
    """Planes [batch * 3, width, h, w]: each hears of both its axes what the other plane with that axis has there, on

    average along the line that crosses it. It starts as 0.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.across, self.down = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        with torch.no_grad():
            self.across.weight.zero_()
            self.down.weight.zero_()

    def forward(self, x: Tensor) -> Tensor:
        planes = x.unflatten(0, (-1, 3))
        columns, rows = planes.mean(-2).transpose(-1, -2), planes.mean(-1).transpose(-1, -2)  # [batch, 3, cell, width]
        # xy, xz, yz: x is across in xy and xz, y is down in xy and across in yz, z is down in xz and yz
        across = torch.stack([columns[:, 1], columns[:, 0], rows[:, 0]], 1)
        down = torch.stack([columns[:, 2], rows[:, 2], rows[:, 1]], 1)
        told = self.across(across).transpose(-1, -2).unsqueeze(-2) + self.down(down).transpose(-1, -2).unsqueeze(-1)
        return told.flatten(0, 1)
