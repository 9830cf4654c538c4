from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_models import tiny_lrm, tiny_rig, tiny_views

from lim_cli.core.config import from_plain, to_plain
from lim_cli.models.lrm import LRM, LRMConfig, encode_canonical, premultiplied
from lim_cli.models.presets import build_lim, build_lrm, lim_config, lrm_config


def test_shapes_and_kept_features() -> None:
    lrm = tiny_lrm()
    output = lrm(tiny_views(2), tiny_rig(2))
    assert output.triplane.shape == (2, 3, 8, 16, 16)
    assert [f.shape for f in output.features] == [(2, 48, 64)] * 2
    assert output.image_tokens.shape == (2, 4 * 16, 64)
    assert output[slice(1, None)].triplane.shape[0] == 1
    assert not output.detach().triplane.requires_grad
    lrm.keep_features(3)
    assert len(lrm(tiny_views(), tiny_rig()).features) == 3
    with pytest.raises(ValueError, match="from 1 to 3"):
        lrm.keep_features(4)


def test_samples_of_a_batch_do_not_mix() -> None:
    lrm, views = tiny_lrm(), tiny_views(2)
    with torch.no_grad():
        both, second = lrm(views, tiny_rig(2)), lrm(views[1:], tiny_rig())
    torch.testing.assert_close(both.triplane[1:], second.triplane, atol=1e-5, rtol=1e-5)


def test_dropping_the_lift_is_per_sample() -> None:
    lrm, views = tiny_lrm(), tiny_views(1).repeat(2, 1, 1, 1, 1)
    with torch.no_grad():
        dropped = lrm(views, tiny_rig(2), lift_kept=torch.tensor([1.0, 0.0])).triplane
        kept = lrm(views[:1], tiny_rig()).triplane
    torch.testing.assert_close(dropped[:1], kept, atol=1e-5, rtol=1e-5)
    assert (dropped[1] - dropped[0]).abs().max() > 1e-3


def test_without_lifting_and_with_recomputed_blocks() -> None:
    config = replace(lrm_config("tiny"), lifting=None, checkpoint_blocks=True)
    torch.manual_seed(0)
    lrm = LRM(config)
    gradients = []
    for module in (lrm, LRM(replace(config, checkpoint_blocks=False))):
        module.load_state_dict(lrm.state_dict())
        module(tiny_views(), tiny_rig()).triplane.square().sum().backward()
        gradients.append(module.blocks[0].mlp[0].weight.grad)  # type: ignore[union-attr,index]
    torch.testing.assert_close(gradients[0], gradients[1])


def test_encodings_of_views() -> None:
    xyz, mask = torch.full((1, 3, 2, 2), 0.5), torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    torch.testing.assert_close(encode_canonical(xyz, mask)[0, 0], torch.tensor([[0.75, 0.0], [0.0, 0.75]]))
    rgba = torch.cat([torch.full((1, 3, 2, 2), 0.8), mask * 0.5], 1)
    torch.testing.assert_close(premultiplied(rgba)[0, 0], torch.tensor([[0.4, 0.0], [0.0, 0.4]]))


@pytest.mark.parametrize("preset", ["paper", "small", "tiny"])
@pytest.mark.parametrize("kind", ["rgb", "canonical"])
def test_presets_build_from_plain_values(preset: str, kind: str) -> None:
    config = lrm_config(preset, kind)  # type: ignore[arg-type]
    assert from_plain(LRMConfig, to_plain(config)) == config
    lim = lim_config(preset, kind)  # type: ignore[arg-type]
    assert lim.blocks <= config.kept_features
    with torch.device("meta"):
        assert build_lrm(to_plain(config)).config == config
        assert build_lim(to_plain(lim)).config == lim


def test_one_batch_can_be_learned() -> None:
    """A tiny LRM drives the field of one scene to a given sphere."""
    lrm = tiny_lrm().train()
    optimizer = torch.optim.Adam(lrm.parameters(), 3e-3)
    views, rig = tiny_views(), tiny_rig()
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(60):
        points = 2 * torch.rand(1, 256, 3, generator=generator) - 1
        inside = (points.norm(dim=-1) < 0.6).float()
        logit, _ = lrm.field(lrm(views, rig).triplane, points)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, inside)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.4 * sum(losses[:5])
