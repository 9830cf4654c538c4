"""Lets faces that have turned over or lost their area follow the mesh around them."""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.face_quality import FaceState

NEEDLE = 0.02
STIFFNESS = 0.3
ITERATIONS = 6


def unfolded(rest: np.ndarray, vertices: np.ndarray, faces: np.ndarray, *, rounds: int = 5) -> np.ndarray:
    """Vertices [vertex, 3] like `vertices`, but settled anew about `faces` that are unlike themselves in `rest`.

    Round by round a wider ring of vertices about each such face forgets its place and keeps only its shape; all
    others stay where they are, so that only the neighbourhood is solved for. The better of before and after is kept.
    """
    sound = FaceState.of(rest, faces)
    best, least = vertices, bad_faces(sound, FaceState.of(vertices, faces))
    bad, current = least, vertices
    for ring in range(rounds):
        if not bad.any():
            break
        loose = np.zeros(len(vertices), bool)
        loose[faces[bad]] = True
        for _ in range(ring):
            loose[faces[loose[faces].any(1)]] = True
        current = _settled(rest, current, faces, loose)
        bad = bad_faces(sound, FaceState.of(current, faces))
        if bad.sum() < least.sum():
            best, least = current, bad
    return best


def _settled(rest: np.ndarray, vertices: np.ndarray, faces: np.ndarray, loose: np.ndarray) -> np.ndarray:
    """`vertices` with the `loose` ones [vertex] bool where the shape of `rest` wants them between all others."""
    touched = faces[loose[faces].any(1)]
    used, corners = np.unique(touched, return_inverse=True)
    solver = ArapSolver(rest[used], corners.reshape(-1, 3), "uniform")
    hold = np.where(loose[used], 0.0, 1.0)
    found = solver.fit(vertices[used], vertices[used], hold, stiffness=STIFFNESS, iterations=ITERATIONS)
    result = vertices.copy()
    result[used[loose[used]]] = found[loose[used]]
    return result


def bad_faces(rest: FaceState, now: FaceState) -> np.ndarray:
    """Faces [face] bool that are turned over against `rest`, or needles now and not there."""
    return np.asarray(now.flipped_since(rest) | ((now.quality < NEEDLE) & (rest.quality >= NEEDLE)))
