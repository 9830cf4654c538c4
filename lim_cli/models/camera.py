"""Where a clip was filmed from: odds over bins of elevation and of field of view, from its cropped frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.core.errors import ConfigError

BLUR = 4.0
"""Degrees by which the truth is smeared over neighbouring bins while training."""


@dataclass(frozen=True)
class BinsConfig:
    """Bin centres from `lowest` to `highest`, degrees."""

    lowest: float
    highest: float
    count: int

    def __post_init__(self) -> None:
        if not 2 <= self.count <= 1024 or not -180 <= self.lowest < self.highest <= 180:
            raise ConfigError(f"Bins must be 2 to 1024 between two angles of at most 180 degrees, got {self}.")


@dataclass(frozen=True)
class CameraEstimatorConfig:
    """image_size: pixels on a side. widths: channels of the three stages, of maps 4, 8 and 16 times coarser."""

    image_size: int = 64
    widths: tuple[int, int, int] = (32, 64, 128)
    hidden: int = 128
    elevation: BinsConfig = BinsConfig(-25.0, 60.0, 35)
    field_of_view: BinsConfig = BinsConfig(10.0, 80.0, 29)

    def __post_init__(self) -> None:
        if self.image_size < 16 or self.image_size % 16 or self.image_size > 1024:
            raise ConfigError(f"image_size must be a multiple of 16 up to 1024, got {self.image_size}.")
        if not all(8 <= width <= 4096 and width % 8 == 0 for width in (*self.widths, self.hidden)):
            raise ConfigError(f"widths and hidden must be multiples of 8 up to 4096, got {self}.")


@dataclass(frozen=True)
class CameraEstimate:
    """Mean and standard deviation, degrees."""

    elevation: float
    elevation_spread: float
    field_of_view: float
    field_of_view_spread: float


class Odds(nn.Module):
    """Log-odds [..., bin] and the angles they stand for."""

    def __init__(self, width: int, bins: BinsConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(width, bins.count)
        self.bins = bins

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features)
        return logits

    def centres(self, like: Tensor) -> Tensor:
        """[bin], degrees."""
        return torch.linspace(self.bins.lowest, self.bins.highest, self.bins.count, device=like.device)

    def moments(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [...] of logits [..., bin], degrees."""
        odds, centres = logits.float().softmax(-1), self.centres(logits)
        mean = (odds * centres).sum(-1)
        return mean, (odds * (centres - mean[..., None]).square()).sum(-1).sqrt()

    def loss(self, logits: Tensor, angle: Tensor) -> Tensor:
        """Cross-entropy with a bell of BLUR degrees about angles [...]: near misses are better than far ones."""
        away = (self.centres(logits) - angle[..., None]) / BLUR
        return F.cross_entropy(logits.float(), (-0.5 * away.square()).softmax(-1))


class Stage(nn.Sequential):
    """Two convolutions, the first with a stride: [n, channel, h, w] -> [n, width, h / stride, w / stride]."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        kernel, padding = (4, 0) if stride == 4 else (3, 1)
        super().__init__(
            nn.Conv2d(channels, width, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
        )


class CameraEstimator(nn.Module):
    """Pictures [batch, 4, height, width] (colours premultiplied by the matte, then the matte; 0 to 1) to the log-odds

    of elevation and field of view, [batch, bin] each.
    """

    def __init__(self, config: CameraEstimatorConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.widths
        side = config.image_size // 16
        self.blocks = nn.Sequential(
            Stage(4, first, 4),
            Stage(first, second, 2),
            Stage(second, third, 2),
            nn.Flatten(1),
            nn.Linear(third * side * side, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.SiLU(),
        )
        self.elevation = Odds(config.hidden, config.elevation)
        self.field_of_view = Odds(config.hidden, config.field_of_view)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        size = self.config.image_size
        if pictures.shape[-2:] != (size, size):
            pictures = F.interpolate(pictures, size=(size, size), mode="bilinear", antialias=True)
        features = self.blocks(pictures * 2 - 1)  # [batch, hidden]
        return self.elevation(features), self.field_of_view(features)

    @torch.no_grad()
    def estimate(self, frames: Tensor) -> CameraEstimate:
        """What the frames [time, 4, height, width] of one clip and their mirror images say together.

        Their log-odds are averaged, not summed: frames of one clip are too much alike to count as so many witnesses.
        """
        elevation, field_of_view = (
            odds.float().log_softmax(-1).mean(0) for odds in self(torch.cat([frames, frames.flip(-1)]))
        )
        return CameraEstimate(
            *(float(value) for value in self.elevation.moments(elevation)),
            *(float(value) for value in self.field_of_view.moments(field_of_view)),
        )
