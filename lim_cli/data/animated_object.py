"""What every source of training data offers: an object with poses, and a pose that can be looked at and felt.

Everything here is numpy float32, since it runs in loader processes. World frame, +Y up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Light:
    """One directional light and ambient light; colours multiply the surface's linear-ish albedo directly.

    direction: [3] unit vector towards the light. colour, ambient: [3]. specular: strength >= 0, gloss: exponent.
    """

    direction: np.ndarray
    colour: np.ndarray
    ambient: np.ndarray
    specular: float
    gloss: float


@dataclass(frozen=True)
class RayHits:
    """What rays met. rgb [N, 3] in [0, 1] (0 where missed), mask [N] in {0, 1}, ray_length [N] (0 where missed),

    normal [N, 3] world (0 where missed), canonical_xyz [N, 3]: where the same surface point is in the
    reference pose, world frame (0 where missed).
    """

    rgb: np.ndarray
    mask: np.ndarray
    ray_length: np.ndarray
    normal: np.ndarray
    canonical_xyz: np.ndarray


@dataclass(frozen=True)
class VolumeSamples:
    """Labelled points in [-1, 1]^3.

    points [N, 3]; sdf [N] (negative inside; only its sign and its size near the surface are relied upon);
    surface_points [M, 3], surface_rgb [M, 3] (lit, no specular), surface_canonical [M, 3] (reference pose).
    """

    points: np.ndarray
    sdf: np.ndarray
    surface_points: np.ndarray
    surface_rgb: np.ndarray
    surface_canonical: np.ndarray


@dataclass(frozen=True)
class PaintedSurface:
    """Points of a surface that can be seen: points, normals (outward), colours (lit, no specular) [N, 3], and the same

    points in other poses, later [pose, N, 3]. It may have none.
    """

    points: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    later: np.ndarray


class PosedObject(Protocol):
    """An object at one time. `reference` is the same object at the canonical time."""

    def cast(self, origins: np.ndarray, directions: np.ndarray, light: Light, reference: PosedObject) -> RayHits:
        """Rays [N, 3], [N, 3] (unit) -> first hits."""
        ...

    def render(
        self,
        world_from_camera: np.ndarray,
        intrinsics: np.ndarray,
        size: tuple[int, int],
        light: Light,
        reference: PosedObject,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One antialiased view of a camera [4, 4], [4] (fx, fy, cx, cy).

        Returns straight-alpha rgba [height, width, 4] in [0, 1], depth [height, width] (camera z; 0 where
        empty) and canonical_xyz [height, width, 3] (0 where empty).
        """
        ...

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether each of points [N, 3] float32 is within the object: bool [N]."""
        ...

    def sample_volume(
        self, rng: np.random.Generator, count: int, surface_count: int, light: Light, reference: PosedObject
    ) -> VolumeSamples:
        """Labelled points: two thirds near the surface, the rest uniform in [-1, 1]^3."""
        ...

    def painted(
        self, rng: np.random.Generator, count: int, light: Light, others: Sequence[PosedObject]
    ) -> PaintedSurface:
        """About `count` random points of the surface, and where they are in other poses of the same object."""
        ...


class AnimatedObject(Protocol):
    """An object that moves over the phase interval [0, 1]."""

    def pose(self, phase: float) -> PosedObject:
        """The object at `phase`; normalisation chosen by `normalised` is applied."""
        ...

    def poses(self, phases: np.ndarray) -> Sequence[PosedObject]:
        """The object at several phases, for some objects cheaper than one by one."""
        ...

    def normalised(self, phases: np.ndarray, radius: float) -> AnimatedObject:
        """The same object moved and scaled so that over `phases` it fits the ball of `radius` about the origin."""
        ...

    def track(self, rng: np.random.Generator, count: int, phases: np.ndarray) -> np.ndarray:
        """Surface points followed through time: [phase, count, 3]; drawn on the surface at phases[0]."""
        ...
