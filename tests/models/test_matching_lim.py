from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from tiny_models import tiny_interval, tiny_matching

from lim_cli.core.config import from_plain, to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.models.lim import InterpolationGuide, InterpolationState
from lim_cli.models.matching_lim import MatchingConfig, MatchingLIM
from lim_cli.models.plane_flows import warp
from lim_cli.models.presets import build_lim, lim_config


def interval(kind: str = "rgb") -> tuple[MatchingLIM, InterpolationState, InterpolationGuide]:
    """One whose every weight counts, between two sets of random views."""
    _, state, guide = tiny_interval(lim_config("tiny"))
    torch.manual_seed(0)
    lim = tiny_matching(kind)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in lim.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return lim, state, guide


def test_both_ends_are_kept() -> None:
    lim, state, guide = interval()
    with torch.no_grad():
        start, end = (lim(state, guide, torch.full((2,), a)) for a in (0.0, 1.0))
    assert torch.equal(start.triplane, state.triplane)
    assert torch.equal(end.triplane, guide.target.triplane)
    assert start.features is state.features


def test_flows_are_what_the_triplane_is_made_with() -> None:
    lim, state, guide = interval()
    source, target = state.triplane, guide.target.triplane
    alpha = torch.tensor([0.25, 0.7])
    with torch.no_grad():
        triplane, flows = lim.with_flows(source, target, alpha)
        assert torch.equal(lim(state, guide, alpha).triplane, triplane)
    assert len(flows) == 3  # as matched, as corrected once and again
    assert all(flow.shape == (2, 3, 2, *source.shape[-2:]) for pair in flows for flow in pair)
    steps = [pair[0] for pair in flows]
    assert all((after - before).abs().max() > 1e-3 for before, after in pairwise(steps))
    a = alpha.repeat_interleave(3).view(-1, 1, 1, 1)
    to_source, to_target = (flow.flatten(0, 1) for flow in flows[-1])
    blend = (1 - a) * warp(source.flatten(0, 1), to_source) + a * warp(target.flatten(0, 1), to_target)
    torch.testing.assert_close(triplane.flatten(0, 1), blend)


@pytest.mark.parametrize("kind", ["rgb", "canonical"])
def test_origins_are_where_the_planes_came_from(kind: str) -> None:
    lim, state, guide = interval(kind)
    points = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(5)) * 1.8 - 0.9
    with torch.no_grad():
        assert torch.equal(lim.origins(state, guide, torch.zeros(2), points), points)
        found = lim.origins(state, guide, torch.ones(2), points)
    assert (found - points).abs().max() > 0.01


def test_gradients_are_finite_and_reach_all() -> None:
    lim, state, guide = interval()
    _, flows = lim.with_flows(state.triplane, guide.target.triplane, torch.tensor([0.3, 1.0]))
    sum(flow.square().sum() for pair in flows for flow in pair).backward()  # type: ignore[union-attr]
    for name, parameter in lim.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_a_canonical_lim_makes_no_triplane() -> None:
    lim, state, guide = interval("canonical")
    with pytest.raises(ConfigError, match="makes no triplane"):
        lim(state, guide, torch.tensor([0.5, 0.5]))


def test_its_configuration_says_which_model_it_is() -> None:
    config = MatchingConfig(near_radius=3, far_reach=0.6)
    built = build_lim(to_plain(config))
    assert isinstance(built, MatchingLIM)
    assert built.config == config
    assert not isinstance(build_lim(to_plain(lim_config("tiny"))), MatchingLIM)
    with pytest.raises(ConfigError, match="far_reach above"):
        from_plain(MatchingConfig, {"near_reach": 0.8})
    with pytest.raises(ConfigError, match="corrections must be"):
        from_plain(MatchingConfig, {"corrections": -1})
    with pytest.raises(ConfigError, match="from 1 to 32"):
        from_plain(MatchingConfig, {"near_radius": 0})
