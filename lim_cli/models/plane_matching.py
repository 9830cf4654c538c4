"""Where the content of a plane at alpha comes from: both ends' triplanes matched along straight lines through alpha.

Not in the paper. Networks for optical flow and video interpolation (RAFT, BMBC) match images so; planes can be matched
as images are, since what they say of a thing moves with it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SHARPNESS = 40.0
_SMALLER_IS_LIKELIER = 20.0
_FINE_RADIUS = 3
_FARTHEST_CORRECTION = 0.1


class PlaneMatching(nn.Module):
    """Motion of every cell of the planes between two keyframes, and how to correct it after both have been moved.

    channels: of the planes; motion: channels of what LIM's head says of a cell; candidates a side: 2 radius + 1, from
    -reach to reach (model units) in both directions. Untrained it is block matching of the planes as they are.
    """

    def __init__(self, channels: int, motion: int, *, radius: int, reach: float, width: int = 96) -> None:
        super().__init__()
        self.radius, self.reach = radius, reach
        count = (2 * radius + 1) ** 2
        self.context = nn.Conv2d(channels, channels, 3, 1, 1)
        self.matching = _Residual(2 * count + 2 * channels + motion + 1, count, width)
        self.sharpness = nn.Parameter(torch.ones(()))
        window = 2 * (2 * _FINE_RADIUS + 1) ** 2
        self.embed = nn.ModuleList(nn.Conv2d(channels, 24, 1) for _ in range(2))
        self.correction = _Residual(window + 2 * channels + motion + 3, 4, 64, gain=0.1)
        with torch.no_grad():
            for parameter in self.context.parameters():
                parameter.zero_()
            lengths = self._candidates(torch.device("cpu")).square().sum(1)
            self.matching.output.bias.sub_(_SMALLER_IS_LIKELIER * lengths)  # type: ignore[union-attr]

    def velocity(self, motion: Tensor, source: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
        """motion [n, motion, h, w], planes [n, channels, h, w], alpha [n, 1, 1, 1] -> how far what a cell shows at

        alpha goes from source to target [n, 2, h, w], model units.
        """
        halves = [F.avg_pool2d(planes, 2) for planes in (source, target)]
        first, second = (F.normalize((half + self.context(half)).float(), dim=1) for half in halves)
        volume = self._volume(first, second, alpha)
        near = F.avg_pool2d(volume, 5, 1, 2, count_include_pad=False)
        share = alpha.expand(-1, 1, *volume.shape[-2:])
        odds = self.matching(torch.cat([volume, near, *halves, F.avg_pool2d(motion, 2), share], 1))
        odds = (odds + _SHARPNESS * self.sharpness * near).softmax(1)
        found = torch.einsum("nkhw,kd->ndhw", odds, self._candidates(odds.device))
        return F.interpolate(found, size=source.shape[-2:], mode="bilinear")

    def corrections(self, motion: Tensor, source: Tensor, target: Tensor, velocity: Tensor, alpha: Tensor) -> Tensor:
        """What to add to the whole way back to the source and to the whole way on to the target [n, 2 + 2, h, w], model

        units, seeing both ends' planes moved to alpha.
        """
        halves = [F.avg_pool2d(planes, 2) for planes in (source, target)]
        seen = []
        for embed, ends in zip(self.embed, ((source, target), halves), strict=True):
            first, second = (F.normalize(embed(planes).float(), dim=1) for planes in ends)
            agreement = local_correlation(first, second, _FINE_RADIUS)
            seen.append(F.interpolate(agreement, size=source.shape[-2:], mode="bilinear"))
        share = alpha.expand(-1, 1, *source.shape[-2:])
        found = self.correction(torch.cat([*seen, source, target, motion, velocity, share], 1))
        return _FARTHEST_CORRECTION * torch.tanh(found)

    def _candidates(self, device: torch.device) -> Tensor:
        """Motions (x, y) that are weighed [candidate, 2], model units."""
        steps = torch.linspace(-self.reach, self.reach, 2 * self.radius + 1, device=device)
        return torch.stack(torch.meshgrid(steps, steps, indexing="ij")[::-1], -1).view(-1, 2)

    def _volume(self, source: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
        """How well both ends agree if a cell moved by each of the candidates [n, candidate, h, w]."""
        count, _, height, width = source.shape
        grid = cell_centres(height, width, source.device)
        candidates, a = self._candidates(source.device).view(-1, 1, 1, 2), alpha.view(-1, 1, 1, 1, 1)
        at_source = (grid - a * candidates).flatten(1, 2)
        at_target = (grid + (1 - a) * candidates).flatten(1, 2)
        first = F.grid_sample(source, at_source, align_corners=False)
        second = F.grid_sample(target, at_target, align_corners=False)
        return (first * second).sum(1).view(count, -1, height, width)


class _Residual(nn.Module):
    """Convolutions with widening windows; it starts as 0 (beside its output's bias). gain: how fast it leaves it."""

    def __init__(self, inputs: int, outputs: int, width: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.input = nn.Conv2d(inputs, width, 1)
        self.norm = nn.GroupNorm(8, width)
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, 1, d, d) for d in (1, 2, 4, 1))
        self.output = nn.Conv2d(width, outputs, 3, 1, 1)
        with torch.no_grad():
            for parameter in self.output.parameters():
                parameter.zero_()

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm(self.input(x)))
        for block in self.blocks:
            x = x + F.silu(block(x))
        found: Tensor = self.gain * self.output(x)
        return found.float()


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


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """(x, y) of the centres of a plane's cells [h, w, 2], [-1, 1] across."""
    ys = (torch.arange(height, device=device) + 0.5) / height * 2 - 1
    xs = (torch.arange(width, device=device) + 0.5) / width * 2 - 1
    return torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], -1)
