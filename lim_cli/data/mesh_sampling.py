"""Labelled points around a posed mesh that need not be closed: inside means that no ray gets away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.data.ray_mesh import RayMesh

OFFSETS = (0.01, 0.02, 0.04, 0.08)  # standard deviations of the points near the surface
_PROBES = (6, 8, 18)  # rays a point is given in turn while none of them got away
_SURFACE_PROBES = (6, 8)  # fewer for points of the surface: one that is barely seen may be missed
_LIFT = 1e-4  # how far a surface point is moved off its face before it is probed


@dataclass(frozen=True)
class SurfaceSamples:
    """Points seen from outside: face [N], bary [N, 3], points [N, 3], normal [N, 3] towards the free side."""

    face: np.ndarray
    bary: np.ndarray
    points: np.ndarray
    normal: np.ndarray


def spread_directions(count: int) -> np.ndarray:
    """Unit vectors [count, 3] spread evenly (a Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), z, radius * np.sin(angle)], -1).astype(np.float32)


def outside(
    mesh: RayMesh, points: np.ndarray, low: np.ndarray, high: np.ndarray, rounds: tuple[int, ...] = _PROBES
) -> np.ndarray:
    """Whether any of the probing rays leaves each point [N, 3] unhindered: bool [N].

    low, high [3]: the mesh's bounding box, beyond which all is outside; rounds: probes of each pass.
    """
    free: np.ndarray = np.any((points < low) | (points > high), axis=1)
    for probes in rounds:
        asked = np.flatnonzero(~free)
        if not len(asked):
            break
        directions = spread_directions(probes)
        hit = mesh.blocked(np.repeat(points[asked], probes, 0), np.tile(directions, (len(asked), 1)))
        free[asked] = ~hit.reshape(-1, probes).all(1)
    return free


def random_surface(
    rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points uniform by area over all faces: face [count], bary [count, 3], points [count, 3]."""
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    total = np.cumsum(area, dtype=np.float64)
    # Stratified: even spacing along the cumulated area leaves fewer gaps than independent draws.
    draws = (np.arange(count) + rng.random(count)) / count * total[-1]
    face = np.minimum(np.searchsorted(total, draws), len(faces) - 1).astype(np.int32)
    root, second = np.sqrt(rng.random(count)), rng.random(count)
    bary = np.stack([1 - root, root * (1 - second), root * second], -1).astype(np.float32)
    return face, bary, np.einsum("nk,nkc->nc", bary, corners[face]).astype(np.float32)


def visible_surface(
    rng: np.random.Generator,
    mesh: RayMesh,
    vertices: np.ndarray,
    faces: np.ndarray,
    vertex_normal: np.ndarray,
    face_normal: np.ndarray,
    count: int,
) -> SurfaceSamples:
    """About `count` or fewer points that can be seen from outside, in random order (all, if none can)."""
    face, bary, points = random_surface(rng, vertices, faces, count)
    flat = face_normal[face]
    lift = _LIFT * max(float(np.ptp(vertices, axis=0).max()), 1e-6)
    low, high = vertices.min(0), vertices.max(0)
    front = outside(mesh, points + lift * flat, low, high, _SURFACE_PROBES)
    hidden = np.flatnonzero(~front)  # perhaps wound the wrong way round, perhaps within the body
    back = np.zeros_like(front)
    back[hidden] = outside(mesh, (points - lift * flat)[hidden], low, high, _SURFACE_PROBES)
    seen = front | back
    if not seen.any():
        seen = np.ones_like(seen)
    side = np.where(back, -1.0, 1.0).astype(np.float32)[:, None]
    smooth = np.einsum("nk,nkc->nc", bary, vertex_normal[faces[face]])
    smooth = np.where((smooth * flat).sum(1, keepdims=True) > 0, smooth, flat)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    chosen = rng.permutation(np.flatnonzero(seen))
    return SurfaceSamples(face[chosen], bary[chosen], points[chosen], (side * smooth)[chosen].astype(np.float32))


def distance_to_surface(points: np.ndarray, surface: SurfaceSamples, corners: np.ndarray) -> np.ndarray:
    """Distance [N] from points [N, 3] to the triangles (corners [F, 3, 3]) of the nearest samples."""
    from scipy.spatial import cKDTree

    neighbours = min(2, len(surface.points))
    nearest = cKDTree(surface.points, balanced_tree=False).query(points, k=neighbours)[1].reshape(len(points), -1)
    triangles = corners[surface.face[nearest.reshape(-1)]]
    distance = triangle_distance(np.repeat(points, neighbours, 0), triangles)
    closest: np.ndarray = distance.reshape(len(points), neighbours).min(1)
    return closest


def triangle_distance(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Distance [N] from points [N, 3] to triangles [N, 3, 3], each to its own."""
    start = triangles
    edge = np.roll(triangles, -1, 1) - start  # [N, edge, 3]
    away = points[:, None] - start
    along = (away * edge).sum(-1) / np.maximum((edge * edge).sum(-1), 1e-20)
    to_edge = away - np.clip(along, 0, 1)[..., None] * edge
    squared = (to_edge * to_edge).sum(-1).min(1)
    normal = np.cross(edge[:, 0], edge[:, 1])
    length = np.maximum(np.linalg.norm(normal, axis=1), 1e-20)
    within = ((np.cross(edge, away) * normal[:, None]).sum(-1) >= 0).all(1) & (length > 1e-18)
    height = np.abs((away[:, 0] * normal).sum(1)) / length
    distance: np.ndarray = np.where(within, height, np.sqrt(squared)).astype(np.float32)
    return distance
