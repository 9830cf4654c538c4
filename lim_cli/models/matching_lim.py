"""LIM and CanonicalLIM by matching: points of both keyframes' surfaces say what moved where, the planes follow.

Not in the paper, whose interpolator is `models.lim.LIM`. Beside that one it sees no picture and no features, and moves
things better (`weights/TRAINING_LOG.md`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from lim_cli.core.errors import ConfigError
from lim_cli.models.layers import check_blocks
from lim_cli.models.lim import InterpolationGuide, InterpolationState
from lim_cli.models.plane_correction import PlaneCorrection
from lim_cli.models.plane_flows import blend, for_planes, warp
from lim_cli.models.plane_restoration import PlaneRestoration
from lim_cli.models.point_reading import at_places, on_planes
from lim_cli.models.scene_flow import SceneFlow
from lim_cli.models.surface_points import SurfacePoints, surface_points
from lim_cli.models.triplane import FieldConfig, FieldDecoder


@dataclass(frozen=True)
class MatchingConfig:
    """points: of each keyframe's surface, found on a lattice of so many cells a side; width, heads, and blocks within

    each surface, across both, and across both once moved: the transformer's. corrections: how often the planes, moved
    by what was found, are looked at again; restored: their blend is made good (CanonicalLIM moves no planes). field:
    LRM's.
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
    restored: bool = False
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
    """Points of both surfaces [2, batch, point, 3], model units, and how they move: at share s of the time to the other

    keyframe a point is at x + s way + s (1 - s) (bend + s twist).
    """

    positions: Tensor
    way: Tensor
    bend: Tensor
    twist: Tensor

    def at(self, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Of alpha [batch]: where all points are by then [batch, 2 point, 3], and how far they came from the source and

        go to the target [batch, 2 point, 2, 3], as displacements from there.
        """
        share = torch.stack([alpha, 1 - alpha]).view(2, -1, 1, 1)
        now = self.positions + share * self.way + share * (1 - share) * (self.bend + share * self.twist)
        home, other = self.positions - now, self.positions + self.way - now
        moves = torch.stack([torch.stack([home[0], other[1]]), torch.stack([other[0], home[1]])], -2)
        return torch.cat([*now], 1), torch.cat([*moves], 1)

    def between(self, before: Passing | None, after: Passing | None) -> Motion:
        """The same on the ways that neighbouring keyframes tell: the polynomial in time through a point's places at all

        of them. before, after: beyond the source, beyond the target; at least one.
        """
        curves = [self._curve(0, before, after), self._curve(1, after, before)]
        bend, twist = (torch.stack(parts) for parts in zip(*curves, strict=True))
        return replace(self, bend=bend, twist=twist)

    def _curve(self, end: int, own: Passing | None, far: Passing | None) -> tuple[Tensor, Tensor]:
        """bend and twist of one end's points, by Newton's divided differences over the times -a, 0, 1 and 1 + c."""
        places, way = self.positions[end], self.way[end]
        second = []
        if own is not None:
            second.append((way + own.ways / own.distance) / (1 + own.distance))
        if far is not None:
            on = at_places(places + way, far.places, far.ways)
            second.append((on / far.distance - way) / (1 + far.distance))
        if own is None or far is None:
            return -second[0], torch.zeros_like(way)
        third = (second[1] - second[0]) / (1 + own.distance + far.distance)
        # s (s - 1) (second + (s + a) third)
        return -second[0] - own.distance * third, -third


@dataclass(frozen=True)
class Passing:
    """Points of a keyframe's surface [batch, point, 3] and their ways to a neighbouring keyframe, `distance` away."""

    places: Tensor
    ways: Tensor
    distance: float


class MatchingLIM(nn.Module):
    """state at k_src, guide and alpha [batch] -> state at k_src + alpha (k_tgt - k_src): both ends' planes move along

    the motion that was found and are made one. alpha = 0 and alpha = 1 are exact. Features are handed on as they came.
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
        self.restoration = PlaneRestoration(channels) if config.kind == "rgb" and config.restored else None

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
        return Motion(torch.stack([f.positions for f in found]), way, bend, torch.zeros_like(bend))

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
        joined = self.joined(warp(source, rounds[-1][0]), warp(target, rounds[-1][1]), a)
        flows = [(back.unflatten(0, (-1, 3)), on.unflatten(0, (-1, 3))) for back, on in rounds]
        return joined.unflatten(0, (-1, 3)), flows

    def joined(self, source: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
        """Both ends' planes [batch * 3, channel, h, w], moved to alpha [batch * 3, 1, 1, 1], made one."""
        if self.restoration is None:
            return blend(source, target, alpha)
        restored: Tensor = self.restoration(source, target, alpha)
        return restored

    def origins(self, state: InterpolationState, guide: InterpolationGuide, alpha: Tensor, points: Tensor) -> Tensor:
        """Where points [batch, point, 3] of the object at alpha were at the source, model units."""
        known, moves = self._remembered(state.triplane, guide.target.triplane, guide).at(alpha.float())
        return points + at_places(points, known, moves[..., 0, :])

    def _remembered(self, source: Tensor, target: Tensor, guide: InterpolationGuide) -> Motion:
        """The motion between them, which is the same at every alpha: found once for all calls with one memory."""
        known = guide.memory.setdefault(self, _Memory())
        motion = known.of(self, source, target)
        recurrent = source is not guide.source.triplane  # it starts at no keyframe, and nobody tells how it came there
        if recurrent or (guide.before is None and guide.after is None):
            return motion
        own = far = None
        if guide.before is not None:
            came = known.of(self, guide.before.triplane, source)  # the source has the same points in both
            own = Passing(came.positions[1], came.way[1], guide.before.distance)
        if guide.after is not None:
            goes = known.of(self, target, guide.after.triplane)
            far = Passing(goes.positions[0], goes.way[0], guide.after.distance)
        return motion.between(own, far)


class _Memory:
    """The last motions found, by their triplanes."""

    def __init__(self) -> None:
        self._found: deque[tuple[Tensor, Tensor, Motion]] = deque(maxlen=4)

    def of(self, lim: MatchingLIM, source: Tensor, target: Tensor) -> Motion:
        for first, last, motion in self._found:
            if first is source and last is target:
                return motion
        motion = lim.motion(source, target)
        self._found.append((source, target, motion))
        return motion
