from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from shapes import rotation, sphere

from lim_cli.geometry.canonical_matching import SurfaceSamples, match_canonical


def turned_sphere(degrees: float, noise: float = 0.0) -> tuple[SurfaceSamples, np.ndarray]:
    """20,000 samples of the unit sphere turned about y, and the rotation."""
    generator = np.random.default_rng(0)
    canonical = generator.normal(size=(20_000, 3))
    canonical /= np.linalg.norm(canonical, axis=1, keepdims=True)
    turn = rotation(degrees)
    positions = canonical @ turn.T
    seen = canonical + noise * generator.normal(size=canonical.shape)
    return SurfaceSamples(*(a.astype(np.float32) for a in (positions, seen, positions))), turn


@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 2.5e-3), (0.01, 0.012)])
def test_a_rotation_is_found(noise: float, tolerance: float) -> None:
    surface, turn = turned_sphere(12, noise)
    vertices = sphere(1.0, 3).vertices
    match = match_canonical(vertices, vertices, vertices, surface)
    error = np.linalg.norm(match.positions - vertices @ turn.T, axis=1)
    assert np.sqrt(np.mean(error**2)) < tolerance
    assert match.confidence.min() > 0.6
    assert match.confidence.max() <= 1


def test_the_local_linear_map_beats_the_plain_mean() -> None:
    surface, turn = turned_sphere(12)
    vertices = sphere(1.0, 3).vertices
    nearest = surface.positions[cKDTree(surface.canonical).query(vertices)[1]]
    match = match_canonical(vertices, vertices, vertices, surface)
    truth = vertices @ turn.T
    assert np.abs(match.positions - truth).mean() < 0.2 * np.abs(nearest - truth).mean()


def test_an_impossible_jump_is_not_believed() -> None:
    surface, _ = turned_sphere(90)
    vertices = sphere(1.0, 2).vertices
    match = match_canonical(vertices, vertices, vertices, surface, max_motion=0.3)
    far = np.linalg.norm(vertices[:, [0, 2]], axis=1) * np.sqrt(2) > 0.5
    assert (match.confidence[far] == 0).all()
    np.testing.assert_array_equal(match.positions[far], vertices[far])


def test_the_other_side_of_a_sheet_is_not_taken() -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60)))
    front, back = np.stack([x, y, 0 * x + 0.005], 1), np.stack([x, y, 0 * x - 0.005], 1)
    up = np.tile([0.0, 0.0, 1.0], (len(x), 1))
    positions = np.concatenate([front, back])
    surface = SurfaceSamples(positions, positions * [1, 1, 0], np.concatenate([up, -up]))
    vertices = front[::50]
    match = match_canonical(vertices, up[::50], vertices * [1, 1, 0], surface)
    np.testing.assert_allclose(match.positions, vertices, atol=0.01)
    assert (match.positions[:, 2] > 0.004).all()


def test_distance_in_canonical_space_lowers_confidence() -> None:
    surface, _ = turned_sphere(0)
    vertices = sphere(1.0, 2).vertices
    match = match_canonical(vertices, vertices, vertices * 1.05, surface, tolerance=0.05)
    # The sampling adds its own distance, which can only lower it.
    assert match.confidence.max() == pytest.approx(np.exp(-0.5), abs=0.02)
    assert match.confidence.min() > 0.3


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one shape"):
        SurfaceSamples(np.zeros((4, 3)), np.zeros((3, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="at least one"):
        SurfaceSamples(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)))
