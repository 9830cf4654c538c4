"""Training clips of a LIM that matches surfaces: keyframes of one object as cameras see them, and how it moves.

Beside it come clips of other objects that no camera sees, whose surfaces are told instead: they cost a hundredth of one
that goes through LRM, and how things move is learned from as many things as can be had. Arrays beside those of
`data.samples`, of so many painted clips:

- painted_positions, painted_normals, painted_colours [clip, keyframe, point, 3]: points of the true surfaces
- painted_moves [clip, keyframe, time, point, 3]: how far each is from there at every time
- painted_alpha [clip, time]
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lim_cli.data.animated_object import AnimatedObject
from lim_cli.data.object_source import Mixture
from lim_cli.data.rigs import random_light
from lim_cli.data.samples import SampleSpec, draw_sample, keyframe_phases


@dataclass(frozen=True)
class ClipSpec:
    """seen: of the clip that cameras see, with instants `keyframes`. painted: clips beside it, of others; points: of a

    keyframe of theirs.
    """

    seen: SampleSpec
    painted: int = 0
    points: int = 512
    others: Mixture = field(default_factory=Mixture)

    def draw(self, source: AnimatedObject, rng: np.random.Generator) -> dict[str, np.ndarray]:
        sample = draw_sample(source, rng, self.seen)
        clips = [self._painted(rng) for _ in range(self.painted)]
        return sample | {f"painted_{name}": np.stack([clip[name] for clip in clips]) for name in (clips or [{}])[0]}

    def _painted(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        source = self.others.draw(rng)
        phases, alpha = keyframe_phases(rng, self.seen.clip_length, self.seen.passed)
        poses = source.normalised(phases, rng.uniform(0.8, 0.97)).poses(phases)
        light = random_light(rng)
        found: dict[str, list[np.ndarray]] = {"positions": [], "normals": [], "colours": [], "moves": []}
        for pose in poses[: self.seen.clip_length]:
            drawn = pose.painted(rng, 2 * self.points, light, poses)
            count = len(drawn.points)
            if not count:
                return self._painted(rng)
            some = rng.choice(count, self.points, replace=count < self.points)
            moves = (drawn.later - drawn.points)[:, some]
            told = drawn.points[some], drawn.normals[some], drawn.colours[some], moves
            for name, value in zip(found, told, strict=True):
                found[name].append(value.astype(np.float32))
        return {**{name: np.stack(values) for name, values in found.items()}, "alpha": alpha.astype(np.float32)}
