from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lim_cli.metrics.alignment import Similarity, align_similarity, umeyama
from lim_cli.metrics.chamfer import chamfer, chamfer_3d, chamfer_4d, chamfer_motion, chamfer_sequence

IDENTITY = Similarity(1.0, np.eye(3), np.zeros(3))


def blob(count: int = 600, seed: int = 0) -> np.ndarray:
    """Points on a lopsided ellipsoid with a horn, which no rotation maps to itself."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * [1.0, 0.6, 0.35]
    horn = directions[:, 0] > 0.5
    points[horn, 1] += 0.8 * (directions[horn, 0] - 0.5)
    points[directions[:, 2] > 0.7, 0] -= 0.3
    return points


def similarity() -> Similarity:
    rotation = Rotation.from_euler("xyz", [100, -40, 65], degrees=True).as_matrix()
    return Similarity(1.7, rotation, np.array([0.3, -2.0, 1.0]))


def test_umeyama_recovers_a_similarity_even_from_mirrored_noise() -> None:
    source, truth = blob(), similarity()
    found = umeyama(source, truth.apply(source))
    assert found.scale == pytest.approx(1.7)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, truth.translation, atol=1e-9)
    mirrored = umeyama(source, source * [-1, 1, 1])
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1.0)


def test_align_similarity_undoes_a_large_rotation_without_correspondences() -> None:
    source = blob()
    target = similarity().apply(source)[np.random.default_rng(1).permutation(len(source))]
    found = align_similarity(source, target)
    assert chamfer(found.apply(source), target) < 1e-3


def test_chamfer_of_two_shifted_points() -> None:
    a = np.array([[0.0, 0, 0], [10, 0, 0]])
    assert chamfer(a, a + [0, 0.5, 0]) == pytest.approx(1.0)
    assert chamfer(a[:1], a) == pytest.approx(0.0 + 5.0)


def test_cd_3d_forgives_what_varies_per_frame_and_cd_4d_does_not() -> None:
    frame = blob(300)
    truth = np.stack([frame, frame])
    moved = np.stack([frame, frame + [0.5, 0, 0]])
    assert chamfer_3d(moved, truth, all_rotations=False) < 1e-3
    assert chamfer_sequence(moved, truth, IDENTITY) > 0.05


def test_cd_motion_sees_sliding_that_shape_does_not_show() -> None:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(200)], -1)
    truth = np.stack([ring, ring])
    slid = np.stack([ring, np.roll(ring, 50, axis=0)])  # a quarter turn along itself
    assert chamfer_sequence(slid, truth, IDENTITY) == pytest.approx(0.0, abs=1e-12)
    # At the second of two times every point is sqrt(2) off, in both directions.
    assert chamfer_motion(slid, truth, IDENTITY) == pytest.approx(2**0.5)


def test_all_three_are_nought_for_a_sequence_moved_as_a_whole() -> None:
    frames = np.stack([blob(400), blob(400) * [1, 1.1, 1]])
    result = chamfer_4d(similarity().apply(frames), frames)
    assert max(result.cd_3d, result.cd_4d, result.cd_motion) < 2e-3


def test_mismatched_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="time"):
        chamfer_motion(np.zeros((2, 5, 3)), np.zeros((3, 5, 3)))
