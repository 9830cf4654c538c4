"""Edge collapses that keep a closed manifold a closed manifold.

A given order of collapses is replayed with quadric error positions (Garland and Heckbert 1997). A collapse is
left out when the link condition fails, that is when the edge's ends share more than two neighbours, or when
it would turn over a face.
"""

from __future__ import annotations

import numpy as np

from lim_cli.core.cached_njit import cached_njit
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import face_normals


def replay_collapses(mesh: Mesh, collapses: np.ndarray) -> Mesh:
    """Collapses edges [collapse, 2] (kept vertex, removed vertex) in order; unused vertices stay listed."""
    positions = mesh.vertices.astype(np.float64)
    faces = mesh.faces.astype(np.int32).copy()
    alive = np.ones(len(faces), bool)
    order = np.ascontiguousarray(collapses, dtype=np.int64)
    room = np.concatenate([positions, np.zeros((1, 3))])
    _replay(room, faces, alive, _vertex_quadrics(positions, faces), order)
    return Mesh(room[:-1].astype(np.float32), faces[alive])


def _vertex_quadrics(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Sum of squared plane distances around each vertex as a matrix [vertex, 4, 4], area-weighted."""
    normal = face_normals(positions, faces)
    length = np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    unit = normal / length
    plane = np.concatenate([unit, -np.sum(unit * positions[faces[:, 0]], axis=1, keepdims=True)], axis=1)
    outer = (plane[:, :, None] * plane[:, None, :] * length[:, :, None]).reshape(-1, 16)
    corners = faces.ravel()
    repeated = np.repeat(outer, 3, axis=0)
    sums = [np.bincount(corners, repeated[:, entry], minlength=len(positions)) for entry in range(16)]
    return np.stack(sums, axis=1).reshape(-1, 4, 4)


@cached_njit()
def _best_position(q: np.ndarray, keep: int, gone: int, middle: np.ndarray, p: np.ndarray) -> None:
    """Last row of positions `p` becomes the best one for the two vertices' quadric, by Cramer's rule.

    A small ridge towards the edge's `middle` keeps flat neighbourhoods in place.
    """
    a, b, c = q[keep, 0, 0] + q[gone, 0, 0], q[keep, 0, 1] + q[gone, 0, 1], q[keep, 0, 2] + q[gone, 0, 2]
    d, e, f = q[keep, 1, 1] + q[gone, 1, 1], q[keep, 1, 2] + q[gone, 1, 2], q[keep, 2, 2] + q[gone, 2, 2]
    ridge = 1e-4 * (a + d + f) + 1e-30
    x = ridge * middle[0] - q[keep, 0, 3] - q[gone, 0, 3]
    y = ridge * middle[1] - q[keep, 1, 3] - q[gone, 1, 3]
    z = ridge * middle[2] - q[keep, 2, 3] - q[gone, 2, 3]
    a, d, f = a + ridge, d + ridge, f + ridge
    xx, xy, xz = d * f - e * e, c * e - b * f, b * e - c * d
    yy, yz, zz = a * f - c * c, b * c - a * e, a * d - b * b
    scale = 1.0 / (a * xx + b * xy + c * xz)
    p[-1, 0] = (xx * x + xy * y + xz * z) * scale
    p[-1, 1] = (xy * x + yy * y + yz * z) * scale
    p[-1, 2] = (xz * x + yz * y + zz * z) * scale


@cached_njit()
def _normal(p: np.ndarray, i: int, j: int, k: int) -> tuple[float, float, float]:
    ux, uy, uz = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1], p[j, 2] - p[i, 2]
    vx, vy, vz = p[k, 0] - p[i, 0], p[k, 1] - p[i, 1], p[k, 2] - p[i, 2]
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx


@cached_njit()
def _turns_over(
    positions: np.ndarray,
    faces: np.ndarray,
    alive: np.ndarray,
    corner: int,
    next_corner: np.ndarray,
    other: int,
    target: int,
) -> bool:
    """Whether moving a vertex to row `target` of `positions` turns over one of its faces.

    `corner` starts the vertex's list; faces with the vertex `other` vanish and do not count.
    """
    while corner >= 0:
        face, place = corner // 3, corner % 3
        corner = next_corner[corner]
        if not alive[face] or faces[face, 0] == other or faces[face, 1] == other or faces[face, 2] == other:
            continue
        j, k = faces[face, (place + 1) % 3], faces[face, (place + 2) % 3]
        ax, ay, az = _normal(positions, faces[face, place], j, k)
        bx, by, bz = _normal(positions, target, j, k)
        lengths = np.sqrt((ax * ax + ay * ay + az * az) * (bx * bx + by * by + bz * bz))
        if ax * bx + ay * by + az * bz <= 0.1 * lengths:
            return True
    return False


@cached_njit()
def _replay(
    positions: np.ndarray, faces: np.ndarray, alive: np.ndarray, quadrics: np.ndarray, collapses: np.ndarray
) -> None:
    """Corner c = 3 face + place; each vertex owns a linked list of its corners, merged at a collapse.

    The last row of `positions` is room for the position under trial.
    """
    count = positions.shape[0] - 1
    middle = np.empty(3)
    head = np.full(count, -1, np.int64)
    tail = np.full(count, -1, np.int64)
    next_corner = np.full(3 * faces.shape[0], -1, np.int64)
    for corner in range(3 * faces.shape[0]):
        vertex = faces[corner // 3, corner % 3]
        if head[vertex] < 0:
            head[vertex] = corner
        else:
            next_corner[tail[vertex]] = corner
        tail[vertex] = corner
    owner = np.arange(count)
    stamp = np.full(count, -1, np.int64)
    for step in range(collapses.shape[0]):
        keep, gone = collapses[step, 0], collapses[step, 1]
        while owner[keep] != keep:
            keep = owner[keep]
        while owner[gone] != gone:
            gone = owner[gone]
        if keep == gone:
            continue
        corner = head[keep]
        while corner >= 0:
            if alive[corner // 3]:
                for place in range(3):
                    stamp[faces[corner // 3, place]] = 2 * step
            corner = next_corner[corner]
        if stamp[gone] != 2 * step:
            continue  # an earlier collapse was left out and the two are not neighbours
        shared = 0
        stamp[keep] = -1
        stamp[gone] = -1
        corner = head[gone]
        while corner >= 0:
            if alive[corner // 3]:
                for place in range(3):
                    vertex = faces[corner // 3, place]
                    if stamp[vertex] == 2 * step:
                        shared += 1
                        stamp[vertex] = 2 * step + 1
            corner = next_corner[corner]
        if shared != 2:
            continue
        for axis in range(3):
            middle[axis] = 0.5 * (positions[keep, axis] + positions[gone, axis])
        _best_position(quadrics, keep, gone, middle, positions)
        if _turns_over(positions, faces, alive, head[keep], next_corner, gone, count):
            continue
        if _turns_over(positions, faces, alive, head[gone], next_corner, keep, count):
            continue
        corner = head[gone]
        while corner >= 0:
            face = corner // 3
            if alive[face]:
                if faces[face, 0] == keep or faces[face, 1] == keep or faces[face, 2] == keep:
                    alive[face] = False
                else:
                    faces[face, corner % 3] = keep
            corner = next_corner[corner]
        next_corner[tail[keep]] = head[gone]
        tail[keep] = tail[gone]
        owner[gone] = keep
        for row in range(3):
            positions[keep, row] = positions[count, row]
        for row in range(4):
            for column in range(4):
                quadrics[keep, row, column] += quadrics[gone, row, column]
