"""The denoiser's own pixel space: colour multiplied by opacity around mid-grey, all channels in [-1, 1].

Background is exactly (0, 0, 0, -1) whatever colour hides under zero opacity, so nothing is spent on it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def encode_pixels(images: Tensor) -> Tensor:
    """Straight-alpha RGBA [..., 4, height, width] in [0, 1] -> signed premultiplied pixels."""
    colour, opacity = images[..., :3, :, :], images[..., 3:, :, :]
    return torch.cat([(2 * colour - 1) * opacity, 2 * opacity - 1], -3)


def decode_pixels(pixels: Tensor) -> Tensor:
    """Signed premultiplied pixels [..., 4, height, width] -> straight-alpha RGBA in [0, 1].

    Below 1/255 opacity the colour is unknowable and comes out mid-grey.
    """
    opacity = ((pixels[..., 3:, :, :] + 1) / 2).clamp(0, 1)
    seen = opacity >= 1 / 255
    colour = torch.where(seen, pixels[..., :3, :, :] / opacity.clamp_min(1 / 255), 0)
    return torch.cat([((colour + 1) / 2).clamp(0, 1), opacity], -3)


def near_object(signed_opacity: Tensor) -> Tensor:
    """1 where opacity is within four pixels, [..., height, width] -> same."""
    opacity = (signed_opacity.flatten(0, -3)[:, None] + 1) / 2
    return F.max_pool2d(opacity, 9, stride=1, padding=4)[:, 0].view_as(signed_opacity)
