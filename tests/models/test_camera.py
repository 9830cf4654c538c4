"""The camera estimator: odds over angles, and what it does with a clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lim_cli.core.config import to_plain
from lim_cli.core.errors import ConfigError, WeightsError
from lim_cli.models.camera import BLUR, BinsConfig, CameraEstimator, CameraEstimatorConfig, Odds
from lim_cli.models.checkpoints import save_model
from lim_cli.models.presets import camera_config, load_camera


def tiny() -> CameraEstimator:
    torch.manual_seed(0)
    return CameraEstimator(camera_config("tiny")).eval()


def test_odds_have_the_moments_of_what_they_say() -> None:
    odds = Odds(4, BinsConfig(-10, 30, 5))  # -10, 0, 10, 20, 30
    sure, torn = torch.full((2, 5), -100.0)
    sure[2], torn[[0, 4]] = 0, 0
    mean, spread = odds.moments(torch.stack([sure, torn]))
    np.testing.assert_allclose(mean, [10, 10], atol=1e-4)
    np.testing.assert_allclose(spread, [0, 20], atol=1e-3)


def test_the_loss_is_least_for_a_bell_about_the_truth() -> None:
    odds = Odds(4, BinsConfig(-10, 30, 41))
    centres, truth = torch.linspace(-10, 30, 41), torch.tensor([12.5])

    def bell(middle: float, width: float = BLUR) -> torch.Tensor:
        return (-0.5 * ((centres - middle) / width).square())[None]

    right = odds.loss(bell(12.5), truth)
    mean, spread = odds.moments(bell(12.5))
    assert float(mean) == pytest.approx(12.5, abs=1e-3)
    assert float(spread) == pytest.approx(BLUR, abs=1e-2)
    nearer, farther = odds.loss(bell(14), truth), odds.loss(bell(20), truth)
    assert right < nearer < farther
    assert right < odds.loss(bell(12.5, 1.0), truth)
    assert right < odds.loss(torch.zeros(1, 41), truth)


def test_a_mirrored_clip_has_the_same_camera_and_still_frames_say_no_more_than_one() -> None:
    model, frames = tiny(), torch.rand(3, 4, 48, 48, generator=torch.Generator().manual_seed(1))
    found = model.estimate(frames)
    assert model.estimate(frames.flip(-1)).elevation == pytest.approx(found.elevation, abs=1e-3)
    one, many = model.estimate(frames[:1]), model.estimate(frames[[0, 0, 0]])
    assert many.elevation == pytest.approx(one.elevation, abs=1e-3)
    assert many.elevation_spread == pytest.approx(one.elevation_spread, abs=1e-3)
    assert found.elevation != pytest.approx(one.elevation, abs=1e-5)


def test_it_is_saved_and_loaded_strictly(tmp_path: Path) -> None:
    model = tiny()
    save_model(tmp_path, model, to_plain(model.config), dtype=torch.float32)
    pictures = torch.rand(2, 4, 32, 32)
    torch.testing.assert_close(load_camera(tmp_path)(pictures)[0], model(pictures)[0])
    save_model(tmp_path, model, to_plain(replace(model.config, hidden=24)))
    with pytest.raises(WeightsError):
        load_camera(tmp_path)


@pytest.mark.parametrize("change", [{"image_size": 40}, {"hidden": 3}, {"widths": (8, 8, 12)}, {"image_size": 4096}])
def test_sizes_that_make_no_model_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        replace(CameraEstimatorConfig(), **change)
    with pytest.raises(ConfigError):
        BinsConfig(10, 0, 5)
