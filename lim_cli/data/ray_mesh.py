"""Triangles that rays can meet: a thin, typed face of Embree, one bounding volume hierarchy per pose."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from lim_cli.core.errors import MissingError

_devices: dict[int, Any] = {}  # one Embree device a process: making one costs more than building a small mesh


@dataclass(frozen=True)
class FaceHits:
    """Of the rays that hit: index [N] into the rays, face [N], bary [N, 3], ray_length [N]."""

    ray: np.ndarray
    face: np.ndarray
    bary: np.ndarray
    ray_length: np.ndarray


class RayMesh:
    """vertices [V, 3] float32, faces [F, 3] int32."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore import EmbreeDevice
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise MissingError(
                "Casting rays at meshes needs embreex; install it with 'pip install embreex'."
            ) from error
        device = _devices.get(os.getpid())
        if device is None:
            device = _devices[os.getpid()] = EmbreeDevice()
        self._scene = EmbreeScene(device)
        self._mesh = TriangleMesh(
            self._scene, np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32)
        )

    def first_hits(self, origins: np.ndarray, directions: np.ndarray) -> FaceHits:
        """Rays [N, 3], unit [N, 3], as float32 -> the nearest face each one meets."""
        found = self._scene.run(*_rays(origins, directions), output=1)
        ray = np.flatnonzero(found["primID"] >= 0)
        u, v = found["u"][ray], found["v"][ray]
        return FaceHits(ray, found["primID"][ray], np.stack([1 - u - v, u, v], -1), found["tfar"][ray])

    def blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether each ray meets anything at all: bool [N]."""
        hit: np.ndarray = self._scene.run(*_rays(origins, directions), query="OCCLUDED") >= 0
        return hit


def _rays(origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32)
