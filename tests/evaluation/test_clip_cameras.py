"""The judge of the camera estimator: its clips, and its figures for an estimator whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.evaluation.clip_cameras import camera_errors, drawn_clip
from lim_cli.models.camera import CameraEstimator
from lim_cli.models.presets import camera_config


def test_an_estimator_that_always_says_the_same_is_no_better_than_the_best_constant() -> None:
    model = CameraEstimator(camera_config("tiny")).eval()
    bins = model.config.elevation
    with torch.no_grad():
        model.elevation.linear.weight.zero_()
        model.elevation.linear.bias.fill_(-30.0)
        model.elevation.linear.bias[-1] = 0.0  # sure of the last bin
    report = camera_errors(model, 3)
    (rows,) = report.result.values()
    truth = np.array([case["elevation"] for case in report.cases])
    assert rows["estimated"]["elevation_error"] == pytest.approx(np.abs(bins.highest - truth).mean(), abs=0.02)
    assert rows["best constant"]["elevation_error"] == pytest.approx(np.abs(np.median(truth) - truth).mean(), abs=0.02)
    assert rows["estimated"]["within"] == 0
    assert {case["estimated_elevation"] for case in report.cases} == {bins.highest}


def test_clips_are_cropped_as_the_stages_crop_them() -> None:
    rgba, elevation, field_of_view = drawn_clip(
        ProceduralObject.draw(np.random.default_rng(0)), np.random.default_rng(1)
    )
    assert rgba.shape == (8, 128, 128, 4)
    seen = (rgba[..., 3] > 127).any(0)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(128 / 1.2, abs=4)
    assert -30 < elevation < 65
    assert 5 < field_of_view < 75
