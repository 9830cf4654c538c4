from __future__ import annotations

import torch
from tiny_models import tiny_lrm

from lim_cli.models.surface_points import surface_points
from lim_cli.models.triplane import FieldConfig, FieldDecoder, sample_triplane


def ball_field(radius: float) -> tuple[FieldDecoder, torch.Tensor]:
    """A field whose logit is about 4 (radius^2 - |point|^2), red where x is above 0: planes tell squares and x."""
    size = 64
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    planes = torch.zeros(1, 3, 4, size, size)
    planes[0, 0, 0] = -(axis[None, :] ** 2 + axis[:, None] ** 2)  # xy: x^2 + y^2
    planes[0, 1, 0] = -(axis[:, None] ** 2)  # xz: z is down
    planes[0, 0, 1] = axis[None, :]
    field = FieldDecoder(FieldConfig(4, 8)).requires_grad_(False)
    for layer in (field.input, field.hidden, field.output):
        layer.weight.zero_()
        layer.bias.zero_()
    # far up, silu is the identity
    field.input.weight[0, [0, 4]], field.input.bias[0] = 1.0, 20.0
    field.input.weight[1, 1], field.input.bias[1] = 1.0, 20.0
    field.hidden.weight[0, 0] = field.hidden.weight[1, 1] = 1.0
    field.output.weight[0, 0], field.output.bias[0] = 4.0, 4 * (radius**2 - 20)
    field.output.weight[1, 1], field.output.bias[1] = 50.0, -1000.0
    return field, planes


def test_points_lie_on_the_surface_and_know_its_normals_and_colours() -> None:
    field, planes = ball_field(0.6)
    found = surface_points(field, planes, 500)
    assert found.positions.shape == (1, 500, 3)
    radius = found.positions.norm(dim=-1)
    torch.testing.assert_close(radius, torch.full_like(radius, 0.6), atol=0.01, rtol=0)
    torch.testing.assert_close(found.normals, found.positions / radius[..., None], atol=0.08, rtol=0)
    side = found.positions[..., 0].sign()
    clear = found.positions[..., 0].abs() > 0.1
    assert torch.equal((found.colours[..., 0] > 0.5)[clear], (side > 0)[clear])
    torch.testing.assert_close(found.features, sample_triplane(planes, found.positions))
    # everywhere about alike: no side has much more of them
    octants = (found.positions[0] > 0).long() @ torch.tensor([1, 2, 4])
    assert octants.bincount(minlength=8).min() > 0.6 * 500 / 8


def test_a_generator_draws_others_each_time() -> None:
    field, planes = ball_field(0.5)
    generator = torch.Generator().manual_seed(0)
    first, second = (surface_points(field, planes, 64, generator=generator).positions for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(surface_points(field, planes, 64).positions, surface_points(field, planes, 64).positions)


def test_few_crossings_come_again_and_no_surface_is_no_failure() -> None:
    field, planes = ball_field(0.1)
    for generator in (None, torch.Generator().manual_seed(0)):
        found = surface_points(field, planes, 3000, lattice=24, generator=generator)
        assert found.positions.shape == (1, 3000, 3)
        assert 1 < len(found.positions[0].unique(dim=0)) < 3000
    empty = surface_points(field, planes - 10, 16)
    assert (empty.positions == 0).all()
    assert all(torch.isfinite(part).all() for part in (empty.normals, empty.colours, empty.features))


def test_every_triplane_of_a_batch_has_its_own() -> None:
    torch.manual_seed(0)
    field, planes = tiny_lrm().field, torch.randn(2, 3, 8, 16, 16)
    both = surface_points(field, planes, 40, lattice=16)
    for n in range(2):
        torch.testing.assert_close(
            both.positions[n], surface_points(field, planes[n : n + 1], 40, lattice=16).positions[0]
        )
