from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.models import lifting as module
from lim_cli.models.lifting import Lifting, LiftingConfig, resize_planes
from lim_cli.models.triplane import sample_triplane

GRID, SIZE = 16, 64


def rig() -> Cameras:
    cameras = orbit_cameras([0, 90, 180, 270], elevation=15, field_of_view=40, distance=3.2, size=(SIZE, SIZE))
    return Cameras(cameras.world_from_camera[None], cameras.intrinsics[None], cameras.size)


def visible_lifting() -> Lifting:
    """A lifting whose plane maps show, per column, the sum over cells of the least matte."""
    lifting = Lifting(LiftingConfig(GRID, 1, 1), 4)
    with torch.no_grad():
        for linear in (lifting.cell[0], lifting.cell[2], *lifting.columns):
            assert isinstance(linear, nn.Linear)
            linear.weight.zero_()
            linear.bias.zero_()
        lifting.cell[0].weight[0, 8] = 1.0  # type: ignore[index]
        lifting.cell[2].weight[0, 0] = 10.0  # type: ignore[index]
        for linear in lifting.columns:
            linear.weight.fill_(1.0)  # type: ignore[union-attr]
    return lifting


def mattes_of(point: Tensor, cameras: Cameras, radius: float = 3.0) -> Tensor:
    """Maps [1, 4, 4, size, size] with a disc of matte 1 where every view sees the point."""
    pixels, _ = cameras.project(point.view(1, 1, 1, 3).expand(1, 4, 1, 3))
    axis = torch.arange(SIZE) + 0.5
    square = (axis[None, :, None] - pixels[0, :, 0, 1].view(4, 1, 1)) ** 2 + (axis - pixels[0, :, 0, :1, None]) ** 2
    maps = torch.zeros(1, 4, 4, SIZE, SIZE)
    maps[0, :, 3] = (square < radius**2).float()
    return maps


@pytest.mark.parametrize("point", [(0.55, -0.2, 0.1), (-0.3, 0.45, 0.6), (0.1, 0.2, -0.5)])
def test_what_all_views_see_lands_where_the_triplane_is_sampled(point: tuple[float, float, float]) -> None:
    """Orders of axes agree with `sample_triplane`: each plane, sampled at the point, is at its maximum."""
    cameras, where = rig(), torch.tensor(point)
    maps = mattes_of(where, cameras)
    planes = visible_lifting()(maps, cameras)  # [1, 3, 1, grid, grid]
    cells = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
    for plane, (first, second) in enumerate(((0, 1), (0, 2), (1, 2))):
        row, column = divmod(int(planes[0, plane, 0].argmax()), GRID)
        assert abs(cells[column] - where[first]) < 2 / GRID
        assert abs(cells[row] - where[second]) < 2 / GRID
    here = sample_triplane(planes, where.view(1, 1, 3))
    elsewhere = sample_triplane(planes, where.view(1, 1, 3).roll(1, -1))
    assert here.min() > 2 * elsewhere.max()


def test_cells_behind_or_beside_a_view_do_not_carve() -> None:
    lifting, cameras = visible_lifting(), rig()
    narrow = Cameras(cameras.world_from_camera, cameras.intrinsics * torch.tensor([8.0, 8.0, 1.0, 1.0]), cameras.size)
    planes = lifting(torch.zeros(1, 4, 4, SIZE, SIZE), narrow)
    assert planes[0, 0, 0, -1, -1] > 0  # no view has this column: matte counts as 1
    assert planes[0, 0, 0, GRID // 2, GRID // 2] < planes[0, 0, 0, -1, -1]


def test_portions_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    lifting, maps, cameras = Lifting(LiftingConfig(8, 4, 6), 5), torch.randn(1, 4, 5, 12, 12), rig()
    whole = lifting(maps, cameras)
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 100)
    torch.testing.assert_close(lifting(maps, cameras), whole, atol=1e-6, rtol=1e-6)


def test_gradients_in_bfloat16_are_those_in_float32() -> None:
    """Also where all views agree, as they do about most of a well-learned feature: deviations are small there."""
    torch.manual_seed(0)
    lifting, cameras = Lifting(LiftingConfig(8, 4, 6), 5), rig()
    maps = (1 + 0.05 * torch.randn(1, 4, 5, 12, 12)).bfloat16().float().requires_grad_()
    out = lifting(maps, cameras)
    downstream = torch.randn_like(out)
    (exact,) = torch.autograd.grad((out * downstream).sum(), maps)
    with torch.autocast("cpu", torch.bfloat16):
        found = lifting(maps.bfloat16(), cameras)
    (rough,) = torch.autograd.grad((found.float() * downstream).sum(), maps)
    assert float((rough - exact).norm()) < 0.25 * float(exact.norm())


def test_resizing_keeps_a_ramp() -> None:
    ramp = ((torch.arange(8) + 0.5) / 8).expand(1, 3, 2, 8, 8)
    wide = resize_planes(ramp, 16)
    assert wide.shape == (1, 3, 2, 16, 16)
    torch.testing.assert_close(wide[0, 0, 0, 0, 1:-1], ((torch.arange(16) + 0.5) / 16)[1:-1])
