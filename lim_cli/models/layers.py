"""Attention, MLP and the transformer blocks of sec. 3.1-3.2."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.core.errors import ConfigError

MOST_BLOCKS = 256


def check_blocks(blocks: int, width: int, heads: int) -> None:
    """Raises ConfigError if no transformer can have these sizes."""
    if not 1 <= blocks <= MOST_BLOCKS:
        raise ConfigError(f"blocks must be from 1 to {MOST_BLOCKS}, got {blocks}.")
    if heads < 1 or width < 1 or width % heads:
        raise ConfigError(f"width {width} must be a multiple of heads {heads}, and both positive.")


class Attention(nn.Module):
    """Multi-head attention of tokens [batch, token, width] to a context [batch, other, context_width]."""

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(context_width or width, 2 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        query = self.query(tokens).view(batch, count, self.heads, -1).transpose(1, 2)
        key, value = self.key_value(context).view(batch, -1, 2, self.heads, width // self.heads).unbind(2)
        mixed = F.scaled_dot_product_attention(query, key.transpose(1, 2), value.transpose(1, 2))
        return self.output(mixed.transpose(1, 2).reshape(batch, count, width))


class FeedForward(nn.Sequential):
    """Two linear layers with GELU between."""

    def __init__(self, width: int, ratio: int = 4) -> None:
        super().__init__(nn.Linear(width, ratio * width), nn.GELU(approximate="tanh"), nn.Linear(ratio * width, width))


class EncoderBlock(nn.Module):
    """Self-attention and MLP, each behind a LayerNorm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_self, self.self_attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm_mlp, self.mlp = nn.LayerNorm(width), FeedForward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norm_self(tokens)
        tokens = tokens + self.self_attention(x, x)
        return tokens + self.mlp(self.norm_mlp(tokens))


class TriplaneBlock(nn.Module):
    """A block of LRM (sec. 3.1): cross-attention to the image tokens, self-attention, MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_image, self.image_attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm_self, self.self_attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm_mlp, self.mlp = nn.LayerNorm(width), FeedForward(width)

    def forward(self, tokens: Tensor, image_tokens: Tensor) -> Tensor:
        tokens = tokens + self.image_attention(self.norm_image(tokens), image_tokens)
        x = self.norm_self(tokens)
        tokens = tokens + self.self_attention(x, x)
        return tokens + self.mlp(self.norm_mlp(tokens))


class InterpolatorBlock(nn.Module):
    """A block of LIM (sec. 3.2): cross-attention to F_k with phi(alpha), to the image tokens, then as LRM's."""

    def __init__(self, width: int, heads: int, time_width: int) -> None:
        super().__init__()
        self.norm_feature = nn.LayerNorm(width)
        self.norm_context = nn.LayerNorm(width)
        self.feature_attention = Attention(width, heads, width + time_width)
        self.norm_image, self.image_attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm_self, self.self_attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm_mlp, self.mlp = nn.LayerNorm(width), FeedForward(width)

    def forward(self, tokens: Tensor, features: Tensor, time_code: Tensor, image_tokens: Tensor) -> Tensor:
        context = self.norm_context(features)
        context = torch.cat([context, time_code[:, None].expand(-1, context.shape[1], -1).to(context.dtype)], -1)
        tokens = tokens + self.feature_attention(self.norm_feature(tokens), context)
        tokens = tokens + self.image_attention(self.norm_image(tokens), image_tokens)
        x = self.norm_self(tokens)
        tokens = tokens + self.self_attention(x, x)
        return tokens + self.mlp(self.norm_mlp(tokens))

    @torch.no_grad()
    def start_from(self, block: TriplaneBlock) -> None:
        """Supplement B: both self-like attentions from LRM's self-attention, image attention from its own."""
        self.norm_feature.load_state_dict(block.norm_self.state_dict())
        self.norm_context.load_state_dict(block.norm_self.state_dict())
        self.feature_attention.query.weight.copy_(block.self_attention.query.weight)
        self.feature_attention.output.weight.copy_(block.self_attention.output.weight)
        self.feature_attention.key_value.weight.zero_()
        self.feature_attention.key_value.weight[:, : block.self_attention.key_value.in_features].copy_(
            block.self_attention.key_value.weight
        )
        for name in ("norm_image", "image_attention", "norm_self", "self_attention", "norm_mlp", "mlp"):
            getattr(self, name).load_state_dict(getattr(block, name).state_dict())


def time_encoding(alpha: Tensor, width: int) -> Tensor:
    """phi(alpha) [batch, width] of alpha [batch] in [0, 1] (supplement A).

    With D = width / 2 and f_i = exp(-ln(10000) i / D), cos and sin interleaved; alpha is scaled by 1000 first,
    so that the fast frequencies turn several times over the interval.
    """
    half = width // 2
    frequencies = torch.exp(-torch.log(torch.tensor(10000.0)) * torch.arange(half, device=alpha.device) / half)
    angles = 1000.0 * alpha.float()[:, None] * frequencies
    return torch.stack([angles.cos(), angles.sin()], -1).flatten(1)
