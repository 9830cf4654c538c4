"""Training pictures of the frustum volume: that points lie where they should, and whether they are inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from moving_shapes import ball

from lim_cli.core.camera import project
from lim_cli.core.errors import ConfigError
from lim_cli.data.asset_library import AssetLibrary
from lim_cli.data.dataset import ProceduralDataset
from lim_cli.data.frustum_samples import FrustumSpec
from lim_cli.data.rigged_object import RiggedPose
from tests.data.rigged_cubes import turning_cube

SPEC = FrustumSpec(size=48, points=600)


def behind_the_matte(sample: dict[str, np.ndarray]) -> np.ndarray:
    """Opacity [point] of view 0 where each point is seen."""
    lens, pose = (torch.from_numpy(sample[name][:1]) for name in ("intrinsics", "world_from_camera"))
    pixels, depth = project(torch.from_numpy(sample["points"])[None], pose, lens)
    assert float(depth.min()) > 0
    column, row = pixels[0].long().numpy().T
    return sample["images"][0, 3, row, column]


def test_points_of_a_ball() -> None:
    sample = SPEC.draw(ball(), np.random.default_rng(0))
    assert sample["images"].shape == (4, 4, 48, 48)
    assert sample["images"].dtype == np.uint8
    away = np.linalg.norm(sample["points"], axis=1)
    assert away.max() <= 1 + 1e-6
    assert (behind_the_matte(sample) > 127).all()
    largest, smallest = away[sample["inside"]].max(), away[~sample["inside"]].min()
    assert 0.75 < largest <= smallest + 1e-3  # the ball is framed with at least .8 of the unit ball
    assert 0.4 < sample["inside"].mean() < 0.99


def test_inside_a_mesh(tmp_path: Path) -> None:
    turning_cube(tmp_path / "cube.glb")
    source = AssetLibrary(tmp_path).draw(np.random.default_rng(0))
    posed = source.normalised(np.array([0.0, 1.0]), 0.9).poses(np.array([0.3]))[0]
    assert isinstance(posed, RiggedPose)
    corners = np.unique(posed.vertices.round(5), axis=0)
    edges = (corners - corners[0])[np.argsort(np.linalg.norm(corners - corners[0], axis=1))[1:4]]
    points = np.random.default_rng(1).uniform(-1, 1, (4000, 3)).astype(np.float32)
    shares = (points - corners[0]) @ np.linalg.inv(edges)
    truth = ((shares > 0) & (shares < 1)).all(1)
    beside = np.minimum(np.abs(shares), np.abs(shares - 1)).min(1) > 1e-3  # of the faces
    assert 200 < truth.sum() < 3000
    assert (posed.inside(points) == truth)[beside].all()
    sample = SPEC.draw(source, np.random.default_rng(1))
    assert (behind_the_matte(sample) > 127).all()
    assert 50 < sample["inside"].sum() < 550


def test_samples_are_repeatable_and_differ() -> None:
    dataset, again = (ProceduralDataset(SPEC, seed=3) for _ in range(2))
    samples = [dataset[n] for n in range(6)]
    for name, value in again[4].items():
        np.testing.assert_array_equal(value, samples[4][name])
    assert len({sample["points"].tobytes() for sample in samples}) == 6
    assert 0.05 < np.mean([sample["inside"].mean() for sample in samples]) < 0.6


def test_an_object_thinner_than_a_pixel_has_points_too() -> None:
    sample = FrustumSpec(size=4, points=50).draw(ball(radius=1e-3), np.random.default_rng(0))
    assert np.isfinite(sample["points"]).all()
    assert sample["points"].shape == (50, 3)


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="points"):
        FrustumSpec(size=8, points=0)
