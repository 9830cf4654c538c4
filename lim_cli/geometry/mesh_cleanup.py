"""After marching cubes: floaters go, the vertex count comes down, lattice steps are smoothed."""

from __future__ import annotations

import fast_simplification
import numpy as np
import trimesh
from scipy import sparse
from scipy.sparse import csgraph
from trimesh import smoothing

from lim_cli.geometry.edge_collapse import replay_collapses
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import face_normals


def face_components(mesh: Mesh) -> np.ndarray:
    """Number of the connected piece [face] int32 that each face belongs to."""
    a, b = mesh.faces[:, [0, 1]].ravel(), mesh.faces[:, [1, 2]].ravel()
    count = len(mesh.vertices)
    graph = sparse.coo_matrix((np.ones(len(a), bool), (a, b)), shape=(count, count))
    _, labels = csgraph.connected_components(graph, directed=False)
    return np.asarray(labels[mesh.faces[:, 0]], dtype=np.int32)


def keep_components(mesh: Mesh, min_fraction: float, *, drop_cavities: bool = True) -> Mesh:
    """Without pieces of less than `min_fraction` of the largest piece's area, and without inner cavities.

    A cavity is a piece whose signed volume is negative: nobody sees it, and it would cost vertices.
    """
    if len(mesh.faces) == 0:
        return mesh
    _, piece = np.unique(face_components(mesh), return_inverse=True)
    doubled = face_normals(mesh.vertices.astype(np.float64), mesh.faces)
    area = np.bincount(piece, np.linalg.norm(doubled, axis=1))
    volume = np.bincount(piece, np.sum(mesh.vertices[mesh.faces[:, 0]] * doubled, axis=1))
    keep = area >= min_fraction * area.max()
    if drop_cavities:
        keep &= (volume > 0) | (area == area.max())
    return compact(Mesh(mesh.vertices, mesh.faces[keep[piece]]))


def compact(mesh: Mesh) -> Mesh:
    """The same mesh without vertices that no face uses."""
    used, faces = np.unique(mesh.faces, return_inverse=True)
    return Mesh(mesh.vertices[used], np.asarray(faces).reshape(-1, 3).astype(np.int32))


def is_closed_manifold(faces: np.ndarray) -> bool:
    """Every directed edge occurs once and its reverse once: closed, consistently oriented, manifold edges."""
    a = faces[:, [0, 1, 2]].ravel().astype(np.int64)
    b = faces[:, [1, 2, 0]].ravel().astype(np.int64)
    count = int(faces.max(initial=0)) + 1
    forward, backward = np.sort(a * count + b), np.sort(b * count + a)
    return bool(np.all(a != b) and np.all(np.diff(forward) > 0) and np.array_equal(forward, backward))


def simplify(mesh: Mesh, vertex_count: int) -> Mesh:
    """About `vertex_count` vertices by quadric edge collapses; a closed manifold stays one.

    The library's collapses are taken in its order, but one that would pinch the surface (the link
    condition fails) or turn a face over is left out, so slightly more vertices can remain.
    """
    if vertex_count < 4:
        raise ValueError(f"expected vertex_count >= 4, got {vertex_count}")
    if vertex_count >= len(mesh.vertices):
        return mesh
    target = max(4, len(mesh.faces) - 2 * (len(mesh.vertices) - vertex_count))
    points, faces, collapses = fast_simplification.simplify(
        mesh.vertices.astype(np.float64), mesh.faces, target_count=target, agg=5.0, return_collapses=True
    )
    if is_closed_manifold(faces) or not is_closed_manifold(mesh.faces):
        return compact(Mesh(points.astype(np.float32), faces.astype(np.int32)))
    return compact(replay_collapses(mesh, collapses))


def smooth(mesh: Mesh, iterations: int) -> Mesh:
    """Taubin smoothing (lambda 0.5, mu 0.53): lattice steps go, the volume stays."""
    if iterations <= 0:
        return mesh
    work = trimesh.Trimesh(mesh.vertices.astype(np.float64), mesh.faces, process=False)
    # trimesh counts the shrinking and the growing half-step separately.
    smoothing.filter_taubin(work, lamb=0.5, nu=0.53, iterations=2 * iterations)  # type: ignore[no-untyped-call]
    return Mesh(np.asarray(work.vertices, dtype=np.float32), mesh.faces)
