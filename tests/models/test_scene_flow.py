from __future__ import annotations

import math

import torch

from lim_cli.models.scene_flow import RotaryAttention, SceneFlow, Turn
from lim_cli.models.surface_points import SurfacePoints


def cloud(seed: int, count: int = 60) -> SurfacePoints:
    generator = torch.Generator().manual_seed(seed)
    positions = torch.rand(1, count, 3, generator=generator) - 0.5
    return SurfacePoints(
        positions,
        torch.nn.functional.normalize(positions, dim=-1),
        torch.rand(1, count, 3, generator=generator),
        torch.randn(1, count, 12, generator=generator),
    )


def moved(points: SurfacePoints, way: torch.Tensor, order: torch.Tensor) -> SurfacePoints:
    places = points.positions + way
    return SurfacePoints(*(part[:, order] for part in (places, points.normals, points.colours, points.features)))


def small(seed: int = 0) -> SceneFlow:
    torch.manual_seed(seed)
    return SceneFlow(12, 64, 2, (1, 1, 1))


def test_attention_knows_places_relative_to_each_other_alone() -> None:
    torch.manual_seed(0)
    attention, tokens = RotaryAttention(64, 2), torch.randn(1, 20, 64)
    places = torch.rand(1, 20, 3)
    with torch.no_grad():
        found, shifted, spread = (
            attention(tokens, Turn(p), tokens, Turn(p)) for p in (places, places + 0.7, places * 1.5)
        )
    torch.testing.assert_close(found, shifted, atol=1e-4, rtol=1e-4)
    assert (found - spread).abs().max() > 1e-3


def test_gradients_take_the_same_attention() -> None:
    torch.manual_seed(0)
    attention, tokens, places = RotaryAttention(64, 2), torch.randn(1, 20, 64), Turn(torch.rand(1, 20, 3))
    with torch.no_grad():
        fused = attention(tokens, places, tokens, places)
    torch.testing.assert_close(attention(tokens, places, tokens, places).detach(), fused, atol=1e-5, rtol=1e-5)


def test_sources_and_targets_are_treated_alike() -> None:
    flow, source, target = small(), cloud(0), cloud(1)
    for parameter in flow.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    with torch.no_grad():
        there, back = flow(source, target), flow(target, source)
    for found, turned in zip(there, back, strict=True):
        torch.testing.assert_close(found, turned.flip(0), atol=1e-4, rtol=1e-4)


def test_it_learns_how_parts_move() -> None:
    flow, points = small(), cloud(0)
    generator = torch.Generator().manual_seed(3)
    optimizer = torch.optim.Adam(flow.parameters(), 3e-4)
    errors = []
    for _ in range(80):
        order = torch.randperm(60, generator=generator)
        # one half goes up, the other to the side
        high = (points.positions[..., :1] > 0).float()
        way = 0.3 * torch.cat([1 - high, high, torch.zeros_like(high)], -1)
        _, found, _ = flow(points, moved(points, way, order))
        error = (found - torch.stack([way, -way[:, order]])).norm(dim=-1).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert math.isfinite(errors[-1])
    assert errors[-1] < 0.3 * errors[0]
