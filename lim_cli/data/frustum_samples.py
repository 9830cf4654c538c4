"""Training pictures of the frustum volume: an object from four sides, and what is filled behind the first picture.

Arrays:

- images [view, 4, h, w] uint8: straight-alpha RGBA of level views a quarter turn apart
- world_from_camera [view, 4, 4], intrinsics [view, 4]
- points [point, 3] float32: in the unit ball, behind pixels of view 0 that show the object; inside [point] bool
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.core.errors import ConfigError
from lim_cli.data.animated_object import AnimatedObject
from lim_cli.data.rigs import Rig, mono_rig, random_light
from lim_cli.data.samples import as_bytes, rays_through


@dataclass(frozen=True)
class FrustumSpec:
    """size: pixels on a side. points: of each picture; of points anywhere, one in twenty lies behind its matte."""

    size: int = 128
    points: int = 8192

    def __post_init__(self) -> None:
        if min(self.size, self.points) < 1:
            raise ConfigError(f"size and points must be at least 1, got {self}.")

    def draw(self, source: AnimatedObject, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Pictures of `source` at a random phase, from random cameras, under a random light."""
        phase = rng.uniform()
        another = rng.uniform() if rng.uniform() < 0.7 else phase  # a clip is framed for all its times
        posed = source.normalised(np.array([phase, another]), rng.uniform(0.8, 0.97)).poses(np.array([phase]))[0]
        light, rig = random_light(rng), mono_rig(rng, self.size)
        views = zip(rig.world_from_camera, rig.intrinsics, strict=True)
        rgba = np.stack([posed.render(pose, lens, rig.size, light, posed)[0] for pose, lens in views])
        points = self._behind(rgba[0, ..., 3], rig, rng)
        return {
            "images": as_bytes(np.moveaxis(rgba, -1, 1)),
            "world_from_camera": rig.world_from_camera,
            "intrinsics": rig.intrinsics,
            "points": points,
            "inside": posed.inside(points),
        }

    def _behind(self, alpha: np.ndarray, rig: Rig, rng: np.random.Generator) -> np.ndarray:
        """Points [point, 3] of the unit ball along rays of view 0 through pixels of alpha [h, w] that are opaque."""
        opaque = np.argwhere(alpha > 0.5)
        if not len(opaque):  # an object can be thinner than a pixel
            opaque = np.argwhere(alpha >= 0)
        picked = opaque[rng.integers(len(opaque), size=self.points)][:, ::-1] + rng.uniform(size=(self.points, 2))
        origins, directions = rays_through(picked, np.zeros(self.points, int), rig)
        nearest = -(origins * directions).sum(1)  # to the middle of the ball
        half = np.sqrt(np.clip(1 - np.square(origins).sum(1) + np.square(nearest), 0, None))
        reach = nearest + half * rng.uniform(-1, 1, self.points)
        points: np.ndarray = (origins + directions * reach[:, None]).astype(np.float32)
        return points
