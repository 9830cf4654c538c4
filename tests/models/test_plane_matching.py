from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lim_cli.models.plane_matching import PlaneMatching, local_correlation


def textured_planes(size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.randn(2, 8, size // 4, size // 4, generator=generator), size=size, mode="bicubic")


@pytest.mark.parametrize(("alpha", "cells"), [(0.5, (4, 0)), (0.25, (-4, 8)), (0.5, (0, 0))])
def test_untrained_matching_finds_what_moved(alpha: float, cells: tuple[int, int]) -> None:
    size = 32
    middle = textured_planes(size)
    # moves of whole cells at both ends: what is here at alpha was a part of the way back, and will be further on
    back = tuple(-round(alpha * c) for c in cells)
    ahead = tuple(round((1 - alpha) * c) for c in cells)
    source, target = (torch.roll(middle, shift[::-1], (-2, -1)) for shift in (back, ahead))
    matching = PlaneMatching(8, 12, radius=4, reach=0.5)
    motion, share = torch.zeros(2, 12, size, size), torch.full((2, 1, 1, 1), alpha)
    with torch.no_grad():
        found = matching.velocity(motion, source, target, share)
        assert (matching.corrections(motion, source, target, found, share) == 0).all()
    expected = torch.tensor([ahead[0] - back[0], ahead[1] - back[1]]) * 2 / size
    inner = found[..., 12:-12, 12:-12]
    assert (inner - expected.view(2, 1, 1)).norm(dim=1).mean() < 0.05


def test_local_correlation_is_highest_where_the_other_plane_has_the_same() -> None:
    first = F.normalize(textured_planes(16), dim=1)
    second = torch.roll(first, (1, -2), (-2, -1))
    found = local_correlation(first, second, 3)
    assert found.shape == (2, 49, 16, 16)
    best = found[..., 4:-4, 4:-4].argmax(1)
    assert (best == (3 + 1) * 7 + (3 - 2)).all()
