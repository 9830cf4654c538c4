"""Where the content of a plane at alpha comes from: both ends' triplanes matched along straight lines through alpha.

Not in the paper. Networks for optical flow and video interpolation (RAFT, BMBC) match images so; planes can be matched
as images are, since what they say of a thing moves with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.models.plane_layers import PlaneConvolutions

_SHARPNESS = 40.0
_SMALLER_IS_LIKELIER = 20.0
_FINE_RADIUS = 3
_FARTHEST_CORRECTION = 0.1


@dataclass(frozen=True)
class Level:
    """Motions that are weighed at 1 / `shrink` of the planes' size: 2 radius + 1 a side, from -reach to reach (model

    units) in both directions.
    """

    shrink: int
    radius: int
    reach: float

    @property
    def count(self) -> int:
        return (2 * self.radius + 1) ** 2

    def steps(self, device: torch.device) -> Tensor:
        return torch.linspace(-self.reach, self.reach, 2 * self.radius + 1, device=device)

    def candidates(self, device: torch.device) -> Tensor:
        """Motions (x, y) [candidate, 2], model units."""
        steps = self.steps(device)
        return torch.stack(torch.meshgrid(steps, steps, indexing="ij")[::-1], -1).view(-1, 2)


class PlaneMatching(nn.Module):
    """Motion of every cell of the planes between two keyframes, and how to correct it after both have been moved.

    channels: of the planes; near, far: two levels of motions, of which one is chosen by both together. Untrained it is
    block matching of the planes as they are.
    """

    def __init__(self, channels: int, near: Level, far: Level, width: int = 96) -> None:
        super().__init__()
        self.near, self.far = near, far
        self.near_context, self.far_context = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        count = near.count + far.count
        self.matching = PlaneConvolutions(2 * count + 2 * channels + 1, count, width)
        self.sharpness = nn.Parameter(torch.ones(()))
        window = 2 * (2 * _FINE_RADIUS + 1) ** 2
        self.embed = nn.ModuleList(nn.Conv2d(channels, 24, 1) for _ in range(2))
        self.correction = PlaneConvolutions(window + 2 * channels + 3, 4, 64, gain=0.1)
        with torch.no_grad():
            for parameter in (*self.near_context.parameters(), *self.far_context.parameters()):
                parameter.zero_()
            lengths = self._candidates(torch.device("cpu")).square().sum(1)
            self.matching.output.bias.sub_(_SMALLER_IS_LIKELIER * lengths)  # type: ignore[union-attr]

    def velocity(self, source: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
        """Planes [batch * 3, channels, h, w], alpha [batch * 3, 1, 1, 1] -> how far what a cell shows at alpha goes

        from source to target [batch * 3, 2, h, w], model units.
        """
        halves = [F.avg_pool2d(planes, self.near.shrink) for planes in (source, target)]
        small = [F.avg_pool2d(planes, self.far.shrink) for planes in (source, target)]
        near = _volume(self.near, self.near_context, halves, alpha)
        far = _volume(self.far, self.far_context, small, alpha)
        size = near.shape[-2:]
        volume = torch.cat([near, F.interpolate(far, size=size, mode="bilinear")], 1)
        around = torch.cat([_blurred(near, 5), F.interpolate(_blurred(far, 3), size=size, mode="bilinear")], 1)
        odds = self.matching(torch.cat([volume, around, *halves, alpha.expand(-1, 1, *size)], 1))
        odds = (odds + _SHARPNESS * self.sharpness * around).softmax(1)
        found = torch.einsum("nkhw,kd->ndhw", odds, self._candidates(odds.device))
        return F.interpolate(found, size=source.shape[-2:], mode="bilinear")

    def corrections(self, source: Tensor, target: Tensor, velocity: Tensor, alpha: Tensor) -> Tensor:
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
        found = self.correction(torch.cat([*seen, source, target, velocity, share], 1))
        return _FARTHEST_CORRECTION * torch.tanh(found)

    def _candidates(self, device: torch.device) -> Tensor:
        return torch.cat([self.near.candidates(device), self.far.candidates(device)])


def _volume(level: Level, context: nn.Module, ends: Sequence[Tensor], alpha: Tensor) -> Tensor:
    """How well source and target agree if a cell moved by each of the candidates [n, candidate, h, w], -1 to 1."""
    first, second = (F.normalize((planes + context(planes)).float(), dim=1) for planes in ends)
    steps, a = level.steps(first.device), alpha.view(-1, 1)
    here, there = _shifted(first, -a * steps), _shifted(second, (1 - a) * steps)
    # a row of candidates at a time: all at once leave the cache
    rows = [(next(here) * next(there)).sum(2) for _ in steps]  # [n, y, x step, x]
    return torch.stack(rows, 1).transpose(2, 3).flatten(1, 2)


def _blurred(volume: Tensor, window: int) -> Tensor:
    return F.avg_pool2d(volume, window, 1, window // 2, count_include_pad=False)


def _shifted(planes: Tensor, shifts: Tensor) -> Iterator[Tensor]:
    """Planes [n, channel, h, w] read so far from every cell, 0 beyond the rim, for shifts [n, k] of both axes in model

    units: one for each shift along y, [n, h, channel, k, w].
    """
    count, channels, height, width = planes.shape
    across = planes.flatten(1, 2) @ _reading(shifts, width).flatten(1, 2).transpose(1, 2)
    rows = across.view(count, channels, height, -1).transpose(1, 2).flatten(2)
    for down in _reading(shifts, height).unbind(1):
        yield (down @ rows).view(count, height, channels, -1, width)


def _reading(shifts: Tensor, size: int) -> Tensor:
    """Of shifts [n, k] the matrices [n, k, size, size] that read a line of cells so much farther on, linearly."""
    cells = torch.arange(size, device=shifts.device)
    places = cells.view(-1, 1) + shifts.view(*shifts.shape, 1, 1) * size / 2
    return (1 - (cells - places).abs()).clamp_min(0)


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
