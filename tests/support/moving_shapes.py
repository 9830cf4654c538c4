"""Procedural objects and cameras whose truth is known in closed form."""

from __future__ import annotations

import numpy as np

from lim_cli.data.animated_object import Light
from lim_cli.data.procedural.parts import LOOK_SIZE
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.procedural.skeleton import Skeleton

AMBIENT = Light(np.array([0.0, 1.0, 0.0], np.float32), np.zeros(3, np.float32), np.ones(3, np.float32), 0.0, 10.0)


def plain_look(red: float = 1.0, green: float = 0.5, blue: float = 0.25) -> np.ndarray:
    row = np.zeros(LOOK_SIZE, np.float32)
    row[:3] = red, green, blue
    row[13] = 1.0
    return row


def as_object(skeleton: Skeleton, *, blend: float = 0.0) -> ProceduralObject:
    return ProceduralObject(skeleton, skeleton.shapes(), skeleton.looks(), blend, True, np.eye(4), "test")


def ball(radius: float = 0.6, centre: tuple[float, float, float] = (0.1, -0.05, 0.2)) -> ProceduralObject:
    skeleton = Skeleton()
    skeleton.ball(0, centre, (radius, radius, radius), plain_look())
    return as_object(skeleton)


def turning_ellipsoid(turns: float = 0.25) -> ProceduralObject:
    """An ellipsoid that turns about y by `turns` over the phase interval."""
    skeleton = Skeleton()
    bone = skeleton.bone(0, (0, 0, 0), spin=((0.0, 1.0, 0.0), turns))
    skeleton.ball(bone, (0.1, 0, 0), (0.7, 0.4, 0.3), plain_look())
    return as_object(skeleton)


def rays_towards(rng: np.random.Generator, count: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Rays from the sphere of radius 3 towards points normally distributed about the origin."""
    origins = rng.normal(size=(count, 3))
    origins = 3 * origins / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = rng.normal(0, spread, (count, 3)) - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return origins.astype(np.float32), directions.astype(np.float32)
