from __future__ import annotations

import numpy as np
from bending_bar import bar_mesh, bend

from lim_cli.geometry.face_quality import FaceState
from lim_cli.geometry.face_repair import bad_faces, unfolded


def test_folds_go_and_the_rest_stays() -> None:
    mesh = bar_mesh(rings=33, per_side=5)
    bent = bend(mesh.vertices, 0.8)
    folded = bent.copy()
    for face in (100, 300, 500, 700, 900):  # a corner thrown over the opposite edge
        a, b, c = mesh.faces[face]
        folded[a] += 2.2 * ((bent[b] + bent[c]) / 2 - bent[a])
    before = bad_faces(FaceState.of(mesh.vertices, mesh.faces), FaceState.of(folded, mesh.faces)).sum()
    assert before >= 5
    healed = unfolded(mesh.vertices, folded, mesh.faces)
    assert bad_faces(FaceState.of(mesh.vertices, mesh.faces), FaceState.of(healed, mesh.faces)).sum() <= 0.2 * before
    assert np.linalg.norm(healed - bent, axis=1).max() < 0.5 * np.linalg.norm(folded - bent, axis=1).max()


def test_a_sound_mesh_is_left_alone() -> None:
    mesh = bar_mesh()
    bent = bend(mesh.vertices, 1.0)
    assert unfolded(mesh.vertices, bent, mesh.faces) is bent
