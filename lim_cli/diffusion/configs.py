"""Sizes of the multi-view video denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lim_cli.core.errors import ConfigError


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of `MultiviewVideoDenoiser`.

    image_size: side of the square images, pixels.
    patch: side of one token, pixels.
    width, depth, head_width, mlp_width: channels of the trunk, blocks, channels per head, hidden gated units.
    detail: channels per pixel, beside RGBA, handed from the trunk to the stitching convolutions.
    views: cameras around the object; view 0 is the given one.
    frames: window length the model is trained at.
    """

    image_size: int = 128
    patch: int = 8
    width: int = 320
    depth: int = 8
    head_width: int = 64
    mlp_width: int = 640
    detail: int = 8
    views: int = 4
    frames: int = 9  # 16 keyframes are two windows that share two

    def __post_init__(self) -> None:
        if min(self.image_size, self.patch, self.width, self.depth, self.mlp_width, self.detail, self.frames) < 1:
            raise ConfigError(f"Every size of the denoiser must be at least 1, got {self}.")
        if self.depth > 256:
            raise ConfigError(f"depth must be at most 256, got {self.depth}.")
        if self.views < 2:
            raise ConfigError(f"views must be at least 2 (the given one and one to make), got {self.views}.")
        if self.image_size % self.patch:
            raise ConfigError(f"image_size {self.image_size} must be a multiple of patch {self.patch}.")
        if self.width % self.head_width or self.head_width % 4:
            raise ConfigError(f"width {self.width} must be a multiple of head_width {self.head_width}, and that of 4.")

    @property
    def grid(self) -> int:
        """Tokens along one image side."""
        return self.image_size // self.patch

    @property
    def tokens(self) -> int:
        """Tokens of one image."""
        return self.grid**2


PAPER = DenoiserConfig(image_size=256, width=1024, depth=24, mlp_width=2816, detail=12, frames=16)
SMALL = DenoiserConfig()
TINY = DenoiserConfig(image_size=32, width=64, depth=4, head_width=32, mlp_width=128, detail=4, frames=4)

PRESETS: Mapping[str, DenoiserConfig] = MappingProxyType({"paper": PAPER, "small": SMALL, "tiny": TINY})
