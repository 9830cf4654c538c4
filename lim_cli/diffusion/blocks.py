"""Transformer blocks of the multi-view video denoiser."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KeysValues = tuple[Tensor, Tensor]

_INITIAL_GATE = 0.2


class DenoiserBlock(nn.Module):
    """What both kinds of block share: attention across the views of a frame, then a gated MLP.

    Each part is behind a layer norm, shifted, scaled and gated by the image's noise level: one modulation
    serves all blocks and every block adds its own table (adaLN-single, PixArt-alpha).

    `forward(x, modulation, rotary_grid, rotary_time, reference)` takes x [batch, time, view, token, channel]
    and modulation [batch, time, view, 9 channel]. It returns the new x and the block's keys and values
    [batch, time, view, token, head, channel]; those of view 0 are the `reference` of the views to make.
    The two kinds define it apart, since torch.compile counts its graphs per function.
    """

    def __init__(self, width: int, head_width: int, mlp_width: int, grid: int, *, parts: int) -> None:
        super().__init__()
        self.grid = grid
        self.views = Attention(width, head_width)
        self.mlp_in = nn.Linear(width, 2 * mlp_width, bias=False)
        self.mlp_out = nn.Linear(mlp_width, width, bias=False)
        table = torch.zeros(3 * parts, width)
        table[2::3] = _INITIAL_GATE
        self.table = nn.Parameter(table)

    def reference_keys_values(self, x: Tensor, modulation: Tensor, rotary_grid: tuple[Tensor, Tensor]) -> KeysValues:
        """Only the keys and values of `forward`: all that the last block owes to view 0."""
        shift, scale, *_ = self._parts(modulation)
        return self.views.project(modulate(x, shift, scale), rotary_grid)[1:]

    def _parts(self, modulation: Tensor) -> tuple[Tensor, ...]:
        # Shift, scale and gate of attention across views, of the MLP, of attention over time (row blocks).
        shared = modulation.unflatten(-1, (9, -1))[..., : len(self.table), :]
        return (shared + self.table)[..., None, :].unbind(-3)  # each [batch, time, view, 1, channel]

    def _mlp(self, x: Tensor, shift: Tensor, scale: Tensor, gate: Tensor) -> Tensor:
        opening, hidden = self.mlp_in(modulate(x, shift, scale)).chunk(2, -1)
        return torch.addcmul(x, gate, self.mlp_out(F.silu(opening) * hidden))


class FrameBlock(DenoiserBlock):
    """Attention among all tokens of all views of one frame, MLP."""

    def __init__(self, width: int, head_width: int, mlp_width: int, grid: int) -> None:
        super().__init__(width, head_width, mlp_width, grid, parts=2)

    def forward(
        self,
        x: Tensor,
        modulation: Tensor,
        rotary_grid: tuple[Tensor, Tensor],
        rotary_time: tuple[Tensor, Tensor],
        reference: KeysValues | None = None,
    ) -> tuple[Tensor, KeysValues]:
        parts = self._parts(modulation)
        query, key, value = self.views.project(modulate(x, parts[0], parts[1]), rotary_grid)
        keys, values = _beside(reference, key, value)
        frames = (
            t.flatten(0, 1).flatten(1, 2) for t in (query, keys, values)
        )  # [batch time, view token, head, channel]
        mixed = _attend(*frames).view_as(x)
        x = torch.addcmul(x, parts[2], self.views.out(mixed))
        return self._mlp(x, *parts[3:6]), (key, value)


class RowBlock(DenoiserBlock):
    """Attention along one token row of all views of a frame, then over time at one token, MLP."""

    def __init__(self, width: int, head_width: int, mlp_width: int, grid: int) -> None:
        super().__init__(width, head_width, mlp_width, grid, parts=3)
        self.time = Attention(width, head_width)

    def forward(
        self,
        x: Tensor,
        modulation: Tensor,
        rotary_grid: tuple[Tensor, Tensor],
        rotary_time: tuple[Tensor, Tensor],
        reference: KeysValues | None = None,
    ) -> tuple[Tensor, KeysValues]:
        parts = self._parts(modulation)
        query, key, value = self.views.project(modulate(x, parts[0], parts[1]), rotary_grid)
        keys, values = _beside(reference, key, value)
        rows = (t.unflatten(3, (self.grid, self.grid)).transpose(2, 3) for t in (query, keys, values))
        mixed = _attend(*(t.flatten(0, 2).flatten(1, 2) for t in rows))  # [batch time row, view column, channel]
        batch, time, views, tokens, width = x.shape
        mixed = mixed.view(batch, time, self.grid, views, self.grid, width).transpose(2, 3)
        x = torch.addcmul(x, parts[2], self.views.out(mixed.reshape(x.shape)))

        moved = modulate(x, parts[6], parts[7]).permute(0, 2, 3, 1, 4)  # [batch, view, token, time, channel]
        query, keys, values = self.time.project(moved, rotary_time)
        mixed = _attend(query.flatten(0, 2), keys.flatten(0, 2), values.flatten(0, 2))
        mixed = self.time.out(mixed).view(batch, views, tokens, time, width).permute(0, 3, 1, 2, 4)
        x = torch.addcmul(x, parts[8], mixed)
        return self._mlp(x, *parts[3:6]), (key, value)


class Attention(nn.Module):
    """Projections of multi-head attention with layer-normalised, rotated queries and keys."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.query_scale = nn.Parameter(torch.ones(head_width))
        self.key_scale = nn.Parameter(torch.ones(head_width))

    def project(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """x [..., position, width] -> query, key, value [..., position, head, channel]."""
        query, key, value = self.qkv(x).unflatten(-1, (3, -1, self.head_width)).unbind(-3)
        query = _rotate(F.layer_norm(query, (self.head_width,), self.query_scale), rotary)
        key = _rotate(F.layer_norm(key, (self.head_width,), self.key_scale), rotary)
        return query.to(value.dtype), key.to(value.dtype), value


class StitchPatches(nn.Module):
    """Two 3x3 convolutions that see across patch borders and correct the RGBA the trunk wrote per patch."""

    def __init__(self, detail: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(4 + detail, 4 + detail, 3, padding=1)
        self.correct = nn.Conv2d(4 + detail, 4, 3, padding=1)
        nn.init.normal_(self.correct.weight, std=0.01)

    def forward(self, features: Tensor) -> Tensor:
        """[..., 4 + detail, height, width] -> [..., 4, height, width], a correction of the first four."""
        flat = features.flatten(0, -4)
        out = flat[:, :4] + self.correct(F.silu(self.spread(flat)))
        return out.unflatten(0, features.shape[:-3])


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm, then scale and shift (adaLN)."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), 1 + scale)


def rotary_angles(position: Tensor, count: int, base: float) -> Tensor:
    """Angles [position, count]; the fastest turns one radian a step."""
    return position[:, None] * base ** (-torch.arange(count, device=position.device) / count)


def rotary_tables(angles: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine [..., channel] of angles [..., channel / 2], as `_rotate` takes them."""
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([cosine, cosine], -1), torch.cat([-sine, sine], -1)


def _beside(reference: KeysValues | None, key: Tensor, value: Tensor) -> KeysValues:
    """Keys and values of view 0, where they are given, before those of the other views."""
    if reference is None:
        return key, value
    return torch.cat([reference[0], key], 2), torch.cat([reference[1], value], 2)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """[group, position, head, channel] each -> [group, position, head * channel]."""
    mixed = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
    return mixed.transpose(1, 2).flatten(2)


def _rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    cosine, signed_sine = rotary
    return torch.addcmul(x * cosine, x.roll(x.shape[-1] // 2, -1), signed_sine)
