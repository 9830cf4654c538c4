from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from shapes import volume

from lim_cli.core.errors import LimError, NumericalError
from lim_cli.geometry.marching_cubes import UNIT_BOX, Bounds, EmptySurfaceError, surface_from_lattice
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.mesh_cleanup import is_closed_manifold


def meshed(
    density: Callable[[np.ndarray], np.ndarray], *, resolution: int, level: float = 0.5, bounds: Bounds = UNIT_BOX
) -> Mesh:
    """The mesh of a density evaluated on the whole lattice."""
    axes = [np.linspace(low, high, resolution) for low, high in zip(*bounds, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    return surface_from_lattice(density(points).reshape((resolution,) * 3), level, bounds)


def ball(points: np.ndarray, centre: tuple[float, float, float] = (0, 0, 0), radius: float = 0.6) -> np.ndarray:
    """Density 0.5 on the sphere, like a trained field: flat far away."""
    distance = radius - np.linalg.norm(points - np.asarray(centre), axis=1)
    return 1 / (1 + np.exp(-np.clip(distance / 0.03, -30, 30)))


def test_sphere() -> None:
    mesh = meshed(ball, resolution=48)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    np.testing.assert_allclose(radius, 0.6, atol=0.004)
    assert is_closed_manifold(mesh.faces)
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.01)  # positive: faces look outwards


def test_an_object_at_the_border_is_closed() -> None:
    mesh = meshed(lambda p: ball(p, (0.9, 0, 0)), resolution=32)
    assert is_closed_manifold(mesh.faces)
    assert mesh.vertices[:, 0].max() < 1 + 2 / 31


def test_bounds_and_axis_order() -> None:
    centre, bounds = (1.0, 2.0, 3.0), ((0.0, 0.0, 0.0), (2.0, 4.0, 6.0))
    mesh = meshed(lambda p: ball(p, centre, 0.8), resolution=49, bounds=bounds)
    np.testing.assert_allclose(mesh.vertices.min(0), np.array(centre) - 0.8, atol=0.03)
    np.testing.assert_allclose(mesh.vertices.max(0), np.array(centre) + 0.8, atol=0.03)


def test_noise_is_meshed_without_holes_or_degenerate_faces() -> None:
    values = np.random.default_rng(0).normal(size=(16, 16, 16))
    values[3, 3, 3] = 0.0  # exactly on the level
    mesh = surface_from_lattice(values, 0.0)
    assert is_closed_manifold(mesh.faces)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert area.min() > 0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_surface(value: float) -> None:
    with pytest.raises(EmptySurfaceError, match="No surface"):
        meshed(lambda p: np.full(len(p), value), resolution=9)
    assert issubclass(EmptySurfaceError, LimError)


def test_nan_is_named() -> None:
    with pytest.raises(NumericalError, match="NaN"):
        surface_from_lattice(np.full((4, 4, 4), np.nan), 0.5)
    with pytest.raises(NumericalError, match="NaN"):
        surface_from_lattice(np.full((4, 4, 4), np.inf), 0.5)
