"""Faces as one triangle strip, which names most corners once instead of three times."""

from __future__ import annotations

import numpy as np

from lim_cli.core.cached_njit import cached_njit

GONE = 4
"""More than the neighbours any face has."""


def triangle_strip(faces: np.ndarray) -> np.ndarray:
    """One strip [corner] int32 that draws every face [face, 3] once, with its winding, and triangles without area.

    Corner i with the two after it is a face; every second one is turned round. The strip walks from face to face over
    shared edges, to the one with the fewer neighbours left, so that no face stays behind alone; a turn that breaks the
    zigzag repeats a corner. Where it is stuck, two corners are repeated and it starts again at the loneliest face.
    """
    faces = faces[np.all(faces != np.roll(faces, 1, axis=1), axis=1)]  # those without area draw nothing
    if len(faces) == 0:
        return np.zeros(0, np.int32)
    return np.asarray(_walk(np.ascontiguousarray(faces, np.int32), _neighbours(faces)))


def strip_faces(strip: np.ndarray) -> np.ndarray:
    """The faces [face, 3] that a strip [corner] draws, those without area left out."""
    corners = np.stack([strip[:-2], strip[1:-1], strip[2:]], axis=1)
    corners[1::2] = corners[1::2, [1, 0, 2]]
    a, b, c = corners.T
    return np.asarray(corners[(a != b) & (b != c) & (c != a)])


def _neighbours(faces: np.ndarray) -> np.ndarray:
    """[face, 3]: the face across edge (k, k + 1) that runs along it the other way; -1 where there is not just one."""
    start, end = faces.ravel().astype(np.int64), np.roll(faces, -1, axis=1).ravel().astype(np.int64)
    span = int(faces.max()) + 1
    key, across = start * span + end, end * span + start
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    at = np.searchsorted(ordered, across)
    found = np.minimum(at, len(key) - 1)
    single = (ordered[found] == across) & (np.searchsorted(ordered, across, side="right") == at + 1)
    own = np.searchsorted(ordered, key, side="right") - np.searchsorted(ordered, key) == 1
    return np.where(single & own, order[found] // 3, -1).reshape(-1, 3).astype(np.int32)


@cached_njit()
def _walk(faces: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    count = len(faces)
    done = np.zeros(count, np.bool_)
    trial = np.full(count, -1, np.int32)  # the last trial walk that came by
    trials = 0
    strip = np.empty(6 * count + 6, np.int32)
    length = 0
    for _ in range(count):
        start = _loneliest(done, neighbours)
        if start < 0:
            break
        turned = (length + 2) % 2 == 1 if length else False
        best, first = -1, 0
        for corner in range(3):
            trials += 1
            steps = _straight(faces, neighbours, done, trial, trials, start, corner, turned)
            if steps > best:
                best, first = steps, corner
        x, y, z = _corners(faces[start], first, turned)
        if length:
            strip[length] = strip[length - 1]
            strip[length + 1] = x
            length += 2
        strip[length], strip[length + 1], strip[length + 2] = x, y, z
        length += 3
        face = start
        done[face] = True
        while True:
            ahead, aside = _across(faces, neighbours, face, y, z), _across(faces, neighbours, face, x, z)
            free_ahead, free_aside = _free(done, neighbours, ahead), _free(done, neighbours, aside)
            if free_ahead == free_aside == GONE:
                break
            if free_ahead <= free_aside:
                face = ahead
                x, y = y, z
            else:
                # x, y, z becomes x, y, x, z: the same face, left over its other edge.
                strip[length - 1], strip[length] = x, z
                length += 1
                face = aside
                y = z
            z = _third(faces[face], x, y)
            strip[length] = z
            length += 1
            done[face] = True
    return strip[:length].copy()


@cached_njit()
def _loneliest(done: np.ndarray, neighbours: np.ndarray) -> int:
    best, face = GONE, -1
    for i in range(len(done)):
        free = _free(done, neighbours, i)
        if free < best:
            best, face = free, i
            if free == 0:
                break
    return face


@cached_njit()
def _free(done: np.ndarray, neighbours: np.ndarray, face: int) -> int:
    """How many neighbours of a face are to be drawn yet; GONE where it is no face, or drawn."""
    if face < 0 or done[face]:
        return GONE
    free = 0
    for k in range(3):
        if neighbours[face, k] >= 0 and not done[neighbours[face, k]]:
            free += 1
    return free


@cached_njit()
def _corners(face: np.ndarray, first: int, turned: bool) -> tuple[int, int, int]:
    x, y, z = face[first], face[(first + 1) % 3], face[(first + 2) % 3]
    return (y, x, z) if turned else (x, y, z)


@cached_njit()
def _straight(
    faces: np.ndarray,
    neighbours: np.ndarray,
    done: np.ndarray,
    trial: np.ndarray,
    mark: int,
    face: int,
    first: int,
    turned: bool,
) -> int:
    """How many faces follow without a repeated corner."""
    _, y, z = _corners(faces[face], first, turned)
    steps = 0
    while True:
        trial[face] = mark
        face = _across(faces, neighbours, face, y, z)
        if face < 0 or done[face] or trial[face] == mark:
            return steps
        y, z = z, _third(faces[face], y, z)
        steps += 1


@cached_njit()
def _across(faces: np.ndarray, neighbours: np.ndarray, face: int, a: int, b: int) -> int:
    for k in range(3):
        p, q = faces[face, k], faces[face, (k + 1) % 3]
        if (p == a and q == b) or (p == b and q == a):
            return int(neighbours[face, k])
    return -1


@cached_njit()
def _third(face: np.ndarray, a: int, b: int) -> int:
    for k in range(3):
        if face[k] != a and face[k] != b:
            return int(face[k])
    return int(face[0])
