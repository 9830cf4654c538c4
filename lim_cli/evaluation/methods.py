"""Ways to interpolate in time, behind one protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lim_cli.core.errors import ConfigError, WeightsError
from lim_cli.evaluation.cases import Case
from lim_cli.evaluation.image_interpolation import between
from lim_cli.models.lim import LIM, InterpolationGuide, Neighbour, state_of
from lim_cli.models.lrm import LRMOutput
from lim_cli.models.matching_lim import MatchingConfig, MatchingLIM
from lim_cli.models.plane_flows import warp
from lim_cli.models.point_reading import on_planes
from lim_cli.models.presets import load_lim
from lim_cli.stages.networks import Networks

LINEAR, FLOW, ORACLE = "Linear", "DIS flow + LRM", "Oracle (LRM)"
IN_A_CLIP = "LIM in a clip"
STRAIGHT, SMOOTH, TRUE_MOTION = "True ends, straight ways", "True keyframes", "True motion"


class Ends:
    """What a method is given: both keyframes' views and cameras, and LRM's outputs for them, made once for all."""

    def __init__(self, networks: Networks, case: Case) -> None:
        self.networks, self.case = networks, case

    @cached_property
    def source(self) -> LRMOutput:
        return self.networks.encode(self.case.ends[0], self.case.cameras)

    @cached_property
    def target(self) -> LRMOutput:
        return self.networks.encode(self.case.ends[1], self.case.cameras)

    @cached_property
    def before(self) -> Neighbour | None:
        """The keyframe before the source, where there is one."""
        return self._beyond(self.case.before)

    @cached_property
    def after(self) -> Neighbour | None:
        """The keyframe after the target, where there is one."""
        return self._beyond(self.case.after)

    def _beyond(self, views: Callable[[], np.ndarray] | None) -> Neighbour | None:
        return None if views is None else Neighbour(self.networks.encode(views(), self.case.cameras).triplane)


class Method(Protocol):
    """An interval and alpha in (0, 1) -> LRM's kind of triplane [3, channel, h, w]."""

    def __call__(self, ends: Ends, alpha: float) -> Tensor: ...


def linear(ends: Ends, alpha: float) -> Tensor:
    """The blend of both ends' triplanes."""
    return torch.lerp(ends.source.triplane[0], ends.target.triplane[0], alpha)


def flow_and_lrm(ends: Ends, alpha: float) -> Tensor:
    """Every view interpolated as a picture, then LRM."""
    views = between(ends.case.ends[0], ends.case.ends[1], alpha)
    return ends.networks.encode(views, ends.case.cameras).triplane[0]


def oracle(ends: Ends, alpha: float) -> Tensor:
    """LRM on the true views at alpha, which no other method is shown."""
    true = next(middle for middle in ends.case.middles if middle.alpha == alpha)
    return ends.networks.encode(true.views, ends.case.cameras).triplane[0]


def straight(ends: Ends, alpha: float) -> Tensor:
    """Both ends' planes moved and blended as if all knew where every point goes, but not on which way."""
    return _moved(ends, alpha, (0.0, 1.0))


def smooth(ends: Ends, alpha: float) -> Tensor:
    """The same on the smoothest ways through where every point is at the keyframes beyond, too, where there are any."""
    known = [-1.0] * (ends.case.before is not None) + [0.0, 1.0] + [2.0] * (ends.case.after is not None)
    return _moved(ends, alpha, known)


def true_motion(ends: Ends, alpha: float) -> Tensor:
    """The same with where every point truly is at alpha: the most that moving planes can do."""
    return _moved(ends, alpha, (alpha,))


def _moved(ends: Ends, alpha: float, known: Sequence[float]) -> Tensor:
    """Points lie on the polynomial in time through their true places at `known`.

    Raises:
        ConfigError: nobody knows how the case moves.
    """
    if ends.case.motion is None:
        raise ConfigError(f"Nobody knows how {ends.case.name} truly moves; leave --ceilings out for it.")
    source, target = ends.source.triplane[0], ends.target.triplane[0]
    places = torch.from_numpy(ends.case.motion((alpha, 0.0, 1.0, *known))).to(source.device)
    first, last = places[1:3]
    weights = [math.prod((alpha - other) / (time - other) for other in known if other != time) for time in known]
    here = torch.einsum("t,tpc->pc", torch.tensor(weights, device=source.device), places[3:])
    flows = on_planes(here[None], torch.stack([first - here, last - here], 1)[None], *source.shape[-2:])
    there, onward = flows[:, 0]
    return torch.lerp(warp(source, there), warp(target, onward), alpha)


class Interpolator:
    """A LIM (eq. 1). neighbours: it is also shown the keyframes beyond both ends, as it is in a clip."""

    def __init__(self, lim: LIM | MatchingLIM, *, neighbours: bool = False) -> None:
        self._lim, self._neighbours = lim, neighbours

    @torch.no_grad()
    def __call__(self, ends: Ends, alpha: float) -> Tensor:
        source = state_of(ends.source)
        guide = InterpolationGuide(ends.target.image_tokens, source, state_of(ends.target))
        if self._neighbours:
            guide = replace(guide, before=ends.before, after=ends.after)
        found = self._lim(source, guide, torch.tensor([alpha], device=source.triplane.device))
        triplane: Tensor = found.triplane[0]
        return triplane


def interpolators(networks: Networks, more: Mapping[str, Path]) -> dict[str, Method]:
    """The release's LIM and further ones by name, which read the same LRM.

    LRM is made to give as many block features as the largest needs.

    Raises:
        WeightsError: a folder holds no LIM, or one of another LRM's shape.
    """
    lims = {"LIM": networks.lim, **{name: load_lim(folder, networks.device) for name, folder in more.items()}}
    blocks = len(networks.lrm.blocks)
    for name, lim in lims.items():
        config = lim.config
        fitting = isinstance(config, MatchingConfig) or config.width == networks.lrm.config.width
        if config.kind != "rgb" or not fitting or config.field != networks.lrm.config.field:
            raise WeightsError(f"The weights of {name} are no LIM of this release's LRM; train it with that teacher.")
        if config.blocks > blocks:
            raise WeightsError(f"{name} has {config.blocks} blocks but its LRM only {blocks}; use another release.")
    needed = max(lim.config.blocks for lim in lims.values())
    if needed > networks.lrm.config.kept_features:
        networks.lrm.keep_features(needed)
    return {name: Interpolator(lim) for name, lim in lims.items()}
