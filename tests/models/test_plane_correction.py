from __future__ import annotations

import torch
import torch.nn.functional as F
from tiny_models import textured_planes

from lim_cli.models.plane_correction import PlaneCorrection, local_correlation
from lim_cli.models.plane_layers import PlaneExchange

SIZE = 32


def test_untrained_it_corrects_nothing() -> None:
    correction, planes = PlaneCorrection(8), textured_planes(SIZE)
    with torch.no_grad():
        found = correction(planes, planes.roll(2, -1), torch.zeros(3, 2, SIZE, SIZE), torch.full((3, 1, 1, 1), 0.3))
    assert found.shape == (3, 4, SIZE, SIZE)
    assert (found == 0).all()


def test_it_learns_to_bring_planes_together() -> None:
    torch.manual_seed(0)
    correction, source = PlaneCorrection(8), textured_planes(SIZE)
    target, half = source.roll(2, -1), torch.full((3, 1, 1, 1), 0.5)  # two cells on along x: each end is one cell off
    still = torch.zeros(3, 2, SIZE, SIZE)
    wanted = torch.tensor([-2 / SIZE, 0, 2 / SIZE, 0]).view(4, 1, 1)
    optimizer = torch.optim.Adam(correction.parameters(), 3e-4)
    for _ in range(40):
        error = (correction(source, target, still, half) - wanted)[..., 8:-8, 8:-8].abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert error < 0.5 * wanted.abs().mean()


def test_planes_tell_each_other_of_shared_axes_alone() -> None:
    exchange = PlaneExchange(16)
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
