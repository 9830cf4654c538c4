"""What became of a mesh while it was traced: faces turned over, surfaces that cut each other, volume."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from lim_cli.core.cached_njit import cached_njit
from lim_cli.geometry.face_quality import FaceState
from lim_cli.geometry.face_repair import bad_faces
from lim_cli.geometry.mesh import TrackedMesh
from lim_cli.geometry.normals import face_normals

GUESSED = 0.1


@dataclass(frozen=True)
class TrackQuality:
    """bad_faces: largest share, at any time looked at, of faces turned over or without area, in [0, 1].

    self_intersections: most faces at any time that cut another which is no neighbour; first_self_intersections: at
    the first time. volume: least and greatest volume, in parts of the first. confidence: mean over vertices and
    times, in [0, 1]; guessed: largest share of vertices at any time with a confidence below GUESSED, whose place only
    the mesh around them tells. Both None where no confidence is known.
    """

    bad_faces: float
    self_intersections: int
    first_self_intersections: int
    volume: tuple[float, float]
    confidence: float | None = None
    guessed: float | None = None


def track_quality(
    track: TrackedMesh, *, confidence: np.ndarray | None = None, looks: int = 64, cuts: int = 3
) -> TrackQuality:
    """Looks at `looks` evenly spread times, and at `cuts` of those for self-intersections.

    confidence: [time, vertex] in [0, 1], how sure the tracer is.
    """
    first = FaceState.of(track.vertices[0], track.faces)
    seen = track.vertices[_spread(len(track.times), looks)]
    worst = max(float(bad_faces(first, FaceState.of(vertices, track.faces)).mean()) for vertices in seen)
    volumes = np.array([_volume(vertices, track.faces) for vertices in seen])
    crossing = [self_intersecting(v, track.faces) for v in track.vertices[_spread(len(track.times), cuts)]]
    parts = volumes / volumes[0] if abs(volumes[0]) > 1e-12 else np.ones(1)
    return TrackQuality(
        bad_faces=round(worst, 5),
        self_intersections=max(int(faces.sum()) for faces in crossing),
        first_self_intersections=int(crossing[0].sum()),
        volume=(round(float(parts.min()), 3), round(float(parts.max()), 3)),
        confidence=None if confidence is None else round(float(confidence.mean()), 3),
        guessed=None if confidence is None else round(float((confidence < GUESSED).mean(1).max()), 3),
    )


def self_intersecting(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces [face] bool that are cut by an edge of a face with which they share no vertex, or cut such a face."""
    corners = vertices[faces].astype(np.float64)  # [face, 3, 3]
    centres = corners.mean(1)
    reach = np.linalg.norm(corners - centres[:, None], axis=2).max(1)
    result = np.zeros(len(faces), bool)
    tree = cKDTree(centres)
    # faces of like size together, or a single large one would make neighbours of all
    bounds = np.quantile(reach, [0.0, 0.9, 0.99, 1.0])
    for low, high in pairwise(bounds):
        mine = np.flatnonzero((reach >= low) & (reach <= high))
        for near in np.array_split(mine, max(1, len(mine) // 2000)):
            others = tree.query_ball_point(centres[near], reach[near] + high)
            first = np.repeat(near, [len(found) for found in others])
            second = np.concatenate([np.asarray(found, np.int64) for found in others]) if len(others) else first
            smaller = (reach[second] < reach[first]) | ((reach[second] == reach[first]) & (second < first))
            _mark(corners, faces, first[smaller], second[smaller], result)
    return result


@cached_njit()
def _mark(corners: np.ndarray, faces: np.ndarray, first: np.ndarray, second: np.ndarray, result: np.ndarray) -> None:
    """Marks both faces of every pair [pair], [pair] that cut each other."""
    for n in range(first.shape[0]):
        a, b = first[n], second[n]
        apart = False
        for axis in range(3):
            low_a = min(corners[a, 0, axis], corners[a, 1, axis], corners[a, 2, axis])
            high_a = max(corners[a, 0, axis], corners[a, 1, axis], corners[a, 2, axis])
            low_b = min(corners[b, 0, axis], corners[b, 1, axis], corners[b, 2, axis])
            high_b = max(corners[b, 0, axis], corners[b, 1, axis], corners[b, 2, axis])
            apart = apart or low_a > high_b or low_b > high_a
        for i in range(3):
            for j in range(3):
                apart = apart or faces[a, i] == faces[b, j]
        if apart:
            continue
        cut = False
        for i in range(3):
            cut = cut or _pierces(corners[a, i], corners[a, (i + 1) % 3], corners[b])
            cut = cut or _pierces(corners[b, i], corners[b, (i + 1) % 3], corners[a])
        if cut:
            result[a] = True
            result[b] = True


@cached_njit()
def _pierces(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> bool:
    """Whether the segment goes through the triangle (Moeller and Trumbore 1997)."""
    dx, dy, dz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    ax, ay, az = triangle[1, 0] - triangle[0, 0], triangle[1, 1] - triangle[0, 1], triangle[1, 2] - triangle[0, 2]
    bx, by, bz = triangle[2, 0] - triangle[0, 0], triangle[2, 1] - triangle[0, 1], triangle[2, 2] - triangle[0, 2]
    px, py, pz = dy * bz - dz * by, dz * bx - dx * bz, dx * by - dy * bx
    determinant = ax * px + ay * py + az * pz
    if abs(determinant) < 1e-18:
        return False
    sx, sy, sz = start[0] - triangle[0, 0], start[1] - triangle[0, 1], start[2] - triangle[0, 2]
    u = (sx * px + sy * py + sz * pz) / determinant
    if u < 0.0 or u > 1.0:
        return False
    qx, qy, qz = sy * az - sz * ay, sz * ax - sx * az, sx * ay - sy * ax
    v = (dx * qx + dy * qy + dz * qz) / determinant
    if v < 0.0 or u + v > 1.0:
        return False
    along = (bx * qx + by * qy + bz * qz) / determinant
    return bool(0.0 <= along <= 1.0)


def _volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    doubled = face_normals(vertices.astype(np.float64), faces)
    return float(np.sum(vertices[faces[:, 0]] * doubled) / 6)


def _spread(count: int, most: int) -> list[int]:
    """At most `most` indices of `count`, evenly spread, ends included."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))
