from __future__ import annotations

import numpy as np
import pytest
from shapes import sphere

from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.rasterize import rasterize_uv
from lim_cli.geometry.uv_atlas import unwrap


def test_the_atlas_is_the_same_surface() -> None:
    mesh = sphere(1.0, 3)
    vertex_map, faces, uv = unwrap(mesh, 256)
    np.testing.assert_array_equal(vertex_map[faces], mesh.faces)
    assert uv.shape == (len(vertex_map), 2)
    assert uv.min() >= 0
    assert uv.max() <= 1


def test_charts_do_not_overlap_and_fill_the_square() -> None:
    mesh = sphere(1.0, 3)
    _, faces, uv = unwrap(mesh, 256)
    corners = uv[faces].astype(np.float64) * 512
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    texels = 0.5 * np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).sum()
    covered = rasterize_uv(uv, faces, (512, 512)).mask.sum()
    assert covered == pytest.approx(texels, rel=0.01)  # an overlap would be counted twice
    assert covered / 512**2 > 0.4


def test_texel_density_is_even() -> None:
    mesh = sphere(1.0, 3)
    vertex_map, faces, uv = unwrap(mesh, 256)
    flat, solid = uv[faces].astype(np.float64), mesh.vertices[vertex_map][faces].astype(np.float64)
    one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    density = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])
    density /= np.linalg.norm(np.cross(solid[:, 1] - solid[:, 0], solid[:, 2] - solid[:, 0]), axis=1)
    low, high = np.percentile(density, [5, 95])
    assert high / low < 3


def test_no_faces() -> None:
    with pytest.raises(ValueError, match="at least one face"):
        unwrap(Mesh(np.zeros((3, 3), np.float32), np.zeros((0, 3), np.int32)), 64)
