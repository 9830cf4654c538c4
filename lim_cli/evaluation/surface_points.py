"""Points on reconstructed surfaces, for distances: drawn by area, and carried along by a mesh."""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.mesh import Mesh, TrackedMesh


def surface_points(mesh: Mesh, count: int, *, attribute: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [count, 3] and what `attribute` [vertex, channel] is there."""
    face, share = _places(mesh, count)
    corners = mesh.faces[face]
    return _blend(mesh.vertices[corners], share), _blend(attribute[corners], share)


def random_points(mesh: Mesh, count: int) -> np.ndarray:
    """Points [count, 3] of a surface."""
    face, share = _places(mesh, count)
    return _blend(mesh.vertices[mesh.faces[face]], share)


def carried_points(track: TrackedMesh, count: int) -> np.ndarray:
    """Points drawn on the first mesh at all times, each in its place on its face: [time, count, 3]."""
    face, share = _places(track.at(0), count)
    return np.einsum("sk,tskc->tsc", share, track.vertices[:, track.faces[face]].astype(np.float64))


def _places(mesh: Mesh, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces [count], larger ones more often, and barycentric places on them [count, 3]."""
    rng = np.random.default_rng(0)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return rng.choice(len(area), count, p=area / area.sum()), rng.dirichlet(np.ones(3), count)


def _blend(corners: np.ndarray, share: np.ndarray) -> np.ndarray:
    return np.einsum("sk,skc->sc", share, corners.astype(np.float64))
