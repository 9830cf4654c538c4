from __future__ import annotations

import numpy as np
import pytest
import trimesh
from shapes import area, sphere, volume

from lim_cli.geometry.edge_collapse import replay_collapses
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.mesh_cleanup import (
    compact,
    face_components,
    is_closed_manifold,
    keep_components,
    simplify,
    smooth,
)


def together(*meshes: Mesh) -> Mesh:
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)])
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), faces.astype(np.int32))


def test_floaters_and_cavities_go() -> None:
    large, medium, small = sphere(0.5, 3), sphere(0.3, 3), sphere(0.02, 1)
    apart = Mesh(medium.vertices + np.float32(2), medium.faces)
    speck = Mesh(small.vertices - np.float32(2), small.faces)
    cavity = Mesh(sphere(0.4, 2).vertices, sphere(0.4, 2).faces[:, ::-1])
    scene = together(speck, large, cavity, apart)
    assert len(np.unique(face_components(scene))) == 4
    kept = keep_components(scene, 0.05)
    assert volume(kept) == pytest.approx(volume(large) + volume(apart), rel=1e-4)
    assert len(kept.vertices) == len(large.vertices) + len(apart.vertices)
    assert len(np.unique(face_components(keep_components(scene, 0.05, drop_cavities=False)))) == 3


@pytest.mark.parametrize("count", [2000, 300, 60])
def test_a_simplified_sphere_is_still_a_closed_sphere(count: int) -> None:
    mesh = simplify(sphere(1.0, 4), count)
    assert len(mesh.vertices) == pytest.approx(count, rel=0.05)
    assert is_closed_manifold(mesh.faces)
    assert len(mesh.vertices) - len(mesh.faces) // 2 == 2  # Euler's formula
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi, rel=6 / count)


def test_enough_vertices_already() -> None:
    mesh = sphere(1.0, 2)
    assert simplify(mesh, 10_000) is mesh


def test_replay_keeps_a_torus_a_torus_whatever_the_order() -> None:
    torus = trimesh.creation.torus(1.0, 0.25, major_sections=24, minor_sections=10)
    mesh = Mesh(np.asarray(torus.vertices, np.float32), np.asarray(torus.faces, np.int32))
    assert is_closed_manifold(mesh.faces)
    edges = np.random.default_rng(0).permutation(np.concatenate([mesh.faces[:, :2], mesh.faces[:, 1:]]))
    small = compact(replay_collapses(mesh, edges))
    assert is_closed_manifold(small.faces)
    assert len(small.vertices) < 0.7 * len(mesh.vertices)
    assert len(small.vertices) - len(small.faces) // 2 == 0  # one hole


def test_smoothing_takes_noise_and_leaves_volume() -> None:
    clean = sphere(1.0, 4)
    noise = np.random.default_rng(0).normal(size=clean.vertices.shape).astype(np.float32) * 0.01
    rough = Mesh(clean.vertices + noise, clean.faces)
    calm = smooth(rough, 10)
    assert np.std(np.linalg.norm(calm.vertices, axis=1)) < 0.5 * np.std(np.linalg.norm(rough.vertices, axis=1))
    assert volume(calm) == pytest.approx(volume(clean), rel=0.01)
    assert area(calm) < area(rough)
    assert smooth(rough, 0) is rough
