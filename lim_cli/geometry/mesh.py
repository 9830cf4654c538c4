"""A triangle mesh and the same mesh moving through time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """vertices [vertex, 3] float32 (world frame); faces [face, 3] int32, counter-clockwise from outside."""

    vertices: np.ndarray
    faces: np.ndarray

    def __post_init__(self) -> None:
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3:
            raise ValueError(f"expected vertices [vertex, 3], got {self.vertices.shape}")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ValueError(f"expected faces [face, 3], got {self.faces.shape}")
        if self.faces.size and (self.faces.min() < 0 or self.faces.max() >= len(self.vertices)):
            raise ValueError("faces refer to vertices that do not exist")


@dataclass(frozen=True)
class TrackedMesh:
    """One topology through time.

    vertices: [time, vertex, 3] float32, world frame.
    faces: [face, 3] int32, the same at every time.
    times: [time] float64, seconds, strictly increasing.
    """

    vertices: np.ndarray
    faces: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        if self.vertices.ndim != 3 or len(self.vertices) != len(self.times):
            raise ValueError(f"expected vertices [time={len(self.times)}, vertex, 3], got {self.vertices.shape}")
        if len(self.times) > 1 and not bool(np.all(np.diff(self.times) > 0)):
            raise ValueError("times must increase")

    def at(self, index: int) -> Mesh:
        return Mesh(self.vertices[index], self.faces)

    def at_times(self, times: np.ndarray) -> TrackedMesh:
        """The track at just these times (increasing), as it is played: straight between its own, still outside them."""
        place = np.interp(times, self.times, np.arange(len(self.times)))
        before = np.floor(place).astype(int)
        after = np.minimum(before + 1, len(self.times) - 1)
        share = (place - before)[:, None, None].astype(np.float32)
        return TrackedMesh(self.vertices[before] * (1 - share) + self.vertices[after] * share, self.faces, times)


@dataclass(frozen=True)
class TexturedTrack:
    """A tracked mesh with one UV atlas and one texture for all times.

    The atlas splits vertices at seams: `track` already holds the split vertices.
    uv: [vertex, 2] float32 in [0, 1], origin top left. texture: [height, width, 3] uint8, sRGB.
    """

    track: TrackedMesh
    uv: np.ndarray
    texture: np.ndarray

    def __post_init__(self) -> None:
        if self.uv.shape != (self.track.vertices.shape[1], 2):
            raise ValueError(f"expected uv [{self.track.vertices.shape[1]}, 2], got {self.uv.shape}")
