from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from balls import ball, ball_field
from tiny_models import tiny_rig, tiny_views
from torch import Tensor

from lim_cli.core.camera import orbit_cameras
from lim_cli.core.config import to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.models import feedback
from lim_cli.models.checkpoints import save_model
from lim_cli.models.feedback import Feedback, FeedbackConfig, disagreement_gradient, disagreement_gradients
from lim_cli.models.lrm import LRM, premultiplied
from lim_cli.models.presets import load_lrm, lrm_config
from lim_cli.models.seen_rays import Room, SeenRays, disagreement, seen_rays
from lim_cli.models.triplane import FieldDecoder
from lim_cli.stages.render import render_view

CONFIG = FeedbackConfig(rounds=2, samples=6, width=16)


def tiny_lrm_with_feedback(*, trained: bool) -> LRM:
    torch.manual_seed(0)
    lrm = LRM(replace(lrm_config("tiny"), feedback=CONFIG)).eval()
    if trained:
        assert lrm.feedback is not None
        torch.nn.init.normal_(lrm.feedback.step.output.weight, std=0.1)
    return lrm


@pytest.fixture(scope="module")
def field() -> FieldDecoder:
    return ball_field()


def rays_of_a_ball(field: FieldDecoder, planes: Tensor) -> SeenRays:
    """What four cameras saw of a white ball of radius 0.6, near what `planes` hold."""
    cameras = orbit_cameras([0, 90, 180, 270], elevation=10, field_of_view=40, distance=3.2, size=(48, 48))
    rgba = render_view(field, ball(0.6, 1.0), cameras, samples=32).rgba()
    pictures = premultiplied(torch.from_numpy(rgba).movedim(-1, 1).float() / 255)
    return seen_rays(Room.of(field, planes), pictures, cameras, [1] * 4)


def test_untrained_it_changes_nothing() -> None:
    lrm = tiny_lrm_with_feedback(trained=False)
    with torch.no_grad():
        first, after = lrm.first_pass(tiny_views(), tiny_rig()), lrm(tiny_views(), tiny_rig())
    assert torch.equal(first.triplane, after.triplane)


def test_every_round_steps_on_and_samples_do_not_mix() -> None:
    lrm = tiny_lrm_with_feedback(trained=True)
    views, rig = tiny_views(2), tiny_rig(2)
    assert lrm.feedback is not None
    with torch.no_grad():
        first = lrm.first_pass(views, rig).triplane
        rounds = lrm.feedback(lrm.field, first, views, rig)
        alone = lrm(views[1:], tiny_rig()).triplane
        assert torch.equal(lrm(views, rig).triplane, rounds[-1])
    assert len(rounds) == CONFIG.rounds
    assert not torch.equal(first, rounds[0])
    assert not torch.equal(rounds[0], rounds[1])
    assert torch.allclose(rounds[-1][1:], alone, atol=1e-5)


def test_what_is_told_is_the_gradient(field: FieldDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the loss at triplanes a little farther on; in portions as at once; without a trace in the field."""
    planes = ball(0.5, 0.0)
    rays = rays_of_a_ball(field, planes)

    def loss(at: Tensor) -> float:
        with torch.no_grad():
            colour, outline = disagreement(field.double(), at, doubled, 12)
        return float((colour + feedback.OUTLINE * outline).sum())

    gradient = disagreement_gradient(field, planes, rays, 12)
    monkeypatch.setattr(feedback, "RAYS_AT_ONCE", 100)
    assert torch.allclose(
        disagreement_gradient(field, planes, rays, 12), gradient, atol=1e-3 * float(gradient.abs().max())
    )
    assert all(parameter.grad is None for parameter in field.parameters())

    doubled = SeenRays(*(getattr(rays, name).double() for name in SeenRays.__dataclass_fields__))
    try:
        direction = torch.randn(planes.shape, generator=torch.Generator().manual_seed(0)).double()
        slope = (loss(planes.double() + 1e-5 * direction) - loss(planes.double() - 1e-5 * direction)) / 2e-5
    finally:
        field.float()
    assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-2)


def test_gradients_of_several_are_those_of_each(field: FieldDecoder) -> None:
    """On a GPU they are found at once, with rays of weight 0 where one has fewer than another."""
    planes = torch.stack([ball(0.5, 0.0), ball(0.6, -1.0)])
    rays = [rays_of_a_ball(field, one) for one in planes]
    rays[1] = rays[1][:700]
    together = disagreement_gradient(field, planes, SeenRays.padded(rays), 6)
    torch.testing.assert_close(together, disagreement_gradients(field, planes, rays, 6), atol=1e-4, rtol=1e-4)


def test_where_all_agree_there_is_little_to_tell(field: FieldDecoder) -> None:
    told = [
        float(disagreement_gradient(field, ball(r, 1.0), rays_of_a_ball(field, ball(r, 1.0)), 24).norm())
        for r in (0.6, 0.5)
    ]
    assert told[0] < 0.2 * told[1]


def test_nothing_in_sight_is_nothing_to_tell(field: FieldDecoder) -> None:
    planes = ball(0.5, 0.0)
    none = rays_of_a_ball(field, planes)[:0]
    assert torch.equal(disagreement_gradient(field, planes, none, 12), torch.zeros_like(planes))


def test_it_is_saved_with_its_lrm(tmp_path: Path) -> None:
    lrm = tiny_lrm_with_feedback(trained=True)
    save_model(tmp_path, lrm, to_plain(lrm.config), dtype=torch.float32)
    again = load_lrm(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(tiny_views(), tiny_rig()).triplane, lrm(tiny_views(), tiny_rig()).triplane)


def test_the_step_learns_and_the_gradient_does_not() -> None:
    """The loss reaches the convolutions; no gradient of a gradient is asked for."""
    lrm = tiny_lrm_with_feedback(trained=True)
    assert isinstance(lrm.feedback, Feedback)
    with torch.no_grad():
        first = lrm.first_pass(tiny_views(), tiny_rig()).triplane
    lrm.feedback(lrm.field, first, tiny_views(), tiny_rig())[-1].square().sum().backward()
    assert all(parameter.grad is not None for parameter in lrm.feedback.parameters())
    assert all(parameter.grad is None for parameter in lrm.field.parameters())


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"rounds": 5}, {"samples": 0}, {"width": 12}])
def test_what_it_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        FeedbackConfig(**wrong)


def test_canonical_coordinates_are_no_colours() -> None:
    with pytest.raises(ConfigError, match="colours"):
        replace(lrm_config("tiny", "canonical"), feedback=CONFIG)
