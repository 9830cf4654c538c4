from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lim_cli.export.bone_keys import bone_keys, played

TIMES = np.arange(60) / 30


def turning(angles: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(np.outer(angles, [0, 0, 1])).as_quat()


def test_a_steady_turn_needs_its_ends_and_a_kink_its_own_key() -> None:
    still = np.zeros((60, 3))
    # Slow enough for the chord between its ends to be near the arc.
    steady = bone_keys(turning(0.2 * TIMES), still, TIMES, radius=1.0, tolerance=1e-3, quantized=False)
    np.testing.assert_array_equal(steady.frames, [0, 59])
    kinked = bone_keys(
        turning(0.2 * np.minimum(TIMES, TIMES[20])), still, TIMES, radius=1.0, tolerance=1e-4, quantized=False
    )
    np.testing.assert_array_equal(kinked.frames, [0, 20, 59])
    # Far round, readers that follow the chord must be near too.
    assert len(bone_keys(turning(1.5 * TIMES), still, TIMES, radius=1.0, tolerance=1e-3, quantized=False).frames) > 2


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-2])
def test_nothing_moves_further_than_the_tolerance(tolerance: float, quantized: bool) -> None:
    rng = np.random.default_rng(0)
    waves = np.cumsum(rng.normal(0, 0.006, (60, 3)), axis=0)
    turns, moves = Rotation.from_rotvec(waves), np.cumsum(rng.normal(0, 0.002, (60, 3)), axis=0)
    radius = 0.7
    keys = bone_keys(turns.as_quat(), moves, TIMES, radius=radius, tolerance=tolerance, quantized=quantized)
    matrices, moved = played(keys, TIMES)
    points = rng.normal(size=(200, 3))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    there = np.einsum("tij,vj->tvi", matrices, points) + moved[:, None]
    truth = np.einsum("tij,vj->tvi", turns.as_matrix(), points) + moves[:, None]
    rounding = radius * 2e-4 if quantized else 1e-6
    assert np.linalg.norm(there - truth, axis=2).max() < tolerance + rounding
    assert (len(keys.frames) < 40) == (tolerance == 1e-2)
    assert keys.rotations.dtype == (np.int16 if quantized else np.float32)


def test_keys_stay_where_leaving_them_out_saves_nothing() -> None:
    keys = bone_keys(turning(TIMES[:5]), np.zeros((5, 3)), TIMES[:5], radius=1.0, tolerance=1.0, quantized=True)
    np.testing.assert_array_equal(keys.frames, np.arange(5))


def test_one_frame_is_one_key() -> None:
    keys = bone_keys(turning(TIMES[:1]), np.ones((1, 3)), TIMES[:1], radius=1.0, tolerance=1.0, quantized=False)
    matrices, moved = played(keys, TIMES[:1])
    np.testing.assert_allclose(matrices, [np.eye(3)])
    np.testing.assert_allclose(moved, [[1, 1, 1]])
