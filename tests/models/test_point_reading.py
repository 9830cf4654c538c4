from __future__ import annotations

import torch

from lim_cli.models.plane_flows import cell_centres
from lim_cli.models.point_reading import at_places, on_planes
from lim_cli.models.triplane import PLANE_AXES


def scattered(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 300, 3, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


def test_places_read_the_points_near_them() -> None:
    points = scattered()
    values = torch.cat([points, points[..., :1].square()], -1)
    torch.testing.assert_close(at_places(points, points, 0 * values + 3), 0 * values + 3)  # a mean of what is the same
    dense = torch.rand(1, 20000, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    inside = scattered()[:1] * 0.8
    found = at_places(inside, dense, dense)
    assert (found - inside).norm(dim=-1).mean() < 0.04  # they are 0.04 apart
    alone = points.clone()
    alone[0, 7] = torch.tensor([1.5, 0.0, 0.0])
    found = at_places(torch.tensor([[[5.0, 1.0, 0.0]]]), alone[:1], alone[:1])
    torch.testing.assert_close(found[0, 0], alone[0, 7])


def test_planes_see_moves_along_their_own_axes() -> None:
    points = scattered()
    moves = torch.stack([points.roll(1, -1), -points], 2)
    found = on_planes(points, moves, 16, 12)
    assert found.shape == (2, 2, 3, 2, 16, 12)
    cells = cell_centres(16, 12, points.device).view(1, -1, 2).expand(2, -1, -1)
    for plane, axes in enumerate(PLANE_AXES):
        for k in range(2):
            expected = at_places(cells, points[..., list(axes)], moves[:, :, k][..., list(axes)])
            torch.testing.assert_close(found[k, :, plane].flatten(2).transpose(1, 2), expected)
