"""Pairs of keyframes as a LIM that matches surfaces learns from them: points of both, and where they go.

A clip here is what is known of one object's keyframes, without a batch axis: `SurfacePoints` [keyframe, point, ...],
moves [keyframe, time, point, 3] (how far a point is from there at every time), trusted [keyframe, point] (whether that
is known), alpha [time] (keyframes first).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.models.surface_points import SurfacePoints
from lim_cli.training.task import Batch

SAID = [f.name for f in fields(SurfacePoints)]
_FATTER, _ROUGH, _WOBBLE, _WAVES = (0.008, 0.012), 0.008, 0.006, 6.0
"""Of LRM's surfaces, model units: how far outside the true ones they lie, mean and spread; a point's own spread;

displacements, with so many radians a unit.
"""
_TONES = 0.03
_TILT, _STRETCH, _TINT, _BLIND = 0.15, 0.15, 0.1, 0.1
"""Of a turned sample: radians off the vertical axis, scale, gain of colours, how often plane features are left out."""


@dataclass(frozen=True)
class Pair:
    """Two keyframes of one clip, of one sample."""

    source: int
    target: int


def any_pair(keyframes: int, generator: torch.Generator) -> Pair:
    """Two different keyframes in either order; the ends of the clip, which are farthest apart, twice as often."""
    pairs = [Pair(i, j) for i in range(keyframes) for j in range(keyframes) if i != j]
    pairs += [Pair(0, keyframes - 1), Pair(keyframes - 1, 0)]
    return pairs[int(torch.randint(len(pairs), (), generator=generator, device=generator.device))]


def both_ends(clip: Batch, pair: Pair, count: int, generator: torch.Generator) -> list[Batch]:
    """What a step needs of both ends of a pair: `count` points of each, whole ways, and ways at some instant between

    at its share of the whole time.
    """
    device, times = clip["alpha"].device, clip["alpha"]
    ends = []
    for here, there in ((pair.source, pair.target), (pair.target, pair.source)):
        shares = (times - times[here]) / (times[there] - times[here])
        passed = ((shares > 0.02) & (shares < 0.98)).nonzero()[:, 0].tolist() or [there]
        instant = passed[int(torch.randint(len(passed), (), generator=generator, device=device))]
        points = clip["positions"].shape[1]
        chosen = torch.randperm(points, generator=generator, device=device).repeat(-(-count // points))[:count]
        end = {name: clip[name][here, chosen].float() for name in SAID}
        end["way"], end["passing"] = (clip["moves"][here, n, chosen].float() for n in (there, instant))
        ends.append({**end, "trusted": clip["trusted"][here, chosen], "share": shares[instant]})
    return ends


def painted_clips(batch: Batch, features: int, generator: torch.Generator) -> list[Batch]:
    """The batch's painted clips as LRM might show their objects: fatter and wobbly, in other tones, planes unknown."""
    if "painted_alpha" not in batch:
        return []
    found = {name.removeprefix("painted_"): batch[name].flatten(0, 1) for name in batch if name.startswith("painted_")}
    places, device = found["positions"], batch["alpha"].device

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    clips, keyframes, points, _ = places.shape
    fat = _FATTER[0] + _FATTER[1] * normal(clips, keyframes, 1, 1) + _ROUGH * normal(clips, keyframes, points, 1)
    waves = torch.sin(places @ (_WAVES * normal(clips, keyframes, 3, 3)) + torch.pi * normal(clips, keyframes, 1, 3))
    wobble = waves @ (_WOBBLE * normal(clips, keyframes, 3, 3))
    found["positions"] = places + found["normals"] * fat + wobble
    found["colours"] = (found["colours"] + _TONES * normal(clips, keyframes, 1, 3)).clamp(0, 1)
    found["features"] = torch.zeros(*places.shape[:3], features, device=device)
    found["trusted"] = torch.ones(places.shape[:3], dtype=torch.bool, device=device)
    return [{name: value[n] for name, value in found.items()} for n in range(clips)]


def varied(ends: list[Batch], generator: torch.Generator) -> list[Batch]:
    """Both ends in the same other world: turned, mirrored, stretched, in other colours."""
    device = ends[0]["way"].device
    draws = torch.rand(6, generator=generator, device=device)
    turn = _turned(2 * torch.pi * draws[0], _TILT * torch.randn(3, generator=generator, device=device))
    turn = turn * (2 * (draws[1:4] < 0.5) - 1) * (1 + _STRETCH * (2 * draws[4] - 1))
    tint = 1 + _TINT * torch.randn(3, generator=generator, device=device)
    seen = (draws[5] >= _BLIND).float()
    found = []
    for end in ends:
        places = {name: end[name] @ turn.T for name in ("positions", "way", "passing")}
        normals = F.normalize(end["normals"] @ turn.T, dim=-1)
        said = {"normals": normals, "colours": end["colours"] * tint, "features": end["features"] * seen}
        found.append(end | places | said)
    return found


def _turned(angle: Tensor, tilt: Tensor) -> Tensor:
    """The rotation [3, 3] by `angle` about the vertical axis, then by the vector `tilt`, radians."""
    x, y, z = tilt.tolist()
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], device=angle.device)
    up = torch.tensor([[0.0, 0, 1], [0, 0, 0], [-1, 0, 0]], device=angle.device) * angle
    return torch.matrix_exp(skew) @ torch.matrix_exp(up)
