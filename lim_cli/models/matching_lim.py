"""LIM and CanonicalLIM by matching: points of both keyframes' surfaces say what moved where, the planes follow.

Not in the paper, whose interpolator is `models.lim.LIM`. Beside that one it sees no picture and no features, and moves
things better (`weights/TRAINING_LOG.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from lim_cli.core.errors import ConfigError
from lim_cli.models.layers import check_blocks
from lim_cli.models.lim import InterpolationGuide, InterpolationState
from lim_cli.models.plane_correction import PlaneCorrection
from lim_cli.models.plane_flows import for_planes, warp
from lim_cli.models.point_reading import at_places, on_planes
from lim_cli.models.scene_flow import SceneFlow
from lim_cli.models.surface_points import SurfacePoints, surface_points
from lim_cli.models.triplane import FieldConfig, FieldDecoder


@dataclass(frozen=True)
class MatchingConfig:
    """points: of each keyframe's surface, found on a lattice of so many cells a side; width, heads, and blocks within

    each surface, across both, and across both once moved: the transformer's. corrections: how often the planes, moved
    by what was found, are looked at again (CanonicalLIM moves no planes). field: LRM's.
    """

    kind: Literal["rgb", "canonical"] = "rgb"
    head: Literal["match"] = "match"
    points: int = 768
    lattice: int = 48
    width: int = 192
    heads: int = 4
    within_blocks: int = 2
    across_blocks: int = 2
    moved_blocks: int = 2
    corrections: int = 2
    field: FieldConfig = field(default_factory=FieldConfig)

    def __post_init__(self) -> None:
        for blocks in (self.within_blocks, self.across_blocks, self.moved_blocks):
            check_blocks(blocks, self.width, self.heads)
        if self.width // self.heads < 30:
            raise ConfigError(f"Heads must be 30 wide or more, got {self.width} for {self.heads} of them.")
        if not 1 <= self.points <= 16384 or not 8 <= self.lattice <= 256:
            raise ConfigError(f"points must be from 1 to 16384 and lattice from 8 to 256, got {self}.")
        if not 0 <= self.corrections <= 32:
            raise ConfigError(f"corrections must be from 0 to 32, got {self.corrections}.")

    @property
    def blocks(self) -> int:
        """How many of LRM's features it reads."""
        return 0

    @property
    def canonical_planes(self) -> bool:
        """Both kinds match LRM's surfaces."""
        return False


@dataclass(frozen=True)
class Motion:
    """Points of both surfaces [2, batch, point, 3], model units, and what `SceneFlow` says of them."""

    positions: Tensor
    way: Tensor
    bend: Tensor

    def at(self, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Of alpha [batch]: where all points are by then [batch, 2 point, 3], and how far they came from the source and

        go to the target [batch, 2 point, 2, 3], as displacements from there.
        """
        share = torch.stack([alpha, 1 - alpha]).view(2, -1, 1, 1)
        now = self.positions + share * self.way + share * (1 - share) * self.bend
        home, other = self.positions - now, self.positions + self.way - now
        moves = torch.stack([torch.stack([home[0], other[1]]), torch.stack([other[0], home[1]])], -2)
        return torch.cat([*now], 1), torch.cat([*moves], 1)


class MatchingLIM(nn.Module):
    """state at k_src, guide and alpha [batch] -> state at k_src + alpha (k_tgt - k_src): both ends' planes move along

    the motion that was found and blend. alpha = 0 and alpha = 1 are exact. Features are handed on as they came.
    `field` is a copy of LRM's, by which surfaces are found; it learns nothing.
    """

    def __init__(self, config: MatchingConfig) -> None:
        super().__init__()
        self.config = config
        channels, blocks = config.field.channels, (config.within_blocks, config.across_blocks, config.moved_blocks)
        self.field = FieldDecoder(config.field).requires_grad_(False)
        self.scene_flow = SceneFlow(3 * channels, config.width, config.heads, blocks)
        if config.kind == "rgb":
            self.correction = PlaneCorrection(channels)

    def forward(self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor) -> InterpolationState:
        """
        Raises:
            ConfigError: a CanonicalLIM; it makes no triplane.
        """
        source, target = state.triplane, guide.target.triplane
        triplane, _ = self.with_flows(source, target, alpha, self._remembered(source, target, guide))
        return InterpolationState(triplane, state.features)

    def motion(self, source: Tensor, target: Tensor) -> Motion:
        """Of both ends' triplanes [batch, 3, channel, h, w]."""
        found = [self.surface(planes) for planes in (source, target)]
        _, way, bend = self.scene_flow(*found)
        return Motion(torch.stack([f.positions for f in found]), way, bend)

    def surface(
        self, triplane: Tensor, count: int | None = None, generator: torch.Generator | None = None
    ) -> SurfacePoints:
        """Its surface's points, as many as configured; at random with a generator."""
        count = count or self.config.points
        return surface_points(self.field, triplane, count, lattice=self.config.lattice, generator=generator)

    def with_flows(
        self, source: Tensor, target: Tensor, alpha: Tensor, motion: Motion | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Of both ends' triplanes [batch, 3, channel, h, w]: the triplane at alpha, and the flows to the source's and

        the target's planes [batch, 3, 2, h, w] that it is made with: as points say, then after every correction.
        motion: theirs, if known.

        Raises:
            ConfigError: a CanonicalLIM; it makes no triplane.
        """
        if self.config.kind != "rgb":
            raise ConfigError("A CanonicalLIM that matches surfaces makes no triplane; ask it for origins.")
        points, moves = (motion or self.motion(source, target)).at(alpha.float())
        there, onward = on_planes(points, moves, *source.shape[-2:])
        source, target, a = source.flatten(0, 1).float(), target.flatten(0, 1).float(), for_planes(alpha)
        rounds = [(there.flatten(0, 1), onward.flatten(0, 1))]
        for _ in range(self.config.corrections):
            to_source, to_target = rounds[-1]
            # as in RAFT, what was found does not learn through what is made of it
            back, on = to_source.detach(), to_target.detach()
            found = self.correction(warp(source, back), warp(target, on), on - back, a)
            rounds.append((to_source + found[:, :2] * a, to_target + found[:, 2:] * (1 - a)))
        blend = (1 - a) * warp(source, rounds[-1][0]) + a * warp(target, rounds[-1][1])
        flows = [(back.unflatten(0, (-1, 3)), on.unflatten(0, (-1, 3))) for back, on in rounds]
        return blend.unflatten(0, (-1, 3)), flows

    def origins(self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor, points: Tensor) -> Tensor:
        """Where points [batch, point, 3] of the object at alpha were at the source, model units."""
        known, moves = self._remembered(state.triplane, guide.target.triplane, guide).at(alpha.float())
        return points + at_places(points, known, moves[..., 0, :])

    def _remembered(self, source: Tensor, target: Tensor, guide: InterpolationGuide) -> Motion:
        """The motion between them, which is the same at every alpha: found once for all calls with one guide."""
        known = guide.memory.get(self)
        if known is None or known[0] is not source:
            known = guide.memory[self] = (source, self.motion(source, target))
        motion: Motion = known[1]
        return motion
