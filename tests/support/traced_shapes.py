"""Moving shapes whose every point is known, and how far the tracer drifts from them under perfect fields."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bending_bar import LENGTH, bar_mesh, bend, curvature_at
from shapes import rotation, sphere

from lim_cli.geometry.canonical_matching import SurfaceSamples
from lim_cli.geometry.control_mesh import ControlMesh
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import vertex_normals
from lim_cli.stages.config import TrackConfig
from lim_cli.stages.tracer import Tracer

FRAMES = 64
Motion = Callable[[int, np.ndarray], np.ndarray]


def bending(frame: int, points: np.ndarray) -> np.ndarray:
    """Points [n, 3] of a bar that bends to and fro, at 30 frames a second."""
    return bend(points, curvature_at(frame / 30))


def turning(frame: int, points: np.ndarray) -> np.ndarray:
    """Points [n, 3] turned by four degrees a frame."""
    return (points @ rotation(4.0 * frame).T).astype(np.float32)


def ellipsoid(subdivisions: int) -> Mesh:
    """Half axes .7, .4, .3."""
    ball = sphere(1.0, subdivisions)
    return Mesh(ball.vertices * np.array([0.7, 0.4, 0.3], np.float32), ball.faces)


SHAPES: dict[str, tuple[Mesh, Mesh, Motion, float]] = {
    "bending bar": (bar_mesh(33, 4), bar_mesh(257, 12), bending, LENGTH),
    "turning ellipsoid": (ellipsoid(3), ellipsoid(5), turning, 1.4),
}
"""Name -> mesh that is traced, surface that it is matched to, motion, size."""


def traced_frames(name: str, *, control_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """The shape traced for FRAMES frames by its true canonical coordinates: vertices [frame, vertex, 3], and truth."""
    mesh, fine, motion, _ = SHAPES[name]
    control = ControlMesh.of(mesh, control_vertices)
    tracer = Tracer(control.rest, control.solver, TrackConfig())
    traced, truth = [], []
    for frame in range(1, FRAMES + 1):
        positions = motion(frame, fine.vertices)
        surface = SurfaceSamples(positions, fine.vertices, vertex_normals(positions, fine.faces))
        tracer.step(surface, control.rest.vertices, 1 / 30)
        traced.append(control.carry(tracer.vertices))
        truth.append(motion(frame, mesh.vertices))
    return np.stack(traced), np.stack(truth)
