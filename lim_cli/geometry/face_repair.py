"""Lets faces that have turned over or lost their area follow the mesh around them."""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.face_quality import face_quality, flipped_faces

NEEDLE = 0.02
STIFFNESS = 0.3


def unfolded(solver: ArapSolver, rest: np.ndarray, vertices: np.ndarray, *, rounds: int = 4) -> np.ndarray:
    """Vertices [vertex, 3] like `vertices`, but settled anew about faces that are unlike themselves in `rest`.

    Round by round a wider ring of vertices about each such face forgets its place and keeps only its shape; all
    others stay nearly where they are. The better of before and after is kept.
    """
    best, least = vertices, bad_faces(rest, vertices, solver.faces)
    bad = least
    current = vertices
    for ring in range(rounds):
        if not bad.any():
            break
        loose = np.zeros(len(vertices), bool)
        loose[solver.faces[bad]] = True
        for _ in range(ring):
            loose[solver.faces[loose[solver.faces].any(1)]] = True
        hold = np.where(loose, 0.0, 1.0)
        current = solver.fit(current, vertices, hold, stiffness=STIFFNESS, iterations=6)
        bad = bad_faces(rest, current, solver.faces)
        if bad.sum() < least.sum():
            best, least = current, bad
    return best


def bad_faces(rest: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces [face] bool that are turned over against `rest`, or needles now and not there."""
    turned = flipped_faces(rest, vertices, faces).flipped
    return np.asarray(turned | ((face_quality(vertices, faces) < NEEDLE) & (face_quality(rest, faces) >= NEEDLE)))
