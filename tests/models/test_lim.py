from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_models import tiny_interval, tiny_lrm
from torch import nn

from lim_cli.core.errors import ConfigError
from lim_cli.models.layers import InterpolatorBlock, time_encoding
from lim_cli.models.lim import LIM, InterpolationGuide
from lim_cli.models.presets import lim_config


def disturb(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("disturbed", [False, True])
def test_the_warp_head_keeps_both_ends(disturbed: bool) -> None:
    lim, state, guide = tiny_interval(lim_config("tiny"))
    if disturbed:
        disturb(lim.motion)
    with torch.no_grad():
        start, end = (lim(state, guide, torch.full((2,), a)).triplane for a in (0.0, 1.0))
    assert torch.equal(start, state.triplane)
    assert torch.equal(end, guide.target.triplane)


def test_the_warp_head_starts_as_the_linear_blend() -> None:
    lim, state, guide = tiny_interval(lim_config("tiny"))
    alpha = torch.tensor([0.25, 0.7])
    with torch.no_grad():
        found = lim(state, guide, alpha).triplane
    expected = torch.lerp(state.triplane, guide.target.triplane, alpha.view(2, 1, 1, 1, 1))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_gradients_at_the_ends_are_finite() -> None:
    lim, state, guide = tiny_interval(lim_config("tiny"))
    disturb(lim.motion)
    lim(state, guide, torch.tensor([0.0, 1.0])).triplane.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in lim.parameters() if p.grad is not None)


def test_times_past_the_target_are_finite() -> None:
    lim, state, guide = tiny_interval(lim_config("tiny"))
    with torch.no_grad():
        assert torch.isfinite(lim(state, guide, torch.tensor([1.2, -0.1])).triplane).all()


@pytest.mark.parametrize("head", ["warp", "residual"])
def test_canonical_lim_starts_as_the_source_and_keeps_it(head: str) -> None:
    lim, state, guide = tiny_interval(lim_config("tiny", "canonical", head=head))  # type: ignore[arg-type]
    with torch.no_grad():
        found = lim(state, guide, torch.tensor([0.3, 0.9])).triplane
        torch.testing.assert_close(found, state.triplane, atol=1e-6, rtol=1e-6)
        disturb(lim.motion)
        assert torch.equal(lim(state, guide, torch.zeros(2)).triplane, state.triplane)
        assert (lim(state, guide, torch.ones(2)).triplane - state.triplane).abs().max() > 0.1


def test_origins_are_where_the_planes_content_came_from() -> None:
    config = lim_config("tiny")
    lim, state, guide = tiny_interval(config)
    cell = 2 / state.triplane.shape[-1]  # of a plane, model units
    alpha = torch.tensor([0.5, 0.5])
    points = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(5)) * 1.8 - 0.9
    with torch.no_grad():
        assert torch.equal(lim.origins(state, guide, alpha, points), points)
        lim.motion.bias[0] = torch.atanh(torch.tensor(2 * cell / config.reach))  # one cell to the right at alpha 0.5
        lim.motion.bias[4] = 1e4  # all of the source, none of the target
        origins = lim.origins(state, guide, alpha, points)
        moved = lim(state, guide, alpha).triplane
    # the first axis of planes xy, xz, yz: x twice, y once of two, z never
    torch.testing.assert_close(origins - points, torch.tensor([cell, cell / 2, 0.0]).expand_as(points))
    torch.testing.assert_close(moved[..., :-1], state.triplane[..., 1:], atol=1e-4, rtol=1e-4)


def test_flows_are_what_the_triplane_is_made_with() -> None:
    lim, state, guide = tiny_interval(lim_config("tiny"))
    disturb(lim.motion)
    points = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(5)) * 1.8 - 0.9
    with torch.no_grad():
        for alpha in (torch.tensor([0.25, 0.7]), torch.tensor([0.0, 1.0])):
            made, (to_source, to_target) = lim.with_flows(state, guide, alpha)
            found = lim(state, guide, alpha)
            assert torch.equal(found.triplane, made.triplane)
            assert all(torch.equal(a, b) for a, b in zip(found.features, made.features, strict=True))
        origins = lim.origins(state, guide, alpha, points)
    assert (to_source[0] == 0).all()  # at the source nothing has moved yet
    assert (to_target[1] == 0).all()  # at the target all is where it will be
    assert to_source.shape == (2, 3, 2, *state.triplane.shape[-2:])
    assert torch.equal(origins[0], points[0])
    assert (origins[1] - points[1]).abs().max() > 0.01
    canonical, state, guide = tiny_interval(lim_config("tiny", "canonical", head="flow"))
    with pytest.raises(ConfigError, match="Only LIM"):
        canonical.with_flows(state, guide, alpha)


def test_only_the_warp_head_knows_where_things_went() -> None:
    lim, state, guide = tiny_interval(lim_config("tiny", head="residual"))
    with pytest.raises(ConfigError, match="warp or the flow head"):
        lim.origins(state, guide, torch.tensor([0.5, 0.5]), torch.zeros(2, 1, 3))


def test_the_flow_head_starts_as_lims_own_warp() -> None:
    """Taken over from a LIM it names the same origins, and what its own field adds goes with alpha."""
    lim, state, guide = tiny_interval(lim_config("tiny"))
    disturb(lim.motion)
    canonical = LIM(lim_config("tiny", "canonical", head="flow")).eval()
    canonical.start_from_lim(lim)
    points = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(5)) * 1.8 - 0.9
    alpha = torch.tensor([0.3, 1.0])
    with torch.no_grad():
        origins = lim.origins(state, guide, alpha, points)
        assert (origins - points).abs().max() > 0.05
        torch.testing.assert_close(canonical.origins(state, guide, alpha, points), origins)
        canonical.field.output.bias[1:] = torch.tensor([0.1, 0.0, -0.2])
        added = canonical.origins(state, guide, alpha, points) - origins
        assert torch.equal(canonical.origins(state, guide, 0 * alpha, points), points)
    torch.testing.assert_close(added, alpha.view(2, 1, 1) * torch.tensor([0.1, 0.0, -0.2]).expand_as(points))


def test_the_flow_head_makes_no_triplane_and_is_canonical() -> None:
    canonical, state, guide = tiny_interval(lim_config("tiny", "canonical", head="flow"))
    with pytest.raises(ConfigError, match="makes no triplane"):
        canonical(state, guide, torch.tensor([0.5, 0.5]))
    with pytest.raises(ConfigError, match="Only CanonicalLIM"):
        lim_config("tiny", "rgb", head="flow")


def test_the_papers_form() -> None:
    """Residual head, no guide: only the source's features and the target's image tokens matter."""
    config = replace(lim_config("tiny", head="residual"), guided=False)
    lim, state, guide = tiny_interval(config)
    assert lim.motion.weight.shape[0] == config.field.channels
    assert not hasattr(lim, "compare")
    disturb(lim.motion)
    blind = InterpolationGuide(guide.image_tokens, guide.target, guide.source)
    alpha = torch.full((2,), 0.5)
    with torch.no_grad():
        found = lim(state, guide, alpha)
        assert torch.equal(found.triplane, lim(state, blind, alpha).triplane)
        assert torch.equal(lim(state, guide, 0 * alpha).triplane, state.triplane)
        other = InterpolationGuide(guide.image_tokens.flip(0), guide.source, guide.target)
        assert not torch.equal(found.triplane, lim(state, other, alpha).triplane)


def test_supplement_b_copies_attention_from_lrm() -> None:
    lim, *_ = tiny_interval(lim_config("tiny"))
    sources = tiny_lrm().blocks[-len(lim.blocks) :]
    for block, source in zip(lim.blocks, sources, strict=True):
        assert isinstance(block, InterpolatorBlock)
        own = source.self_attention  # type: ignore[union-attr]
        for attention in (block.feature_attention, block.self_attention):
            assert torch.equal(attention.query.weight, own.query.weight)
            assert torch.equal(attention.output.weight, own.output.weight)
        width = own.query.in_features
        assert torch.equal(block.feature_attention.key_value.weight[:, :width], own.key_value.weight)
        assert block.feature_attention.key_value.weight[:, width:].abs().max() == 0
        assert torch.equal(block.image_attention.query.weight, source.image_attention.query.weight)  # type: ignore[union-attr]
    assert torch.equal(lim.input.weight[:, : lim.config.width], torch.eye(lim.config.width))


@pytest.mark.parametrize("kind", ["rgb", "canonical"])
def test_lim_runs_on_its_own_features(kind: str) -> None:
    lim, state, guide = tiny_interval(lim_config("tiny", kind))  # type: ignore[arg-type]
    disturb(lim.motion)
    with torch.no_grad():
        first = lim(state, guide, torch.full((2,), 0.4))
        onward = InterpolationGuide(guide.image_tokens, first, guide.target) if kind == "rgb" else guide
        second = lim(first, onward, torch.full((2,), 0.5))
    assert [f.shape for f in second.features] == [f.shape for f in first.features]
    assert len(first.features) == lim.config.blocks
    assert torch.isfinite(second.triplane).all()


def test_time_encoding_is_interleaved_and_starts_at_one_zero() -> None:
    code = time_encoding(torch.tensor([0.0, 0.123]), 8)
    torch.testing.assert_close(code[0], torch.tensor([1.0, 0.0] * 4))
    angles = 123.0 * torch.tensor([10000.0 ** (-i / 4) for i in range(4)])
    expected = torch.stack([angles.cos(), angles.sin()], -1).flatten()
    torch.testing.assert_close(code[1], expected, atol=1e-4, rtol=1e-4)


def test_correlation_sees_motion() -> None:
    """The target moved by one correlation cell has its peak at that shift."""
    lim, *_ = tiny_interval(lim_config("tiny"))
    source = torch.randn(1, 3, 8, 8, 8)
    seen = []
    lim.correlation_tokens.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    lim._correlation(source, source.roll(1, -1))
    window = 2 * lim.config.correlation_radius + 1
    inner = seen[0][:, :, 2:-2, 2:-2]
    peak = lim.config.correlation_radius * window + lim.config.correlation_radius + 1
    assert (inner.argmax(1) == peak).all()
