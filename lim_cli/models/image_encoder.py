"""Views to image tokens (sec. 3.1): pixels beside their cameras' Pluecker rays through a plain ViT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import ConfigError
from lim_cli.core.rays import plucker_rays
from lim_cli.models.layers import EncoderBlock, check_blocks


@dataclass(frozen=True)
class EncoderConfig:
    """image_size: height and width in pixels. feature_size: side of the map that lifting samples."""

    image_size: int = 128
    patch: int = 8
    width: int = 256
    heads: int = 4
    blocks: int = 4
    feature_channels: int = 28
    feature_stride: int = 2

    def __post_init__(self) -> None:
        if min(self.image_size, self.patch, self.feature_channels, self.feature_stride) < 1:
            raise ConfigError(f"Every size of the encoder must be at least 1, got {self}.")
        if self.image_size % self.patch:
            raise ConfigError(f"image_size {self.image_size} must be a multiple of patch {self.patch}.")
        check_blocks(self.blocks, self.width, self.heads)


class ImageEncoder(nn.Module):
    """Views [batch, view, 4, height, width] (three values premultiplied by the mask, then the mask).

    Returns image tokens [batch, view * token, width] and feature maps for lifting
    [batch, view, 4 + feature_channels, height / feature_stride, width / feature_stride].
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        side = config.image_size // config.patch
        self.patchify = nn.Conv2d(10, config.width, config.patch, config.patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, side * side, config.width))
        self.blocks = nn.ModuleList(EncoderBlock(config.width, config.heads) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        stride, channels = config.feature_stride, config.feature_channels
        self.stem = nn.Sequential(
            nn.Conv2d(10, 32, 3, stride, 1),
            nn.SiLU(),
            nn.Conv2d(32, 32, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(32, channels, 1),
        )
        self.deep = nn.Linear(config.width, channels)

    def forward(self, views: Tensor, cameras: Cameras) -> tuple[Tensor, Tensor]:
        batch, view = views.shape[:2]
        with torch.autocast(views.device.type, enabled=False):
            rays = plucker_rays(cameras).to(views.dtype)
        pixels = torch.cat([views * 2 - 1, rays], 2).flatten(0, 1)  # [batch * view, 10, height, width]
        grid = self.patchify(pixels)
        tokens = grid.flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        shallow = self.stem(pixels)
        deep = self.deep(tokens).transpose(1, 2).unflatten(2, grid.shape[-2:])
        learned = shallow + F.interpolate(deep, size=shallow.shape[-2:], mode="bilinear", align_corners=False)
        raw = F.avg_pool2d(views.flatten(0, 1), self.config.feature_stride)
        maps = torch.cat([raw.to(learned.dtype), learned], 1)
        return tokens.view(batch, -1, tokens.shape[-1]), maps.unflatten(0, (batch, view))
