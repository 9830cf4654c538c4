from __future__ import annotations

import torch
from tiny_models import textured_planes

from lim_cli.models.plane_restoration import PlaneRestoration


def ends(size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    planes = textured_planes(size, 6)
    return planes[:3], planes[3:]


def trained() -> PlaneRestoration:
    """One whose every weight counts."""
    torch.manual_seed(0)
    restoration = PlaneRestoration(8)
    with torch.no_grad():
        for parameter in restoration.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return restoration


def at(alpha: float) -> torch.Tensor:
    return torch.full((3, 1, 1, 1), alpha)


def test_untrained_it_is_the_blend() -> None:
    source, target = ends()
    with torch.no_grad():
        found = PlaneRestoration(8)(source, target, at(0.3))
    torch.testing.assert_close(found, torch.lerp(source, target, 0.3))


def test_either_end_stays_as_it_is() -> None:
    source, target = ends()
    with torch.no_grad():
        assert torch.equal(trained()(source, target, at(0.0)), source)
        assert torch.equal(trained()(source, target, at(1.0)), target)
        assert (trained()(source, target, at(0.5)) - torch.lerp(source, target, 0.5)).abs().mean() > 0.01


def test_time_may_run_backwards() -> None:
    source, target = ends()
    with torch.no_grad():
        torch.testing.assert_close(trained()(source, target, at(0.3)), trained()(target, source, at(0.7)))


def test_it_learns_what_blending_blurs() -> None:
    torch.manual_seed(0)
    restoration, sharp = PlaneRestoration(8), textured_planes(32)
    source, target = sharp.roll(1, -1), sharp.roll(-1, -1)
    blurred = (torch.lerp(source, target, 0.5) - sharp).abs().mean()
    optimizer = torch.optim.Adam(restoration.parameters(), 1e-3)
    for _ in range(40):
        error = (restoration(source, target, at(0.5)) - sharp).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert error < 0.8 * blurred
