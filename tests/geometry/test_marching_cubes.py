from __future__ import annotations

import numpy as np
import pytest
from shapes import volume

from lim_cli.core.errors import LimError, NumericalError
from lim_cli.geometry.marching_cubes import EmptySurfaceError, extract_surface, surface_from_lattice
from lim_cli.geometry.mesh_cleanup import is_closed_manifold


def ball(points: np.ndarray, centre: tuple[float, float, float] = (0, 0, 0), radius: float = 0.6) -> np.ndarray:
    """Density 0.5 on the sphere, like a trained field: flat far away."""
    distance = radius - np.linalg.norm(points - np.asarray(centre), axis=1)
    return 1 / (1 + np.exp(-np.clip(distance / 0.03, -30, 30)))


def test_sphere() -> None:
    mesh = extract_surface(ball, level=0.5, resolution=48)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    np.testing.assert_allclose(radius, 0.6, atol=0.004)
    assert is_closed_manifold(mesh.faces)
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.01)  # positive: faces look outwards


@pytest.mark.parametrize("resolution", [33, 34, 47])
def test_coarse_to_fine_finds_what_the_full_lattice_finds(resolution: int) -> None:
    counted = {4: 0, 1: 0}

    def field(points: np.ndarray, stride: int) -> np.ndarray:
        counted[stride] += len(points)
        return ball(points, (0.2, 0, 0), 0.5) + ball(points, (-0.5, 0.1, 0), 0.3)

    fine = extract_surface(lambda p: field(p, 4), level=0.5, resolution=resolution)
    full = extract_surface(lambda p: field(p, 1), level=0.5, resolution=resolution, coarse_stride=1)
    np.testing.assert_array_equal(fine.vertices, full.vertices)
    np.testing.assert_array_equal(fine.faces, full.faces)
    assert counted[4] < 0.8 * counted[1]


def test_a_thin_part_is_followed_from_where_it_starts() -> None:
    def ball_on_stick(points: np.ndarray) -> np.ndarray:
        stick = 0.035 - np.hypot(points[:, 0] - 0.03, points[:, 1] - 0.03)  # between the coarse knots
        stick = np.minimum(stick, 0.9 - np.abs(points[:, 2]))
        return np.maximum(0.3 - np.linalg.norm(points, axis=1), stick)

    mesh = extract_surface(ball_on_stick, level=0.0, resolution=65)
    assert mesh.vertices[:, 2].max() == pytest.approx(0.9, abs=0.03)
    assert is_closed_manifold(mesh.faces)


def test_an_object_at_the_border_is_closed() -> None:
    mesh = extract_surface(lambda p: ball(p, (0.9, 0, 0)), level=0.5, resolution=32)
    assert is_closed_manifold(mesh.faces)
    assert mesh.vertices[:, 0].max() < 1 + 2 / 31


def test_bounds_and_axis_order() -> None:
    centre, bounds = (1.0, 2.0, 3.0), ((0.0, 0.0, 0.0), (2.0, 4.0, 6.0))
    mesh = extract_surface(lambda p: ball(p, centre, 0.8), level=0.5, resolution=49, bounds=bounds)
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
        extract_surface(lambda p: np.full(len(p), value), level=0.5, resolution=9)
    assert issubclass(EmptySurfaceError, LimError)


def test_nan_is_named() -> None:
    with pytest.raises(NumericalError, match="NaN"):
        extract_surface(lambda p: np.full(len(p), np.nan), level=0.5, resolution=9)
    with pytest.raises(NumericalError, match="NaN"):
        surface_from_lattice(np.full((4, 4, 4), np.inf), 0.5)
