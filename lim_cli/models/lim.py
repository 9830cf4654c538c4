"""LIM (sec. 3.2, eq. 1) and CanonicalLIM (sec. 3.4, eq. 5): what lies between two keyframes, at any alpha."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.core.errors import ConfigError
from lim_cli.models.layers import InterpolatorBlock, check_blocks, time_encoding
from lim_cli.models.lrm import LRM, LRMOutput
from lim_cli.models.plane_correction import local_correlation
from lim_cli.models.plane_flows import for_planes, mean_displacement, warp
from lim_cli.models.triplane import FieldConfig, FieldDecoder


@dataclass(frozen=True)
class LIMConfig:
    """head: `residual` adds to the source's triplane (the paper's form); `warp` also moves both ends' planes.

    `flow`, of CanonicalLIM alone, makes no triplane: it says where points were at the source (`LIM.origins`).
    guided: both ends' plane features and their local correlation go in beside the paper's inputs.
    """

    kind: Literal["rgb", "canonical"] = "rgb"
    width: int = 256
    heads: int = 4
    blocks: int = 6
    time_width: int = 64
    plane_tokens: int = 16
    upsample: int = 4
    token_channels: int = 48
    head: Literal["warp", "residual", "flow"] = "warp"
    guided: bool = True
    correlation_radius: int = 4
    correlation_channels: int = 16
    reach: float = 0.5
    field: FieldConfig = field(default_factory=FieldConfig)

    def __post_init__(self) -> None:
        sizes = (self.plane_tokens, self.upsample, self.token_channels, self.correlation_channels, self.time_width)
        if min(sizes) < 1 or not 0 <= self.correlation_radius <= 64 or self.time_width % 2:
            raise ConfigError(f"Every size of LIM must be positive, and time_width even; got {self}.")
        if not 0 < self.reach <= 2:
            raise ConfigError(f"reach must be in (0, 2], got {self.reach}.")
        if self.head == "flow" and self.kind != "canonical":
            raise ConfigError("Only CanonicalLIM can have the flow head; LIM must make triplanes.")
        check_blocks(self.blocks, self.width, self.heads)

    @property
    def canonical_planes(self) -> bool:
        """Whether it interpolates CanonicalLRM's planes; all others work on LRM's."""
        return self.kind == "canonical" and self.head != "flow"


@dataclass(frozen=True)
class InterpolationState:
    """Where a pass starts from: a triplane and the block features F behind it.

    LRM's output at a keyframe is one, LIM's own output another (the recurrence of eq. 3).
    """

    triplane: Tensor
    features: tuple[Tensor, ...]


@dataclass(frozen=True)
class Neighbour:
    """A keyframe beyond one end of an interval: LRM's triplane [batch, 3, channel, h, w], and how far from that end it

    lies in time, in lengths of the interval (positive).
    """

    triplane: Tensor
    distance: float = 1.0


@dataclass(frozen=True)
class InterpolationGuide:
    """What stays fixed over an interval.

    image_tokens: of the target's views (LIM, and CanonicalLIM's flow head), of both ends' (CanonicalLIM otherwise).
    source, target: LRM's (RGB) outputs at both keyframes; a recurrent pass may pass its own state as source.
    before, after: keyframes beyond the source and the target, where there are any (past the paper): how things came
    and how they go on tells on what way they go between; read by the head that matches surfaces.
    memory: what models found that holds at every alpha, by model; passes with one guide share it, and guides of one
    clip may.
    """

    image_tokens: Tensor
    source: InterpolationState
    target: InterpolationState
    before: Neighbour | None = None
    after: Neighbour | None = None
    memory: dict[nn.Module, Any] = field(default_factory=dict, compare=False, repr=False)


def state_of(output: LRMOutput) -> InterpolationState:
    return InterpolationState(output.triplane, output.features)


class LIM(nn.Module):
    """state at k_src, guide and alpha [batch] -> state at k_src + alpha (k_tgt - k_src).

    The `warp` head starts as the linear blend (RGB) or as the source itself (canonical) and keeps alpha = 0 (and, for
    RGB, alpha = 1) exact.
    """

    def __init__(self, config: LIMConfig) -> None:
        super().__init__()
        self.config = config
        width, channels = config.width, config.field.channels
        tokens = 3 * config.plane_tokens**2
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, width))
        inputs = width + config.time_width
        if config.guided:
            inputs += 2 * width
            self.compare = nn.Conv2d(channels, config.correlation_channels, 1)
            window = (2 * config.correlation_radius + 1) ** 2
            side = 2 * config.plane_tokens
            self.correlate_size = side
            self.correlation_tokens = nn.Conv2d(window, width, 2, 2)
        self.input = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            InterpolatorBlock(width, config.heads, config.time_width) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, config.token_channels * config.upsample**2)
        canonical = config.kind == "canonical" and config.head != "flow"
        triplanes = 1 + config.guided + (config.guided and canonical)  # the state's, the target's, the RGB source's
        self.head = nn.Sequential(
            nn.Conv2d(config.token_channels + triplanes * channels, 96, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(96, 64, 3, 1, 1),
            nn.SiLU(),
        )
        flows = 0 if config.head == "residual" else 6 if config.kind == "rgb" else 2
        self.motion = nn.Conv2d(64, flows + channels, 3, 1, 1)
        with torch.no_grad():
            for parameter in self.motion.parameters():
                parameter.zero_()
            if config.head == "flow":
                self.field = FieldDecoder(config.field)
                self.field.output.weight.zero_()
                self.motion.weight[flows:].normal_(std=0.01)

    def start_from(self, lrm: LRM) -> None:
        """Initialisation of supplement B, block for block from the last blocks of an LRM."""
        sources = list(lrm.blocks)[-len(self.blocks) :]
        for block, source in zip(self.blocks, sources, strict=True):
            block.start_from(source)  # type: ignore[operator]
        with torch.no_grad():
            self.input.weight.zero_()
            self.input.bias.zero_()
            self.input.weight[:, : self.config.width].copy_(torch.eye(self.config.width))
            if self.config.guided:
                self.correlation_tokens.weight.mul_(0.1)

    def start_from_lim(self, lim: LIM) -> None:
        """Takes over what fits of another LIM: for the flow head, how a LIM moves its source's planes."""
        own = self.state_dict()
        tensors = {name: t for name, t in lim.state_dict().items() if name in own and own[name].shape == t.shape}
        flow_from_lim = self.config.head == "flow" and lim.config.kind == "rgb" and lim.config.head == "warp"
        if lim.config.kind != self.config.kind and not flow_from_lim:
            tensors = {name: t for name, t in tensors.items() if not name.startswith(("motion", "head"))}
        self.load_state_dict(tensors, strict=False)
        if flow_from_lim:
            with torch.no_grad():
                self.motion.weight[:2].copy_(lim.motion.weight[:2])
                if self.motion.bias is not None and lim.motion.bias is not None:
                    self.motion.bias[:2].copy_(lim.motion.bias[:2])

    def forward(self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor) -> InterpolationState:
        if self.config.head == "flow":
            raise ConfigError("A CanonicalLIM with the flow head makes no triplane; ask it for origins.")
        motion, kept = self._motion(state, guide, alpha)
        return InterpolationState(self._triplane(motion, state, guide, for_planes(alpha)), kept)

    def origins(self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor, points: Tensor) -> Tensor:
        """Where points [batch, point, 3] of the object at alpha were at the source, model units.

        The warp head's is how it moves the source's planes (of all that LIM learns this alone says what moved where),
        the flow head's is that and what its own field adds. Two planes speak of each coordinate; their mean counts.

        Raises:
            ConfigError: the `residual` head moves nothing.
        """
        self._require_flow()
        motion, _ = self._motion(state, guide, alpha)
        origins = points + mean_displacement(self._source_flow(motion, for_planes(alpha)), points)
        if self.config.head == "flow":
            _, moved = self.field(motion[:, -self.config.field.channels :].unflatten(0, (-1, 3)), points)
            origins = origins + alpha.view(-1, 1, 1) * (moved - points)
        return origins

    def with_flows(
        self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor
    ) -> tuple[InterpolationState, tuple[Tensor, Tensor]]:
        """What `forward` gives, and the flows to the source's and to the target's planes [batch, 3, 2, h, w] that it is

        made with.

        Raises:
            ConfigError: no LIM with the warp head.
        """
        self._require_flow()
        if self.config.kind != "rgb":
            raise ConfigError("Only LIM moves the target's planes, too; ask CanonicalLIM for origins.")
        motion, kept = self._motion(state, guide, alpha)
        a = for_planes(alpha)
        flows = (self._source_flow(motion, a), self._target_flow(motion, a))
        there, onward = (flow.unflatten(0, (-1, 3)) for flow in flows)
        return InterpolationState(self._triplane(motion, state, guide, a), kept), (there, onward)

    def _require_flow(self) -> None:
        if self.config.head == "residual":
            raise ConfigError("Only a LIM with the warp or the flow head knows where the source's content goes.")

    def _tokens(
        self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The last block's tokens, and every block's."""
        config = self.config
        code = time_encoding(alpha, config.time_width)  # [batch, time_width]
        features = state.features[-len(self.blocks) :]
        inputs = [features[-1], code[:, None].expand(-1, features[-1].shape[1], -1)]
        if config.guided:
            inputs += [guide.source.features[-1], guide.target.features[-1]]
        tokens = self.input(torch.cat([i.to(features[-1].dtype) for i in inputs], -1)) + self.position
        if config.guided:
            tokens = tokens + self._correlation(guide.source.triplane, guide.target.triplane)
        kept = []
        for block, feature in zip(self.blocks, features, strict=True):
            tokens = block(tokens, feature, code, guide.image_tokens)
            kept.append(tokens)
        return tokens, tuple(kept)

    def _correlation(self, source: Tensor, target: Tensor) -> Tensor:
        """Local correlation of two triplanes as tokens [batch, token, width]."""
        radius, size = self.config.correlation_radius, self.correlate_size
        pooled = [F.adaptive_avg_pool2d(t.flatten(0, 1), size) for t in (source, target)]
        first, second = (F.normalize(self.compare(p).float(), dim=1) for p in pooled)
        tokens = self.correlation_tokens(local_correlation(first, second, radius))  # [batch * 3, width, side, side]
        return tokens.unflatten(0, (-1, 3)).permute(0, 1, 3, 4, 2).flatten(1, 3)

    def _motion(
        self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the head says of every cell of the planes (flows, shares and a residual [batch * 3, channel, h, w]), and

        the block features F.
        """
        tokens, kept = self._tokens(state, guide, alpha)
        config = self.config
        side, up = config.plane_tokens, config.upsample
        cells = self.expand(self.norm(tokens)).view(-1, side, side, config.token_channels * up * up)
        planes = [F.pixel_shuffle(cells.permute(0, 3, 1, 2), up), state.triplane.flatten(0, 1)]
        if config.guided:
            both = config.kind == "canonical" and config.head != "flow"
            planes += [guide.source.triplane.flatten(0, 1)] if both else []
            planes.append(guide.target.triplane.flatten(0, 1))
        motion: Tensor = self.motion(self.head(torch.cat([p.to(planes[0].dtype) for p in planes], 1)))
        return motion.float(), kept

    def _source_flow(self, motion: Tensor, a: Tensor) -> Tensor:
        return self.config.reach * torch.tanh(motion[:, :2]) * a

    def _target_flow(self, motion: Tensor, a: Tensor) -> Tensor:
        return self.config.reach * torch.tanh(motion[:, 2:4]) * (1 - a)

    def _triplane(self, motion: Tensor, state: InterpolationState, guide: InterpolationGuide, a: Tensor) -> Tensor:
        config = self.config
        source, target = state.triplane.flatten(0, 1), guide.target.triplane.flatten(0, 1)
        residual = motion[:, -config.field.channels :]
        if config.head == "residual":
            result = source + residual * a
        elif config.kind == "canonical":
            result = warp(source, self._source_flow(motion, a)) + residual * a
        else:
            # as RIFE and FILM do for images: both ends move towards each other, then blend
            from_source = warp(source, self._source_flow(motion, a))
            from_target = warp(target, self._target_flow(motion, a))
            # log(0) = -inf gives the other end a share of exactly 0
            logits = torch.cat([1 - a, a], 1).clamp_min(0).log() + motion[:, 4:6]
            share = logits.softmax(1)
            result = share[:, :1] * from_source + share[:, 1:] * from_target + residual * (4 * a * (1 - a))
        return result.unflatten(0, (-1, 3))
