from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tiny_models import tiny_interval, tiny_matching
from torch import Tensor

from lim_cli.core.config import from_plain, to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.models.lim import InterpolationGuide, InterpolationState, Neighbour
from lim_cli.models.matching_lim import MatchingConfig, MatchingLIM, Motion, Passing
from lim_cli.models.plane_flows import warp
from lim_cli.models.presets import build_lim, lim_config


def interval(kind: str = "rgb") -> tuple[MatchingLIM, InterpolationState, InterpolationGuide]:
    """One whose every weight counts, between two sets of random views."""
    _, state, guide = tiny_interval(lim_config("tiny"))
    torch.manual_seed(0)
    # random views hold no object: these planes do
    state, target = (InterpolationState(4 * torch.randn(2, 3, 8, 16, 16), state.features) for _ in range(2))
    guide = replace(guide, source=state, target=target)
    lim = tiny_matching(kind)  # type: ignore[arg-type]
    with torch.no_grad():
        for name, parameter in lim.named_parameters():
            if not name.startswith("field."):
                parameter.add_(0.1 * torch.randn(parameter.shape))
        lim.field.output.bias[0] = 0
    assert len(lim.surface(state.triplane).positions[0].unique(dim=0)) > 10
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
    assert len(flows) == 3  # as points say, as corrected once and again
    assert all(flow.shape == (2, 3, 2, *source.shape[-2:]) for pair in flows for flow in pair)
    steps = [pair[0] for pair in flows]
    assert all((after - before).abs().max() > 1e-3 for before, after in pairwise(steps))
    a = alpha.repeat_interleave(3).view(-1, 1, 1, 1)
    to_source, to_target = (flow.flatten(0, 1) for flow in flows[-1])
    blend = (1 - a) * warp(source.flatten(0, 1), to_source) + a * warp(target.flatten(0, 1), to_target)
    torch.testing.assert_close(triplane.flatten(0, 1), blend)


def test_motion_is_found_once_for_one_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    lim, state, guide = interval()
    asked: list[torch.Tensor] = []
    found = lim.motion
    monkeypatch.setattr(lim, "motion", lambda source, target: asked.append(source) or found(source, target))
    with torch.no_grad():
        for alpha in (0.2, 0.8):
            lim(state, guide, torch.full((2,), alpha))
        lim.origins(state, guide, torch.full((2,), 0.4), torch.zeros(2, 3, 3))
        assert len(asked) == 1
        moved = InterpolationState(state.triplane + 0.1, state.features)
        lim(moved, guide, torch.full((2,), 0.5))
    assert len(asked) == 2
    assert asked[1] is moved.triplane


def test_points_go_from_their_own_keyframe_to_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    positions, way, bend, twist = (torch.rand(2, 1, 5, 3, generator=generator) for _ in range(4))
    motion = Motion(positions, way, bend, twist)
    for alpha, own, other in ((0.0, 0, 1), (1.0, 1, 0)):
        points, moves = motion.at(torch.tensor([alpha]))
        ours, theirs = slice(5 * own, 5 * own + 5), slice(5 * other, 5 * other + 5)
        torch.testing.assert_close(points[:, ours], positions[own])
        torch.testing.assert_close(points[:, theirs], positions[other] + way[other])
        # nobody has gone anywhere from the keyframe that it is, and all ways lead to the other
        assert (moves[:, :, own] == 0).all()
        torch.testing.assert_close(moves[:, ours, other], way[own])
        torch.testing.assert_close(moves[:, theirs, other], -way[other])
    points, moves = motion.at(torch.tensor([0.3]))
    torch.testing.assert_close(points[:, :5], positions[0] + 0.3 * way[0] + 0.21 * (bend[0] + 0.3 * twist[0]))
    torch.testing.assert_close(points + moves[:, :, 0], torch.cat([positions[0], positions[1] + way[1]], 1))


@pytest.mark.parametrize("known", [(0.7, 1.6), (0.7, None), (None, 1.6)])
def test_neighbours_tell_how_ways_bend(known: tuple[float | None, float | None]) -> None:
    """All points go along one polynomial in time, of as many keyframes as are known: it is found, whatever it is."""
    generator = torch.Generator().manual_seed(0)
    powers = torch.rand(4 if None not in known else 3, 3, generator=generator)
    start, end = torch.rand(2, 1, 6, 3, generator=generator)  # other points are known of every surface

    def gone(time: float) -> Tensor:
        return sum((time**n * power for n, power in enumerate(powers)), torch.zeros(3))

    way = gone(1) - gone(0)
    positions = torch.stack([start + gone(0), end + gone(1)])
    wrong = torch.rand(2, 1, 6, 3, generator=generator)  # what the network guessed does not count
    motion = Motion(positions, torch.stack([way.expand(1, 6, 3), -way.expand(1, 6, 3)]), wrong, wrong)
    before = after = None
    if known[0] is not None:
        before = Passing(positions[0], (gone(-known[0]) - gone(0)).expand(1, 6, 3), known[0])
    if known[1] is not None:
        after = Passing(positions[1], (gone(1 + known[1]) - gone(1)).expand(1, 6, 3), known[1])
    for alpha in (0.0, 0.3, 1.0):
        points, moves = motion.between(before, after).at(torch.tensor([alpha]))
        expected = torch.cat([start, end], 1) + gone(alpha)
        torch.testing.assert_close(points, expected)
        torch.testing.assert_close(points + moves[:, :, 0], torch.cat([start, end], 1) + gone(0))


def test_neighbours_are_read_where_a_pass_starts_at_a_keyframe() -> None:
    lim, state, guide = interval()
    alpha = torch.full((2,), 0.4)
    torch.manual_seed(1)
    beyond = [Neighbour(4 * torch.randn(2, 3, 8, 16, 16), distance) for distance in (1.0, 2.0)]
    with torch.no_grad():
        alone = lim(state, guide, alpha).triplane
        found = [
            lim(state, replace(guide, before=before, after=after, memory={}), alpha).triplane
            for before, after in ((beyond[0], None), (None, beyond[1]), (beyond[0], beyond[1]))
        ]
        assert all((triplane - alone).abs().max() > 1e-3 for triplane in found)
        assert (found[0] - found[1]).abs().max() > 1e-3
        # a recurrent pass starts at no keyframe
        moved = InterpolationState(state.triplane + 0.1, state.features)
        plain = lim(moved, guide, alpha).triplane
        told = replace(guide, before=beyond[0], after=beyond[1], memory={})
        assert torch.equal(lim(moved, told, alpha).triplane, plain)


@pytest.mark.parametrize("kind", ["rgb", "canonical"])
def test_origins_are_where_the_surface_came_from(kind: str) -> None:
    lim, state, guide = interval(kind)
    points = lim.surface(state.triplane, 30).positions
    with torch.no_grad():
        assert torch.equal(lim.origins(state, guide, torch.zeros(2), points), points)
        found = lim.origins(state, guide, torch.ones(2), points)
    assert (found - points).abs().max() > 0.01


def test_gradients_are_finite_and_reach_all() -> None:
    lim, state, guide = interval()
    _, flows = lim.with_flows(state.triplane, guide.target.triplane, torch.tensor([0.3, 0.9]))
    first, _, _ = lim.scene_flow(lim.surface(state.triplane), lim.surface(guide.target.triplane))
    (first.square().sum() + sum(flow.square().sum() for pair in flows for flow in pair)).backward()
    for name, parameter in lim.named_parameters():
        if name.startswith("field."):
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_a_canonical_lim_makes_no_triplane() -> None:
    lim, state, guide = interval("canonical")
    with pytest.raises(ConfigError, match="makes no triplane"):
        lim(state, guide, torch.tensor([0.5, 0.5]))


def test_its_configuration_says_which_model_it_is() -> None:
    config = MatchingConfig(points=100, within_blocks=1)
    built = build_lim(to_plain(config))
    assert isinstance(built, MatchingLIM)
    assert built.config == config
    assert not isinstance(build_lim(to_plain(lim_config("tiny"))), MatchingLIM)
    for wrong, said in (
        ({"points": 0}, "points must be"),
        ({"lattice": 4}, "lattice from 8"),
        ({"corrections": -1}, "corrections must be"),
        ({"heads": 8}, "30 wide"),
        ({"moved_blocks": 0}, "blocks must be"),
    ):
        with pytest.raises(ConfigError, match=said):
            from_plain(MatchingConfig, wrong)
