from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lim_cli.models import triplane as module
from lim_cli.models.triplane import FieldConfig, FieldDecoder, bilinear_rows, density, sample_triplane


def test_bilinear_rows_is_grid_sample_with_its_gradients() -> None:
    torch.manual_seed(0)
    table = torch.randn(2, 5, 7, 3, dtype=torch.float64, requires_grad=True)
    places = (2.6 * torch.rand(2, 40, 2, dtype=torch.float64) - 1.3).requires_grad_()
    found = bilinear_rows(table, places)
    expected = F.grid_sample(table.permute(0, 3, 1, 2), places[:, :, None], padding_mode="border", align_corners=False)[
        ..., 0
    ].transpose(1, 2)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    for mine, its in zip(
        torch.autograd.grad((found * weights).sum(), (table, places)),
        torch.autograd.grad((expected * weights).sum(), (table, places)),
        strict=True,
    ):
        torch.testing.assert_close(mine, its)


@pytest.mark.parametrize(("plane", "axes"), [(0, (0, 1)), (1, (0, 2)), (2, (1, 2))])
def test_planes_are_xy_xz_yz_width_first(plane: int, axes: tuple[int, int]) -> None:
    """A ramp along a plane's width is its name's first axis, along its height the second."""
    size = 16
    centres = (torch.arange(size) + 0.5) / size * 2 - 1
    triplane = torch.zeros(1, 3, 2, size, size)
    triplane[0, plane, 0] = centres[None, :]
    triplane[0, plane, 1] = centres[:, None]
    points = 1.8 * torch.rand(1, 30, 3) - 0.9
    found = sample_triplane(triplane, points).view(1, 30, 3, 2)
    torch.testing.assert_close(found[:, :, plane], points[..., list(axes)], atol=1e-6, rtol=0)
    assert found[:, :, [p for p in range(3) if p != plane]].abs().max() == 0


@pytest.mark.parametrize("kind", ["rgb", "canonical"])
def test_shortcuts_of_the_decoder_equal_its_forward(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    decoder = FieldDecoder(FieldConfig(8, 16, kind))  # type: ignore[arg-type]
    triplane = torch.randn(1, 3, 8, 12, 12)
    axes = (torch.linspace(-1, 1, 4), torch.linspace(-0.9, 0.7, 5), torch.linspace(-0.5, 1, 6))
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).view(1, -1, 3)
    logit, values = decoder(triplane, points)
    projected = decoder.project(triplane[0])
    for enabled, at_once in ((True, 8192), (False, 8192), (False, 50)):
        monkeypatch.setattr(module, "POINTS_AT_ONCE", at_once)
        with torch.set_grad_enabled(enabled):
            torch.testing.assert_close(decoder.on_lattice(projected, axes).flatten(), logit[0], atol=1e-5, rtol=1e-5)
            for found in (decoder.at_points(projected, points[0]), tuple(x[0] for x in decoder(triplane, points))):
                torch.testing.assert_close(found[0], logit[0], atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(found[1], values[0], atol=1e-5, rtol=1e-5)


def test_kinds_of_values() -> None:
    points = 2 * torch.rand(1, 10, 3) - 1
    triplane = torch.zeros(1, 3, 4, 4, 4)
    colours = FieldDecoder(FieldConfig(4, 8, "rgb"))(triplane, points)[1]
    assert ((colours > 0) & (colours < 1)).all()
    decoder = FieldDecoder(FieldConfig(4, 8, "canonical"))
    assert (decoder(triplane, points)[1] - points).abs().max() < 0.2  # starts near the identity


def test_no_points_is_no_error() -> None:
    with torch.no_grad():
        logit, values = FieldDecoder(FieldConfig(4, 8))(torch.zeros(1, 3, 4, 4, 4), torch.zeros(1, 0, 3))
    assert logit.shape == (1, 0)
    assert values.shape == (1, 0, 3)


def test_density_is_half_its_limit_on_the_surface() -> None:
    assert density(torch.tensor([0.0, -10.0, 10.0])).tolist() == pytest.approx([50.0, 0.0, 100.0], abs=1e-3)
