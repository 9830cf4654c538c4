from __future__ import annotations

import numpy as np
import pytest

from lim_cli.geometry.temporal_smoothing import smooth_track


def test_constant_acceleration_is_untouched() -> None:
    time = np.arange(20.0)[:, None, None]
    track = (1 + 0.3 * time + 0.02 * time**2) * np.ones((1, 5, 3))
    np.testing.assert_allclose(smooth_track(track), track, rtol=1e-6)


def test_jitter_shrinks_and_a_swing_keeps_its_reach() -> None:
    time = np.arange(60) / 30
    swing = np.sin(2 * np.pi * time)[:, None, None] * np.ones((1, 200, 3))
    noisy = swing + 0.01 * np.random.default_rng(0).normal(size=swing.shape)
    calm = smooth_track(noisy)
    assert np.std(calm - swing) < 0.75 * np.std(noisy - swing)
    assert np.ptp(calm.mean(axis=1)[:, 0]) == pytest.approx(2.0, rel=0.01)


def test_an_impact_is_kept() -> None:
    track = np.zeros((21, 50, 3)) + 1e-4 * np.random.default_rng(0).normal(size=(21, 50, 3))
    track[10:] += 1.0
    calm = smooth_track(track)
    assert np.abs(calm - track).max() < 0.01


def test_short_tracks_and_bad_windows() -> None:
    track = np.random.default_rng(0).normal(size=(3, 4, 3))
    assert smooth_track(track) is track
    with pytest.raises(ValueError, match="odd window"):
        smooth_track(track, window=4)
