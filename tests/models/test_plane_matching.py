from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lim_cli.models.plane_matching import Level, PlaneMatching, local_correlation

SIZE = 64
NEAR, FAR = Level(2, 4, 0.25), Level(4, 4, 0.75)


def textured_planes(size: int, planes: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return F.interpolate(torch.randn(planes, 8, size // 8, size // 8, generator=generator), size=size, mode="bicubic")


@pytest.mark.parametrize(
    ("alpha", "cells"),
    [(0.5, (4, 0)), (0.25, (-4, 8)), (0.5, (0, 0)), (0.5, (20, 0)), (0.25, (4, -16)), (1.0, (0, 16)), (0.0, (8, 0))],
)
def test_untrained_matching_finds_what_moved(alpha: float, cells: tuple[int, int]) -> None:
    middle = textured_planes(SIZE)
    # moves of whole cells at both ends: what is here at alpha was a part of the way back, and will be further on
    back = tuple(-round(alpha * c) for c in cells)
    ahead = tuple(round((1 - alpha) * c) for c in cells)
    source, target = (torch.roll(middle, shift[::-1], (-2, -1)) for shift in (back, ahead))
    matching = PlaneMatching(8, NEAR, FAR)
    share = torch.full((3, 1, 1, 1), alpha)
    with torch.no_grad():
        found = matching.velocity(source, target, share)
        assert (matching.corrections(source, target, found, share) == 0).all()
    expected = torch.tensor([ahead[0] - back[0], ahead[1] - back[1]]) * 2 / SIZE
    inner = found[..., 24:-24, 24:-24]
    error = (inner - expected.view(2, 1, 1)).norm(dim=1).mean()
    assert error < (0.05 if expected.abs().max() <= NEAR.reach else 0.1)  # levels have cells of 0.0625 and 0.125


def test_planes_tell_each_other_of_shared_axes_alone() -> None:
    exchange = PlaneMatching(8, NEAR, FAR, width=16).matching.exchanges[0]
    planes = torch.randn(3, 16, 12, 12, generator=torch.Generator().manual_seed(0))
    assert (exchange(planes) == 0).all()
    torch.nn.init.eye_(exchange.across.weight)
    torch.nn.init.eye_(exchange.down.weight)
    told = exchange(planes)
    changed = planes.clone()
    changed[0, :, 3, 5] += 1  # of plane xy: y is 3, x is 5
    seen = (exchange(changed) - told).abs().sum(1) > 1e-6
    expected = torch.zeros(3, 12, 12, dtype=torch.bool)
    expected[1, :, 5] = True  # of plane xz: where x is 5
    expected[2, :, 3] = True  # of plane yz: where y is 3
    assert torch.equal(seen, expected)


def test_local_correlation_is_highest_where_the_other_plane_has_the_same() -> None:
    first = F.normalize(textured_planes(16), dim=1)
    second = torch.roll(first, (1, -2), (-2, -1))
    found = local_correlation(first, second, 3)
    assert found.shape == (3, 49, 16, 16)
    best = found[..., 4:-4, 4:-4].argmax(1)
    assert ((best == (3 + 1) * 7 + (3 - 2)).float().mean() > 0.9).all()
