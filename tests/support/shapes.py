"""Meshes whose truth is known in closed form."""

from __future__ import annotations

import numpy as np
import trimesh

from lim_cli.geometry.mesh import Mesh


def sphere(radius: float = 1.0, subdivisions: int = 4) -> Mesh:
    """Geodesic sphere about the origin; subdivisions 3, 4, 5 have 642, 2562, 10242 vertices."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return Mesh(np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int32))


def rotation(degrees: float, axis: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> np.ndarray:
    """Rotation matrix [3, 3] about an axis through the origin."""
    return np.asarray(trimesh.transformations.rotation_matrix(np.radians(degrees), axis)[:3, :3])


def volume(mesh: Mesh) -> float:
    """Signed volume: positive when faces are counter-clockwise from outside."""
    return float(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).volume)


def area(mesh: Mesh) -> float:
    return float(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).area)
