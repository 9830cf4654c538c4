"""What a surface found at another time says about a mesh: where on it each vertex belongs, and what of it is bare."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

LOOKS = 0.1
"""Distance, in world units, that counts as much as one unit of difference between normals, or between colours."""
NEAR = 0.05
"""World units off at which a vertex's own nearest point has lost half its weight."""
TURNED = 0.5
"""Cosine between normals from which on a pair is fully believed; below 0 it is not at all."""
ALONG = 0.5
"""Share of a step towards the nearest point that may slide along the surface instead of going straight at it."""


@dataclass(frozen=True)
class ColouredSurface:
    """Points of one time's surface: positions (world frame), unit normals and colours (RGB in [0, 1]),

    each [sample, 3].
    """

    positions: np.ndarray
    normals: np.ndarray
    colours: np.ndarray

    @cached_property
    def described(self) -> np.ndarray:
        """What is compared, [sample, 9]."""
        return _described(self.positions, self.normals, self.colours)

    @cached_property
    def tree(self) -> cKDTree:
        """Of `described`."""
        return cKDTree(self.described)


def surface_pull(
    vertices: np.ndarray, normals: np.ndarray, colours: np.ndarray, surface: ColouredSurface, *, reach: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Where the surface wants vertices: targets [vertex, 3] float32 and weights [vertex] float32 in [0, 1].

    Every vertex (its normal and colour given, [vertex, 3] each) is drawn to the surface point that is most like it in
    place, normal and colour; every surface point draws the vertex most like it, so that a limb is drawn along to where
    the surface still lies bare. Pairs farther apart than `reach` (world units) or facing apart say nothing.
    """
    own = _described(vertices, normals, colours)
    _, chosen = surface.tree.query(own)
    away = surface.positions[chosen] - vertices
    weight = _agreement(normals, surface.normals[chosen], away, reach) / (
        1 + (np.linalg.norm(away, axis=1) / NEAR) ** 2
    )
    across = np.sum(away * surface.normals[chosen], 1, keepdims=True) * surface.normals[chosen]
    total = weight[:, None] * ((1 - ALONG) * away + ALONG * across)

    _, drawn = cKDTree(own).query(surface.described)
    away = surface.positions - vertices[drawn]
    votes = _agreement(normals[drawn], surface.normals, away, reach)
    count = np.bincount(drawn, votes, minlength=len(vertices))
    summed = np.stack([np.bincount(drawn, votes * part, minlength=len(vertices)) for part in away.T], 1)
    voice = np.minimum(count, 1.0)
    total += voice[:, None] * summed / np.maximum(count, 1e-9)[:, None]
    weight = weight + voice
    targets = vertices + total / np.maximum(weight, 1e-9)[:, None]
    return targets.astype(np.float32), np.minimum(weight, 1.0).astype(np.float32)


def _described(positions: np.ndarray, normals: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return np.concatenate([positions, LOOKS * normals, LOOKS * colours], 1)


def _agreement(normals: np.ndarray, others: np.ndarray, away: np.ndarray, reach: float) -> np.ndarray:
    """How far pairs are believed, [pair] in [0, 1]."""
    facing = np.clip(np.sum(normals * others, 1) / TURNED, 0.0, 1.0)
    return np.asarray(facing * (np.linalg.norm(away, axis=1) < reach))
