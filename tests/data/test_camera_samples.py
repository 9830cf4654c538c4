"""The camera estimator's training pictures: what the camera of a crop is, and that the pictures show it."""

from __future__ import annotations

import numpy as np
import pytest

from lim_cli.core.camera import look_at, orbit_pose
from lim_cli.core.errors import ConfigError
from lim_cli.data.camera_samples import CameraSpec, camera_of_crop, random_crop, random_field_of_view
from lim_cli.data.dataset import ProceduralDataset
from lim_cli.video.cropping import CropInfo


@pytest.mark.parametrize("elevation", [-10.0, 0.0, 30.0])
def test_the_whole_picture_has_the_camera_s_own_angles(elevation: float) -> None:
    focal = 50 / np.tan(np.radians(20))
    found = camera_of_crop(orbit_pose(70, elevation, 3), focal, CropInfo(0, 0, 100, (100, 100)))
    np.testing.assert_allclose(found, (elevation, 40), atol=1e-4)


def test_a_crop_about_a_point_looks_at_that_point() -> None:
    focal, place = 120.0, np.array([1.0, 1.2, 2.5])
    whole = look_at(place, np.array([0.2, 0.3, 0.0]))  # aims beside the object
    local = -place @ whole[:3, :3]  # the origin, in the camera's axes
    right, down = focal * local[:2] / local[2]
    # a crop's sides are whole pixels, so that of two pixels has its middle within half a pixel
    crop = CropInfo(round(float(right)) + 49, round(float(down)) + 49, 2, (100, 100))
    elevation, field_of_view = camera_of_crop(whole, focal, crop)
    assert elevation == pytest.approx(np.degrees(np.arcsin(place[1] / np.linalg.norm(place))), abs=0.3)
    away = np.sqrt(focal**2 + right**2 + down**2)
    assert field_of_view == pytest.approx(2 * np.degrees(np.arctan(1 / away)), abs=1e-2)


def test_the_object_lies_inside_its_crop() -> None:
    alpha = np.zeros((60, 60), np.uint8)
    alpha[20:40, 5:30] = 255
    for seed in range(20):
        crop = random_crop(alpha, np.random.default_rng(seed))
        assert crop.left <= 5
        assert crop.left + crop.side >= 30
        assert crop.top <= 20
        assert crop.top + crop.side >= 40


def test_samples_are_repeatable_and_span_the_range() -> None:
    spec = CameraSpec(size=32)
    dataset, again = (ProceduralDataset(spec, seed=3) for _ in range(2))
    samples = [dataset[n] for n in range(12)]
    assert samples[0]["pictures"].shape == (4, 4, 32, 32)
    for name, value in again[7].items():
        np.testing.assert_array_equal(value, samples[7][name])
    elevations = np.concatenate([s["elevation"] for s in samples])
    assert elevations.min() < 5
    assert elevations.max() > 20
    shown = np.concatenate([s["pictures"][:, 3] for s in samples]) > 127
    assert shown.any((1, 2)).mean() > 0.95
    assert not shown[:, 0].any(1).all()  # free space above


def test_focal_lengths_are_those_of_photography() -> None:
    rng = np.random.default_rng(0)
    found = np.array([random_field_of_view(rng) for _ in range(500)])
    assert 22.5 < found.min() < 25
    assert 66 < found.max() < 71.6


def test_a_spec_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="usual_share"):
        CameraSpec(usual_share=2)
