"""Lays a user's mesh onto a tracked surface: which frame it is posed like, and the similarity that takes it there.

Points with normals on both surfaces are matched in six dimensions, so that the front of a thin part does not match its
back. Coarse search over orientations and frames, then trimmed ICP in both directions: the share of points that have no
partner on the other surface (a lump the reconstruction added, a detail it lost) does not pull.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.mesh_sampling import random_surface
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.geometry.normals import face_normals
from lim_cli.metrics.alignment import Similarity, umeyama

AlignMode = Literal["auto", "none", "yaw"]
KEPT_SHARE = 0.85
# A normal turned by 60 degrees counts as this distance, in parts of the object's size.
NORMAL_LENGTH = 0.08
# glTF's up is +Y: another side up must fit this much better.
TILT_PENALTY = 1.15
COARSE_FRAMES = 5
FINE_FRAMES = 32
COARSE_POINTS, FINE_POINTS = 180, 1200
DENSE_POINTS = 20_000
"""Of a surface that others' points are measured against: with fewer, a mesh lies off itself by their spacing."""


@dataclass(frozen=True)
class Alignment:
    """similarity: from the mesh's world to the track's. frame: of the track, at which both are in one pose.

    distance: trimmed mean distance between the surfaces there, in parts of the object's size.
    """

    similarity: Similarity
    frame: int
    distance: float


@dataclass(frozen=True)
class _Cloud:
    """points, normals: [N, 3]."""

    points: np.ndarray
    normals: np.ndarray

    def moved(self, by: Similarity) -> _Cloud:
        return _Cloud(by.apply(self.points), self.normals @ by.rotation.T)

    def thinned(self, count: int) -> _Cloud:
        return _Cloud(self.points[:count], self.normals[:count])  # samples are in random order

    def features(self, size: float) -> np.ndarray:
        return np.concatenate([self.points, NORMAL_LENGTH * size * self.normals], axis=1)


def align_mesh(
    mesh: Mesh,
    track: TrackedMesh,
    mode: AlignMode = "auto",
    *,
    frame: int | None = None,
    progress: Progress | None = None,
) -> Alignment:
    """Finds where `mesh` lies on `track`.

    Args:
        mode: `auto` tries every orientation; `yaw` only turns about +Y; `none` takes the mesh as it lies.
        frame: of the track; the one that fits best when left out.
    """
    progress = progress or SilentProgress()
    rng = np.random.default_rng(0)
    dense = _sample(mesh, DENSE_POINTS, rng)
    source = dense.thinned(FINE_POINTS)
    every = np.unique(np.linspace(0, len(track.times) - 1, FINE_FRAMES).round().astype(int))
    surfaces = {int(f): _sample(track.at(int(f)), DENSE_POINTS, rng) for f in (every if frame is None else [frame])}
    fine = {f: surface.thinned(FINE_POINTS) for f, surface in surfaces.items()}
    size = float(np.ptp(track.vertices[next(iter(fine))], axis=0).max())
    unmoved = Similarity(1.0, np.eye(3), np.zeros(3))
    if mode == "none":
        chosen = min(surfaces, key=lambda f: _score(dense, surfaces[f], unmoved, size))
        return Alignment(unmoved, chosen, _distance(dense, surfaces[chosen], unmoved) / size)

    # 1. Every orientation at a few frames, with few points.
    known = list(fine)
    coarse = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, COARSE_FRAMES).round().astype(int))]
    turns = _turns(tilted=mode == "auto")
    few = source.thinned(COARSE_POINTS)
    found: list[tuple[float, float, Similarity, int]] = []
    with progress.task("Aligning the mesh", len(coarse) * len(turns)) as task:
        for f in coarse:
            target = fine[f].thinned(COARSE_POINTS)
            for turn, penalty in turns:
                start = _icp(few, target, _start(few, target, turn), size, 3, upright=mode == "yaw")
                found.append((penalty * _score(few, target, start, size), penalty, start, f))
                task.advance()
    # 2. The best of them with more points; then the frame.
    best: list[tuple[float, Similarity]] = []
    for _, penalty, start, f in sorted(found, key=lambda entry: entry[0])[:6]:
        refined = _icp(source, fine[f], start, size, 15, upright=mode == "yaw")
        best.append((penalty * _score(source, fine[f], refined, size), refined))
    _, laid = min(best, key=lambda entry: entry[0])
    tries = {f: _icp(source, fine[f], laid, size, 8, upright=mode == "yaw") for f in fine}
    chosen = min(tries, key=lambda f: _score(dense, surfaces[f], tries[f], size))
    similarity = _icp(source, fine[chosen], tries[chosen], size, 40, upright=mode == "yaw")
    return Alignment(similarity, chosen, _distance(dense, surfaces[chosen], similarity) / size)


def _sample(mesh: Mesh, count: int, rng: np.random.Generator) -> _Cloud:
    face, _, points = random_surface(rng, mesh.vertices, mesh.faces, count)
    normals = face_normals(mesh.vertices.astype(np.float64), mesh.faces)[face]
    order = rng.permutation(len(points))
    unit = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return _Cloud(points[order].astype(np.float64), unit[order])


def _turns(*, tilted: bool) -> list[tuple[np.ndarray, float]]:
    """Rotations to start from, each with the factor on its score: about +Y, then with another side up."""
    turns = [(Rotation.from_euler("y", angle, degrees=True).as_matrix(), 1.0) for angle in range(0, 360, 15)]
    if tilted:
        tilts = [("x", 90), ("x", -90), ("x", 180), ("z", 90), ("z", -90)]
        for axis, angle in tilts:
            tilt = Rotation.from_euler(axis, angle, degrees=True)
            for yaw in range(0, 360, 30):
                turns.append(((Rotation.from_euler("y", yaw, degrees=True) * tilt).as_matrix(), TILT_PENALTY))
    return turns


def _start(source: _Cloud, target: _Cloud, rotation: np.ndarray) -> Similarity:
    """Same centre, same spread."""
    spread = [float(np.sqrt(np.square(c.points - c.points.mean(0)).sum(1).mean())) for c in (source, target)]
    scale = spread[1] / max(spread[0], 1e-12)
    return Similarity(scale, rotation, target.points.mean(0) - scale * rotation @ source.points.mean(0))


def _icp(
    source: _Cloud, target: _Cloud, start: Similarity, size: float, iterations: int, *, upright: bool
) -> Similarity:
    """Trimmed ICP in both directions, since one alone lets the scale collapse."""
    current = start
    tree, features = cKDTree(target.features(size)), target.features(size)
    for _ in range(iterations):
        here = source.moved(current).features(size)
        forward, to_target = tree.query(here)
        backward, to_source = cKDTree(here).query(features)
        a, b = _nearest(forward), _nearest(backward)
        ours = np.concatenate([source.points[a], source.points[to_source[b]]])
        theirs = np.concatenate([target.points[to_target[a]], target.points[b]])
        current = _upright(ours, theirs) if upright else umeyama(ours, theirs)
    return current


def _upright(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The least-squares similarity among those that turn about +Y only."""
    a, b = source - source.mean(0), target - target.mean(0)
    sine = float((b[:, 0] * a[:, 2] - b[:, 2] * a[:, 0]).sum())
    cosine = float((b[:, 0] * a[:, 0] + b[:, 2] * a[:, 2]).sum())
    rotation = Rotation.from_euler("y", np.arctan2(sine, cosine)).as_matrix()
    scale = float((b * (a @ rotation.T)).sum() / max(float((a * a).sum()), 1e-30))
    return Similarity(scale, rotation, target.mean(0) - scale * rotation @ source.mean(0))


def _nearest(distance: np.ndarray) -> np.ndarray:
    """Indices of the KEPT_SHARE with the least distance."""
    return np.argpartition(distance, int(KEPT_SHARE * (len(distance) - 1)))[: int(KEPT_SHARE * len(distance))]


def _score(source: _Cloud, target: _Cloud, similarity: Similarity, size: float) -> float:
    """Trimmed mean distance in position and normal of FINE_POINTS of either to all of the other."""
    here, there = source.moved(similarity).features(size), target.features(size)
    distances = cKDTree(there).query(here[:FINE_POINTS])[0], cKDTree(here).query(there[:FINE_POINTS])[0]
    return float(sum(d[_nearest(d)].mean() for d in distances))


def _distance(source: _Cloud, target: _Cloud, similarity: Similarity) -> float:
    """Trimmed mean distance of positions, as in `_score`, mean of both directions."""
    here, there = similarity.apply(source.points), target.points
    distances = cKDTree(there).query(here[:FINE_POINTS])[0], cKDTree(here).query(there[:FINE_POINTS])[0]
    return float(np.mean([d[_nearest(d)].mean() for d in distances]))
