"""LIM and CanonicalLIM by matching alone: no transformer, the planes say themselves what moved where.

Not in the paper, whose interpolator is `models.lim.LIM`. Beside that one it sees no picture and no features, needs half
the time, and moves things better (`weights/TRAINING_LOG.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from lim_cli.core.errors import ConfigError
from lim_cli.models.lim import InterpolationGuide, InterpolationState
from lim_cli.models.plane_flows import for_planes, mean_displacement, warp
from lim_cli.models.plane_matching import Level, PlaneMatching
from lim_cli.models.triplane import FieldConfig


@dataclass(frozen=True)
class MatchingConfig:
    """Motions up to the reaches (model units, along an axis) are weighed, 2 radius + 1 of them a side: near ones at

    half, far ones at a quarter of the planes' size. corrections: how often both ends are moved by what was found and
    looked at again. field: LRM's.
    """

    kind: Literal["rgb", "canonical"] = "rgb"
    head: Literal["match"] = "match"
    near_radius: int = 4
    near_reach: float = 0.28
    far_radius: int = 5
    far_reach: float = 0.7
    corrections: int = 2
    field: FieldConfig = field(default_factory=FieldConfig)

    def __post_init__(self) -> None:
        if min(self.near_radius, self.far_radius) < 1 or max(self.near_radius, self.far_radius) > 32:
            raise ConfigError(f"near_radius and far_radius must be from 1 to 32, got {self}.")
        if not 0 < self.near_reach < self.far_reach <= 2:
            raise ConfigError(f"near_reach must be above 0 and far_reach above it and at most 2, got {self}.")
        if not 0 <= self.corrections <= 32:
            raise ConfigError(f"corrections must be from 0 to 32, got {self.corrections}.")

    @property
    def blocks(self) -> int:
        """How many of LRM's features it reads."""
        return 0

    @property
    def canonical_planes(self) -> bool:
        """Both kinds match LRM's planes."""
        return False


class MatchingLIM(nn.Module):
    """state at k_src, guide and alpha [batch] -> state at k_src + alpha (k_tgt - k_src): both ends' planes move along

    the motion that was found and blend. alpha = 0 and alpha = 1 are exact. Features are handed on as they came.
    """

    def __init__(self, config: MatchingConfig) -> None:
        super().__init__()
        self.config = config
        near = Level(2, config.near_radius, config.near_reach)
        self.matching = PlaneMatching(config.field.channels, near, Level(4, config.far_radius, config.far_reach))

    def forward(self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor) -> InterpolationState:
        """
        Raises:
            ConfigError: a CanonicalLIM; it makes no triplane.
        """
        triplane, _ = self.with_flows(state.triplane, guide.target.triplane, alpha)
        return InterpolationState(triplane, state.features)

    def with_flows(self, source: Tensor, target: Tensor, alpha: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Of both ends' triplanes [batch, 3, channel, h, w]: the triplane at alpha, and the flows to the source's and

        the target's planes [batch, 3, 2, h, w] that it is made with: as matched, then after every correction.

        Raises:
            ConfigError: a CanonicalLIM; it makes no triplane.
        """
        if self.config.kind != "rgb":
            raise ConfigError("A CanonicalLIM that matches planes makes no triplane; ask it for origins.")
        rounds = self._flows(source, target, alpha)
        source, target, a = source.flatten(0, 1), target.flatten(0, 1), for_planes(alpha)
        blend = (1 - a) * warp(source, rounds[-1][0]) + a * warp(target, rounds[-1][1])
        flows = [(there.unflatten(0, (-1, 3)), onward.unflatten(0, (-1, 3))) for there, onward in rounds]
        return blend.unflatten(0, (-1, 3)), flows

    def origins(self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor, points: Tensor) -> Tensor:
        """Where points [batch, point, 3] of the object at alpha were at the source, model units.

        Two planes speak of each coordinate; their mean counts.
        """
        return self.origins_between(state.triplane, guide.target.triplane, alpha, points)

    def origins_between(self, source: Tensor, target: Tensor, alpha: Tensor, points: Tensor) -> Tensor:
        """The same of both ends' triplanes [batch, 3, channel, h, w]."""
        to_source, _ = self._flows(source, target, alpha)[-1]
        return points + mean_displacement(to_source, points)

    def _flows(self, source: Tensor, target: Tensor, alpha: Tensor) -> list[tuple[Tensor, Tensor]]:
        """To source and target [batch * 3, 2, h, w], as matched and after every correction."""
        source, target, a = source.flatten(0, 1).float(), target.flatten(0, 1).float(), for_planes(alpha)
        velocity = self.matching.velocity(source, target, a)
        flows = [(-a * velocity, (1 - a) * velocity)]
        for _ in range(self.config.corrections):
            to_source, to_target = flows[-1]
            # as in RAFT, what was found does not learn through what is made of it
            back, onward = to_source.detach(), to_target.detach()
            found = self.matching.corrections(warp(source, back), warp(target, onward), onward - back, a)
            flows.append((to_source + found[:, :2] * a, to_target + found[:, 2:] * (1 - a)))
        return flows
