"""Sizes of the multi-view video denoiser and of the frustum volume."""

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


@dataclass(frozen=True)
class VolumeConfig:
    """Shape of `FrustumVolume`.

    image_size: side of the square picture, pixels. widths: channels at a half, a quarter, an eighth and a sixteenth
    of it, multiples of 16. planes: of depth, through the unit ball.
    """

    image_size: int = 128
    widths: tuple[int, int, int, int] = (64, 128, 256, 384)
    planes: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list, where it was read from a file
        if self.image_size < 16 or self.image_size % 16 or self.planes < 2:
            raise ConfigError(f"A volume's image_size must be a multiple of 16, and planes at least 2, got {self}.")
        if len(self.widths) != 4 or any(width < 16 or width % 16 for width in self.widths):
            raise ConfigError(f"A volume's widths must be four multiples of 16, got {self.widths}.")


PAPER = DenoiserConfig(image_size=256, width=1024, depth=24, mlp_width=2816, detail=12, frames=16)
SMALL = DenoiserConfig()
TINY = DenoiserConfig(image_size=32, width=64, depth=4, head_width=32, mlp_width=128, detail=4, frames=4)

PRESETS: Mapping[str, DenoiserConfig] = MappingProxyType({"paper": PAPER, "small": SMALL, "tiny": TINY})

_VOLUME_TINY = VolumeConfig(image_size=32, widths=(16, 16, 32, 32), planes=8)
_VOLUME_PAPER = VolumeConfig(image_size=256, widths=(128, 256, 512, 768), planes=64)
VOLUME_PRESETS: Mapping[str, VolumeConfig] = MappingProxyType(
    {"paper": _VOLUME_PAPER, "small": VolumeConfig(), "tiny": _VOLUME_TINY}
)
"""The paper has no such model; `paper` goes with its denoiser."""
