from __future__ import annotations

import torch

from lim_cli.training.motion import motion_losses, plane_motion


def tracks_of_two_parts() -> torch.Tensor:
    """A still part at x < 0, and one at x > 0 that goes up by 0.2 from source to target: [1, 3, point, 3]."""
    generator = torch.Generator().manual_seed(0)
    middle = torch.rand(400, 3, generator=generator) * 0.6 - 0.3
    middle[:200, 0] -= 0.4
    middle[200:, 0] += 0.4
    way = torch.zeros(400, 3)
    way[200:, 1] = 0.1
    return torch.stack([middle - way, middle, middle + way])[None]


def test_planes_are_told_what_the_surface_they_see_does() -> None:
    weight, to_source, to_target = plane_motion(tracks_of_two_parts(), 32, 32)
    x, y = 0, 1
    left, right = slice(4, 12), slice(20, 28)  # cells of x < 0 and of x > 0
    torch.testing.assert_close(to_target[0, 0, y, 12:20, right], torch.full((8, 8), 0.1), atol=1e-3, rtol=0)
    torch.testing.assert_close(to_source[0, 0, y, 12:20, right], torch.full((8, 8), -0.1), atol=1e-3, rtol=0)
    assert to_target[0, 0, y, 12:20, left].abs().max() < 1e-3
    assert to_target[0, :2, x].abs().max() < 1e-6
    # plane yz sees both parts along its normal, and is told something between
    assert 0.01 < to_target[0, 2, 0, 12:20, 12:20].mean() < 0.09
    assert to_target[0, 0, y, 0, 31] > 0.099  # empty corners take the motion of the nearest
    assert weight[0, 0, 16, 24] > 0.9
    assert weight[0, 0, 0, 31] < 0.2


def test_true_flows_have_no_error() -> None:
    truth = plane_motion(tracks_of_two_parts(), 16, 16)
    still = torch.zeros_like(truth[1])
    right, wrong = motion_losses([(truth[1], truth[2]), (still, still)], truth)
    assert right < 2e-3
    assert wrong > 0.02
