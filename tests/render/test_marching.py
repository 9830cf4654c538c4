from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lim_cli.core.rays import intersect_box
from lim_cli.render.marching import march_ray_slowly, march_rays


def rays(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1) * 3
    towards = 0.6 * torch.randn(count, 3, generator=generator) - origins
    return origins.double(), torch.nn.functional.normalize(towards, dim=-1).double()


def blob(scale: Tensor) -> object:
    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        sigma = scale[0] * torch.exp(-scale[1] * points.square().sum(-1))
        return sigma, torch.sin(points * scale[2])

    return field


def test_agrees_with_its_slow_twin_in_values_and_gradients() -> None:
    origins, directions = rays(6)
    scale = torch.tensor([4.0, 2.0, 1.5], dtype=torch.float64, requires_grad=True)
    fast = march_rays(blob(scale), origins[None], directions[None], samples=12)  # type: ignore[arg-type]
    slow = [march_ray_slowly(blob(scale), o, d, samples=12) for o, d in zip(origins, directions, strict=True)]  # type: ignore[arg-type]
    for found, expected in zip((fast.values, fast.opacity, fast.ray_length), zip(*slow, strict=True), strict=True):
        wanted = torch.stack(list(expected))
        torch.testing.assert_close(found[0], wanted)
        weights = torch.linspace(1, 2, wanted.numel(), dtype=torch.float64).view(wanted.shape)
        gradients = [torch.autograd.grad((x * weights).sum(), scale, retain_graph=True)[0] for x in (found[0], wanted)]
        torch.testing.assert_close(gradients[0], gradients[1])


def test_gradients_are_right() -> None:
    origins, directions = rays(3)

    def render(scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = march_rays(blob(scale), origins[None], directions[None], samples=6)  # type: ignore[arg-type]
        return found.values, found.opacity, found.ray_length

    scale = torch.tensor([4.0, 2.0, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(render, (scale,))


@pytest.mark.parametrize("jitter", [False, True])
def test_a_homogeneous_slab_has_the_analytic_opacity(jitter: bool) -> None:
    origins, directions = torch.tensor([[[0.2, -0.3, 3.0]]]), torch.tensor([[[0.0, 0.0, -1.0]]])
    sigma = 0.7
    generator = torch.Generator().manual_seed(0) if jitter else None
    found = march_rays(
        lambda p: (torch.full(p.shape[:2], sigma), torch.ones(*p.shape[:2], 1)),
        origins,
        directions,
        samples=64,
        generator=generator,
    )
    expected = 1 - torch.exp(torch.tensor(-2 * sigma))
    assert found.opacity.item() == pytest.approx(expected.item(), abs=1e-6)
    assert found.values.item() == pytest.approx(expected.item(), abs=1e-6)
    mean = 2 + 1 / sigma - 2 * (1 - expected.item()) / expected.item()  # of the cut exponential
    assert found.ray_length.item() == pytest.approx(mean, abs=2e-3)


def test_rays_that_miss_or_meet_nothing_are_empty() -> None:
    origins = torch.tensor([[[0.0, 3.0, 3.0], [0.0, 0.0, 3.0]]])
    directions = torch.tensor([[[0.0, 0.0, -1.0], [0.0, 0.0, -1.0]]])
    found = march_rays(
        lambda p: (1e4 * (p[..., 1] > 2).float(), torch.ones(*p.shape[:2], 3)), origins, directions, samples=8
    )
    assert found.opacity.abs().max() == 0
    assert found.ray_length.abs().max() == 0
    assert torch.isfinite(found.values).all()


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        march_ray_slowly(lambda p: (p[..., 0], p), torch.zeros(3), torch.ones(3), samples=0)


def test_intersections_with_the_cube() -> None:
    origins = torch.tensor([[0.0, 0, 3], [0.0, 0, 0], [0.0, 0, 3], [3.0, 3, 0], [0.5, 3.0, 0]])
    directions = torch.tensor([[0.0, 0, -1], [1.0, 0, 0], [0.0, 0, 1], [-1.0, -1, 0], [0.0, -1, 0]])
    directions = torch.nn.functional.normalize(directions, dim=-1)
    near, far = intersect_box(origins, directions)
    root = 2**0.5
    torch.testing.assert_close(near, torch.tensor([2.0, 0.0, 0.0, 2 * root, 2.0]))
    torch.testing.assert_close(far, torch.tensor([4.0, 1.0, 0.0, 4 * root, 4.0]))
