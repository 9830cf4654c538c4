"""An analytic moving object with a texture: a bar that bends about z, closed form at every time."""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.mesh import Mesh, TexturedTrack, TrackedMesh

LENGTH = 1.6
HALF_WIDTH = 0.15


def bend(points: np.ndarray, curvature: float) -> np.ndarray:
    """Points [N, 3] of the straight bar along y -> the bar bent to a circular arc; arc length is kept."""
    if abs(curvature) < 1e-9:
        return points.astype(np.float32)
    angle = curvature * points[:, 1]
    radius = 1.0 / curvature - points[:, 0]
    bent = [1.0 / curvature - radius * np.cos(angle), radius * np.sin(angle), points[:, 2]]
    return np.stack(bent, axis=1).astype(np.float32)


def bar_mesh(rings: int = 17, per_side: int = 3) -> Mesh:
    """The straight bar: a closed box around the y axis with square rings."""
    steps = np.linspace(-1, 1, per_side, endpoint=False)
    one = np.ones(per_side)
    ring = np.concatenate([np.stack(s, 1) for s in ((steps, one), (one, -steps), (-steps, -one), (-one, steps))])
    around = len(ring)
    heights = np.linspace(-LENGTH / 2, LENGTH / 2, rings)
    sides = [np.stack([HALF_WIDTH * ring[:, 0], np.full(around, y), HALF_WIDTH * ring[:, 1]], 1) for y in heights]
    caps = np.array([[0.0, heights[0], 0.0], [0.0, heights[-1], 0.0]])
    faces = []
    for row in range(rings - 1):
        for i in range(around):
            a, b = row * around + i, row * around + (i + 1) % around
            faces += [[a, b, b + around], [a, b + around, a + around]]
    low, high, last = rings * around, rings * around + 1, (rings - 1) * around
    for i in range(around):
        j = (i + 1) % around
        faces += [[low, j, i], [high, last + i, last + j]]
    return Mesh(np.concatenate([*sides, caps]).astype(np.float32), np.array(faces, np.int32))


def checker(size: int = 256, cells: int = 16) -> np.ndarray:
    """Checker texture [size, size, 3] uint8, its colours changing across the square."""
    y, x = np.mgrid[0:size, 0:size]
    dark = ((x * cells // size + y * cells // size) % 2).astype(bool)
    colour = np.stack([x * 255 // size, y * 255 // size, np.full_like(x, 120)], axis=2).astype(np.uint8)
    colour[dark] = 255 - colour[dark] // 4
    return colour


def curvature_at(seconds: float) -> float:
    """1/radius of the bar's arc."""
    return float(1.2 * np.sin(2.5 * seconds))


def bending_bar(
    vertex_map: np.ndarray, faces: np.ndarray, uv: np.ndarray, *, frames: int = 12, fps: float = 30.0
) -> TexturedTrack:
    """The bar's track over `frames` times with the atlas of `unwrap(bar_mesh(), ...)`."""
    straight = bar_mesh().vertices[vertex_map]
    times = np.arange(frames) / fps
    vertices = np.stack([bend(straight, curvature_at(t)) for t in times])
    return TexturedTrack(TrackedMesh(vertices, faces, times), uv, checker())
