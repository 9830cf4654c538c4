from __future__ import annotations

import numpy as np
import pytest
import trimesh
from bending_bar import bar_mesh

from lim_cli.geometry.triangle_strip import strip_faces, triangle_strip


def turned(faces: np.ndarray) -> list[tuple[int, ...]]:
    """The faces, each from its lowest corner on, sorted: equal for equal surfaces of equal winding."""
    return sorted(tuple(int(v) for v in np.roll(face, -int(np.argmin(face)))) for face in faces)


def grid(side: int) -> np.ndarray:
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


FAN = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5], [0, 5, 1]])
MESHES = {
    "one face": np.array([[0, 1, 2]]),
    "two apart": np.array([[0, 1, 2], [3, 5, 4]]),
    "fan": FAN,
    "three faces on one edge": np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]]),
    "neighbours of other winding": np.array([[0, 1, 2], [0, 1, 3]]),
    "one face twice": np.array([[0, 1, 2], [0, 1, 2]]),
    "both sides": np.array([[0, 1, 2], [0, 2, 1]]),
    "grid": grid(12),
    "sphere": np.asarray(trimesh.creation.icosphere(3).faces),
    "bar": bar_mesh(20).faces,
    "shuffled": np.random.default_rng(0).permutation(np.asarray(trimesh.creation.torus(2, 1).faces)),
}


@pytest.mark.parametrize("faces", MESHES.values(), ids=MESHES.keys())
def test_a_strip_draws_every_face_once_with_its_winding(faces: np.ndarray) -> None:
    assert turned(strip_faces(triangle_strip(faces))) == turned(faces)


def test_a_strip_is_half_as_long_as_a_list() -> None:
    for name, most in (("sphere", 1.5), ("grid", 1.3), ("bar", 1.5), ("shuffled", 1.5)):
        faces = MESHES[name]
        assert len(triangle_strip(faces)) < most * len(faces), name
    assert len(triangle_strip(np.zeros((0, 3), np.int32))) == 0
