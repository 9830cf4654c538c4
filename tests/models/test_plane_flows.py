from __future__ import annotations

import torch

from lim_cli.models.plane_flows import warp


def test_a_flow_of_one_cell_reads_the_next_cell_and_the_rim_beyond_it() -> None:
    planes = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(0))
    flow = torch.zeros(2, 2, 4, 8)
    assert torch.equal(warp(planes, flow), planes)
    flow[:, 0] = 2 / 8
    torch.testing.assert_close(warp(planes, flow), planes[..., [1, 2, 3, 4, 5, 6, 7, 7]])
    flow[:, 0], flow[:, 1] = 0, -2 / 4
    torch.testing.assert_close(warp(planes, flow), planes[:, :, [0, 0, 1, 2]])


def test_a_flow_that_is_no_number_is_not_hidden() -> None:
    planes, flow = torch.ones(1, 3, 4, 4), torch.zeros(1, 2, 4, 4)
    flow[0, 1, 2, 3] = torch.nan
    found = warp(planes, flow)
    assert found[0, :, 2, 3].isnan().all()
    assert found.isfinite().sum() == 3 * 15
