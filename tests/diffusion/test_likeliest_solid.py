from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.rays import camera_rays
from lim_cli.diffusion.frustum_volume import DENSITY_SCALE, THICKNESS, march
from lim_cli.diffusion.likeliest_solid import likeliest_solids, solid_views

SIZE, PLANES = 32, 16
MIDDLE = SIZE // 4


@pytest.fixture
def cameras() -> Cameras:
    return orbit_cameras([0.0, 90.0, 180.0, 270.0], elevation=0.0, field_of_view=40.0, distance=3.0, size=(SIZE, SIZE))


def _volume(odds: Tensor) -> Tensor:
    """A grey volume [1, 4, plane, h, w] with odds [plane] in every column."""
    density = -torch.log1p(-odds) / THICKNESS
    logit = torch.log(torch.expm1(density / DENSITY_SCALE))
    volume = torch.zeros(1, 4, PLANES, SIZE // 2, SIZE // 2)
    volume[0, 0] = logit[:, None, None]
    return volume


def _decided(volumes: Tensor) -> Tensor:
    """Which planes [time, plane] of the column in the middle are filled."""
    solids = likeliest_solids(volumes, torch.ones(len(volumes), SIZE, SIZE))
    assert torch.equal(solids[:, 1:], volumes[:, 1:])
    return solids[:, 0, :, MIDDLE, MIDDLE] > 0


def test_likely_places_are_filled_and_unlikely_ones_empty() -> None:
    odds = torch.full((PLANES,), 0.1)
    odds[4:10] = 0.8
    assert _decided(_volume(odds))[0].nonzero().flatten().tolist() == [4, 5, 6, 7, 8, 9]
    solid = likeliest_solids(_volume(odds), torch.ones(1, SIZE, SIZE))
    step = 2 / PLANES
    opacity = 1 - torch.exp(-DENSITY_SCALE * torch.nn.functional.softplus(solid[0, 0, :, MIDDLE, MIDDLE]) * step)
    assert opacity[[5, 6, 7, 8]].min() > 0.99
    assert opacity[[0, 1, 12, 15]].max() < 0.01


def test_what_the_picture_shows_is_somewhere_and_no_deeper_than_its_odds_add_up_to() -> None:
    odds = 0.05 + 0.2 * torch.exp(-((torch.arange(PLANES) - 6.0) / 3).square())
    filled = _decided(_volume(odds))[0].nonzero().flatten().tolist()
    assert 6 in filled
    assert len(filled) <= math.ceil(float(odds.sum()))


def test_times_steady_one_another() -> None:
    sure, torn = torch.full((PLANES,), 0.01), torch.full((PLANES,), 0.01)
    sure[4:8], torn[4:8], torn[10:14] = 0.95, 0.5, 0.5
    alone = _decided(_volume(torn))[0]
    among = _decided(torch.cat([_volume(sure)] * 4 + [_volume(torn)]))[4]
    assert alone.nonzero().flatten().tolist() == [4, 5, 6, 7, 10, 11, 12, 13]
    assert among.nonzero().flatten().tolist() == [4, 5, 6, 7]


def test_rays_left_out_would_have_met_nothing(cameras: Cameras) -> None:
    generator = torch.Generator().manual_seed(0)
    volume = torch.rand(1, 4, PLANES, SIZE // 2, SIZE // 2, generator=generator) - 0.5
    volume[:, 0] = -27.0
    volume[:, 0, 5:8, 4:9, 6:12] = 6.0
    matte = torch.ones(1, SIZE, SIZE)
    origins, directions = camera_rays(cameras[1:])
    colour, opacity = march(volume, matte, cameras[:1], origins.flatten(0, 2)[None], directions.flatten(0, 2)[None])
    whole = torch.cat([colour[0], 2 * opacity[0, :, None] - 1], -1).view(3, SIZE, SIZE, 4).movedim(-1, 1)
    assert 0.02 < float((whole[:, 3] > 0).float().mean()) < 0.3
    torch.testing.assert_close(solid_views(volume, matte, cameras), whole, atol=2e-3, rtol=0)


def test_nothing_shows_of_nothing(cameras: Cameras) -> None:
    volume = torch.full((1, 4, PLANES, SIZE // 2, SIZE // 2), -27.0)
    drawn = solid_views(volume, torch.full((1, SIZE, SIZE), -1.0), cameras)
    assert torch.equal(drawn[:, 3], torch.full((3, SIZE, SIZE), -1.0))
    assert torch.equal(drawn[:, :3], torch.zeros(3, 3, SIZE, SIZE))
