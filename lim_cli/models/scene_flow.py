"""Scene flow between two keyframes: how far every point of one surface has gone when the other is reached.

Not in the paper. A transformer over points of both surfaces: attention within each and from each to the other, where
points lie told by rotary encodings of their places, a first match over all points of the other surface, then the same
again with the points moved there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.models.layers import FeedForward
from lim_cli.models.surface_points import SurfacePoints

_FREQUENCIES = (1.0, 2.5, 6.0, 14.0, 32.0)  # radians a model unit
_NEARER_IS_LIKELIER = 8.0


class RotaryAttention(nn.Module):
    """Multi-head attention that knows where tokens lie relative to each other: [batch, token, width] with places

    [batch, token, 3], model units. Heads of width 32 or more: two for each axis and frequency are turned.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, tokens: Tensor, place: Turn, context: Tensor, context_place: Turn) -> Tensor:
        batch, count, width = tokens.shape
        query = place.turned(self.query(tokens).view(batch, count, self.heads, -1).transpose(1, 2))
        key, value = self.key_value(context).view(batch, -1, 2, self.heads, width // self.heads).unbind(2)
        key = context_place.turned(key.transpose(1, 2))
        value = value.transpose(1, 2)
        mixed = _attention(query, key, value)
        return self.output(mixed.transpose(1, 2).reshape(batch, count, width))


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    if torch.is_grad_enabled() and not query.is_cuda:
        # the fused kernel's gradients take twice as long on a CPU
        fit = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        return fit.softmax(-1) @ value
    return F.scaled_dot_product_attention(query, key, value)


class Turn:
    """Rotary encoding of places [batch, point, 3]."""

    def __init__(self, places: Tensor) -> None:
        frequencies = torch.tensor(_FREQUENCIES, device=places.device)
        angles = (places.float()[..., None] * frequencies).flatten(2)[:, None]  # [batch, 1, point, 15]
        self.cos, self.sin = angles.cos(), angles.sin()

    def turned(self, x: Tensor) -> Tensor:
        count = self.cos.shape[-1]
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        first, second, rest = x.split([count, count, x.shape[-1] - 2 * count], -1)
        return torch.cat([first * cos - second * sin, first * sin + second * cos, rest], -1)


class PointBlock(nn.Module):
    """Attention of each point set to itself, to the other one, and an MLP; sets are the halves of the batch."""

    def __init__(self, width: int, heads: int, *, cross: bool) -> None:
        super().__init__()
        self.norm_self, self.self_attention = nn.LayerNorm(width), RotaryAttention(width, heads)
        if cross:
            self.norm_cross, self.cross_attention = nn.LayerNorm(width), RotaryAttention(width, heads)
        self.norm_mlp, self.mlp = nn.LayerNorm(width), FeedForward(width)

    def forward(self, tokens: Tensor, here: Turn, asking: Turn | None = None, asked: Turn | None = None) -> Tensor:
        """here: where points lie in their own set; asking: where they look from; asked: where the others lie."""
        x = self.norm_self(tokens)
        tokens = tokens + self.self_attention(x, here, x, here)
        if asking is not None and asked is not None:
            x = self.norm_cross(tokens)
            tokens = tokens + self.cross_attention(x, asking, _swapped(x), asked)
        return tokens + self.mlp(self.norm_mlp(tokens))


def _swapped(x: Tensor) -> Tensor:
    """The two halves of a batch in each other's places."""
    return x.roll(len(x) // 2, 0)


class SceneFlow(nn.Module):
    """Points of two surfaces -> for each point how far it goes until the other keyframe, and its way's bend.

    features: channels of SurfacePoints.features; blocks: within each surface, across both, and after the first match.
    """

    def __init__(self, features: int, width: int, heads: int, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.input = nn.Linear(9 + features, width)
        self.norm_input = nn.LayerNorm(width)
        within, across, moved = blocks
        self.within_blocks = nn.ModuleList(PointBlock(width, heads, cross=False) for _ in range(within))
        self.across_blocks = nn.ModuleList(PointBlock(width, heads, cross=True) for _ in range(across))
        self.norm_match = nn.LayerNorm(width)
        self.match = nn.Linear(width, width, bias=False)
        self.nearness = nn.Parameter(torch.tensor(_NEARER_IS_LIKELIER))
        self.first = nn.Sequential(nn.Linear(2 * width + 3, width), nn.SiLU(), nn.Linear(width, 3))
        self.told = nn.Linear(width + 6, width)
        self.moved_blocks = nn.ModuleList(PointBlock(width, heads, cross=True) for _ in range(moved))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 6))
        with torch.no_grad():
            for layer in (self.first[-1], self.output[-1]):
                for parameter in layer.parameters():
                    parameter.zero_()

    @property
    def blocks(self) -> list[PointBlock]:
        """All of them, as they follow each other."""
        return [block for part in (self.within_blocks, self.across_blocks, self.moved_blocks) for block in part]  # type: ignore[misc]

    def forward(self, source: SurfacePoints, target: SurfacePoints) -> tuple[Tensor, Tensor, Tensor]:
        """Both surfaces [batch, point, ...] (as many points in each) -> of the source's points and the target's

        [2, batch, point, 3], model units: the whole way to the other keyframe as first matched, the whole way, and its
        bend b: at share s of the way a point is at x + s way + s (1 - s) b.
        """
        places = torch.cat([source.positions, target.positions]).float()
        said = [torch.cat([s.normals, s.colours, s.features], -1) for s in (source, target)]
        tokens = self.norm_input(self.input(torch.cat([places, torch.cat(said)], -1)))
        here = Turn(places)
        for block in self.within_blocks:
            tokens = block(tokens, here)
        others = Turn(_swapped(places))
        for block in self.across_blocks:
            tokens = block(tokens, here, here, others)
        matched, seen = self._matched(tokens, places)
        way = matched - places
        way = way + self.first(torch.cat([tokens, seen, way], -1)).float()
        first = way
        # as in RAFT, what was found does not learn through what is made of it
        way = way.detach()
        there = Turn(places + way)
        tokens = tokens + self.told(torch.cat([seen, way, (matched - places).detach()], -1))
        for block in self.moved_blocks:
            tokens = block(tokens, here, there, others)
        found = self.output(self.norm(tokens)).float()
        way, bend = way + found[..., :3], found[..., 3:]
        shape = (2, -1, *places.shape[1:])
        return first.view(shape), way.view(shape), bend.view(shape)

    def _matched(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Mean place and mean token of the other set's points, each weighed by how well it fits."""
        x = self.match(self.norm_match(tokens)).float()
        query, key = x, _swapped(x)
        fit = query @ key.transpose(1, 2) / x.shape[-1] ** 0.5
        others = _swapped(places)
        away = torch.cdist(places, others, compute_mode="donot_use_mm_for_euclid_dist")
        odds = (fit.float() - self.nearness.abs() * away.square()).softmax(-1)
        with torch.autocast(places.device.type, enabled=False):  # where things are takes more than bfloat16
            matched = odds @ others
        return matched, odds.to(tokens.dtype) @ _swapped(tokens)
