"""Refinement pulls triplanes towards what their views show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from balls import ball, ball_field
from torch import Tensor

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.models.triplane import FieldDecoder
from lim_cli.stages.config import RefinementConfig
from lim_cli.stages.refine import STEP_SECONDS, keyframe_residual, steps_for
from lim_cli.stages.render import render_view

QUICK = RefinementConfig(rays=256, samples=12)
PIXELS = 48


def refine_triplanes(
    field: FieldDecoder, triplanes: Iterable[Tensor], views: ViewsArtifact, config: RefinementConfig, *, seed: int = 0
) -> Iterator[Tensor]:
    """Triplanes [3, c, h, w] of all keyframes of `views`, in their order, refined; all on the CPU.

    Raises:
        NumericalError: one became NaN.
    """
    steps = steps_for(config, len(views.keyframe_times))
    for k, triplane in enumerate(triplanes):
        if config.seconds:
            triplane = triplane + keyframe_residual(field, triplane, views, k, steps, config, seed=seed)
        yield triplane


@pytest.fixture(scope="module")
def field() -> FieldDecoder:
    return ball_field()


@pytest.fixture(scope="module")
def views(field: FieldDecoder) -> ViewsArtifact:
    """Four posed views of a ball of radius 0.6 at two times."""
    cameras = rig([0, 90, 180, 270])
    rgba = render_view(field, ball(0.6, 1.0), cameras, samples=32).rgba()
    return ViewsArtifact(np.stack([rgba, rgba]), cameras, np.array([0.0, 0.1]), "posed", np.eye(4))


def rig(azimuths: list[float]) -> Cameras:
    return orbit_cameras(azimuths, elevation=10, field_of_view=40, distance=3.2, size=(PIXELS, PIXELS))


def errors(field: FieldDecoder, triplane: torch.Tensor, cameras: Cameras) -> tuple[float, float]:
    """Mean error of opacity and of premultiplied colour against the true ball."""
    true, found = (render_view(field, planes, cameras, samples=32) for planes in (ball(0.6, 1.0), triplane))
    colour = true.rgb * true.opacity[..., None] - found.rgb * found.opacity[..., None]
    return float(np.abs(true.opacity - found.opacity).mean()), float(np.abs(colour).mean())


@pytest.mark.parametrize(("radius", "colour"), [(0.45, 1.0), (0.7, -1.0)])
def test_a_wrong_triplane_is_pulled_back(
    field: FieldDecoder, views: ViewsArtifact, radius: float, colour: float
) -> None:
    wrong = ball(radius, colour)
    for planes in refine_triplanes(field, [wrong], views, replace(QUICK, seconds=0.6)):
        for cameras in (views.cameras, rig([45, 135])):  # also where no view looked from
            before, after = errors(field, wrong, cameras), errors(field, planes, cameras)
            assert after[0] < 0.4 * before[0]
            assert after[1] < 0.5 * before[1]


def test_a_right_triplane_stays(field: FieldDecoder, views: ViewsArtifact) -> None:
    right = ball(0.6, 1.0)
    for planes in refine_triplanes(field, [right], views, replace(QUICK, seconds=0.3)):
        assert max(errors(field, planes, views.cameras)) < 0.015


def test_the_field_is_left_alone_and_the_seed_decides(field: FieldDecoder, views: ViewsArtifact) -> None:
    config = replace(QUICK, seconds=0.1)
    wrong = ball(0.5, 1.0)
    weights = {name: tensor.clone() for name, tensor in field.state_dict().items()}
    runs = [next(iter(refine_triplanes(field, [wrong], views, config, seed=s))) for s in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert all(torch.equal(weights[name], tensor) for name, tensor in field.state_dict().items())
    assert all(parameter.grad is None for parameter in field.parameters())


def test_generated_views_count_less(field: FieldDecoder, views: ViewsArtifact) -> None:
    """The input shows a ball of 0.6, the generated views are empty: the input wins, the more the less they count."""
    rgba = views.rgba.copy()
    rgba[:, 1:] = 0
    found = []
    for trust in (0.0, 1.0):
        mixed = ViewsArtifact(rgba, views.cameras, views.keyframe_times, "generated", np.eye(4))
        config = replace(QUICK, seconds=0.3, generated=trust)
        planes = next(iter(refine_triplanes(field, [ball(0.6, 1.0)], mixed, config)))
        found.append(errors(field, planes, views.cameras[:1])[0])
    assert found[0] < 0.02 < found[1]


def test_steps_share_the_seconds() -> None:
    config = RefinementConfig(seconds=30 * STEP_SECONDS)
    assert [steps_for(config, keyframes) for keyframes in (1, 3, 10, 1000)] == [30, 10, 3, 1]
    assert steps_for(replace(config, rays=2 * config.rays), 3) == 5


def test_posed_views_are_refined_unless_asked_otherwise() -> None:
    assert RefinementConfig().seconds_for(posed=True) > 0
    assert RefinementConfig().seconds_for(posed=False) == 0
    assert RefinementConfig(seconds=0.0).seconds_for(posed=True) == 0
    assert RefinementConfig(seconds=7.0).seconds_for(posed=False) == 7.0
