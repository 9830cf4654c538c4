"""LRM (sec. 3.1) and CanonicalLRM (sec. 3.4): posed views of one instant to a triplane and its block features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import ConfigError
from lim_cli.models.feedback import Feedback, FeedbackConfig
from lim_cli.models.image_encoder import EncoderConfig, ImageEncoder
from lim_cli.models.layers import TriplaneBlock, check_blocks
from lim_cli.models.lifting import Lifting, LiftingConfig, resize_planes
from lim_cli.models.triplane import FieldConfig, FieldDecoder


@dataclass(frozen=True)
class LRMConfig:
    """plane_tokens: side of a plane in tokens; upsample: triplane cells a token. kept_features: the paper's L.

    feedback: rounds that compare the triplane with the views; colours only. checkpoint_blocks: training recomputes the
    blocks in the backward pass, for less memory.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    lifting: LiftingConfig | None = field(default_factory=LiftingConfig)
    field: FieldConfig = field(default_factory=FieldConfig)
    blocks: int = 8
    heads: int = 4
    plane_tokens: int = 16
    upsample: int = 4
    token_channels: int = 48
    kept_features: int = 6
    feedback: FeedbackConfig | None = None
    checkpoint_blocks: bool = False

    def __post_init__(self) -> None:
        if min(self.plane_tokens, self.upsample, self.token_channels) < 1:
            raise ConfigError(f"Every size of LRM must be at least 1, got {self}.")
        check_blocks(self.blocks, self.encoder.width, self.heads)
        if self.feedback is not None and self.field.kind != "rgb":
            raise ConfigError("Feedback compares colours; a CanonicalLRM takes none.")
        if not 1 <= self.kept_features <= self.blocks:
            raise ConfigError(f"kept_features must be from 1 to blocks {self.blocks}, got {self.kept_features}.")
        grid = self.plane_tokens if self.lifting is None else self.lifting.grid
        if grid < 1 or grid % self.plane_tokens:
            raise ConfigError(f"The lifting grid {grid} must be a multiple of plane_tokens {self.plane_tokens}.")

    @property
    def width(self) -> int:
        return self.encoder.width

    @property
    def plane_size(self) -> int:
        return self.plane_tokens * self.upsample


@dataclass(frozen=True)
class LRMOutput:
    """triplane [batch, 3, channel, size, size]; features: F_k, kept_features tensors [batch, token, width];

    image_tokens [batch, view * token, width]: what LIM's image cross-attention reads.
    """

    triplane: Tensor
    features: tuple[Tensor, ...]
    image_tokens: Tensor

    def detach(self) -> LRMOutput:
        return LRMOutput(self.triplane.detach(), tuple(f.detach() for f in self.features), self.image_tokens.detach())

    def split(self, count: int) -> tuple[LRMOutput, ...]:
        """The batch in parts of `count`."""
        return tuple(self[slice(n, n + count)] for n in range(0, len(self.triplane), count))

    def __getitem__(self, index: slice | Tensor) -> LRMOutput:
        """Some of the batch."""
        return LRMOutput(self.triplane[index], tuple(f[index] for f in self.features), self.image_tokens[index])


class LRM(nn.Module):
    """Views [batch, view, 4, height, width] in [0, 1] (values premultiplied, then mask) and cameras -> LRMOutput.

    As CanonicalLRM the three values are canonical XYZ mapped to [0, 1] by `encode_canonical`.
    """

    def __init__(self, config: LRMConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = ImageEncoder(config.encoder)
        self.tokens = nn.Parameter(0.02 * torch.randn(1, 3 * config.plane_tokens**2, width))
        self.blocks = nn.ModuleList(TriplaneBlock(width, config.heads) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, config.token_channels * config.upsample**2)
        skip = 0
        if config.lifting is not None:
            channels = 4 + config.encoder.feature_channels
            self.lifting = Lifting(config.lifting, channels)
            side = config.lifting.grid // config.plane_tokens
            self.lift_tokens = nn.Conv2d(config.lifting.column_channels, width, side, side)
            skip = config.lifting.column_channels
        self.head = nn.Sequential(
            nn.Conv2d(config.token_channels + skip, 64, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(64, 64, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(64, config.field.channels, 3, 1, 1),
        )
        self.field = FieldDecoder(config.field)
        self.feedback = None if config.feedback is None else Feedback(config.feedback, config.field.channels)

    def forward(self, views: Tensor, cameras: Cameras, *, lift_kept: Tensor | None = None) -> LRMOutput:
        """lift_kept [batch] of 0 or 1 drops the lifted features of some samples while training."""
        output = self.first_pass(views, cameras, lift_kept=lift_kept)
        if self.feedback is None:
            return output
        return replace(output, triplane=self.feedback(self.field, output.triplane, views, cameras)[-1])

    def first_pass(self, views: Tensor, cameras: Cameras, *, lift_kept: Tensor | None = None) -> LRMOutput:
        """What `forward` gives before any feedback."""
        image_tokens, maps = self.encoder(views, cameras)
        tokens = self.tokens.expand(len(views), -1, -1)
        lifted = None
        if self.config.lifting is not None:
            lifted = self.lifting(maps, cameras)  # [batch, 3, channel, grid, grid]
            if lift_kept is not None:
                lifted = lifted * lift_kept.view(-1, 1, 1, 1, 1)
            added = self.lift_tokens(lifted.flatten(0, 1))  # [batch * 3, width, side, side]
            tokens = tokens + added.unflatten(0, (-1, 3)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        features = []
        saving = self.config.checkpoint_blocks and torch.is_grad_enabled()
        for block in self.blocks:
            if saving:
                tokens = checkpoint(block, tokens, image_tokens, use_reentrant=False)
            else:
                tokens = block(tokens, image_tokens)
            features.append(tokens)
        return LRMOutput(self.to_triplane(tokens, lifted), tuple(features[-self.config.kept_features :]), image_tokens)

    def keep_features(self, count: int) -> None:
        """Gives out the features of the last `count` blocks, as a LIM of `count` blocks needs them."""
        if not 1 <= count <= len(self.blocks):
            raise ValueError(f"expected a count from 1 to {len(self.blocks)}, the blocks of this LRM; got {count}")
        self.config = replace(self.config, kept_features=count)

    def to_triplane(self, tokens: Tensor, lifted: Tensor | None) -> Tensor:
        """Plane tokens [batch, token, width] and lifted columns -> triplane [batch, 3, channel, size, size]."""
        side, up = self.config.plane_tokens, self.config.upsample
        cells = self.expand(self.norm(tokens)).view(-1, side, side, self.config.token_channels * up * up)
        planes = F.pixel_shuffle(cells.permute(0, 3, 1, 2), up)
        if lifted is not None:
            planes = torch.cat([planes, resize_planes(lifted, side * up).flatten(0, 1).to(planes.dtype)], 1)
        return self.head(planes).float().unflatten(0, (-1, 3))


def encode_canonical(canonical_xyz: Tensor, mask: Tensor) -> Tensor:
    """Canonical XYZ [..., 3, h, w] in about [-1, 1] and mask [..., 1, h, w] -> views [..., 4, h, w] in [0, 1]."""
    return torch.cat([(canonical_xyz * 0.5 + 0.5) * mask, mask], -3)


def premultiplied(rgba: Tensor) -> Tensor:
    """Straight-alpha images [..., 4, h, w] in [0, 1] -> views as LRM reads them."""
    return torch.cat([rgba[..., :3, :, :] * rgba[..., 3:, :, :], rgba[..., 3:, :, :]], -3)
