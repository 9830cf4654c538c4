"""Canonical coordinates over a span of keyframes, from either form of CanonicalLIM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from clips import disc_clip
from quick_chain import quick_config, reconstruct_quickly
from tiny_models import tiny_matching
from tiny_release import cached_weights

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.geometry.mesh import Mesh
from lim_cli.models.lim import LIM
from lim_cli.models.presets import lim_config
from lim_cli.stages import track
from lim_cli.stages.canonical import anchor, canonical_coordinates
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks
from lim_cli.stages.surface import FieldQuery

REST = np.array([[-0.4, -0.4, 0], [0.4, -0.4, 0.1], [0.4, 0.4, 0], [-0.4, 0.4, 0.1]], np.float32)
SQUARE = Mesh(REST, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyframesArtifact, ViewsArtifact]:
    folder = tmp_path_factory.mktemp("filmed")
    reconstruct_quickly(disc_clip(folder / "disc", frames=3), folder, cached_weights())
    return KeyframesArtifact.load(folder / "run" / "20_keyframes"), ViewsArtifact.load(folder / "run" / "10_views")


def networks_with(head: str) -> Networks:
    """The tiny release, with an untrained CanonicalLIM of this head."""
    networks = Networks(weights=cached_weights(), needs=())
    if head == "match":
        networks.canonical_lim = tiny_matching("canonical")
        return networks
    lim = LIM(lim_config("tiny", "canonical", blocks=2, head=head)).eval()  # type: ignore[arg-type]
    lim.start_from(networks.lrm)
    networks.canonical_lim = lim
    return networks


def interval_of(networks: Networks, keyframes: KeyframesArtifact) -> Interval:
    return Interval(networks, *(keyframes.output(k, networks.device) for k in (0, 1)))


@torch.no_grad()
def test_the_flow_head_names_places_at_the_spans_start(filmed: tuple[KeyframesArtifact, ViewsArtifact]) -> None:
    networks = networks_with("flow")
    networks.canonical_lim.field.output.bias[1:] = torch.tensor([0.2, 0.0, -0.1])
    now = SQUARE.vertices + np.float32(0.05)
    found = canonical_coordinates(networks, interval_of(networks, filmed[0]), now, SQUARE, filmed[1], 0)
    assert found.of_vertices is now
    for alpha in (0.0, 0.5, 1.0):
        moved = found.of_points(POINTS, alpha) - POINTS
        np.testing.assert_allclose(moved, np.tile(np.float32([0.2, 0, -0.1]) * alpha, (40, 1)), atol=1e-5)


def test_the_papers_form_names_places_in_the_template(filmed: tuple[KeyframesArtifact, ViewsArtifact]) -> None:
    networks, views = networks_with("residual"), filmed[1]
    now = SQUARE.vertices + np.float32(0.05)
    found = canonical_coordinates(networks, interval_of(networks, filmed[0]), now, SQUARE, views, 0)
    assert found.of_vertices is SQUARE.vertices
    state = anchor(networks, now, SQUARE, views, 0)
    expected = FieldQuery(networks.canonical_lrm.field, state.triplane[0]).values(POINTS)
    for alpha in (0.0, 0.5):  # untrained, it leaves the source's triplane as it is
        np.testing.assert_allclose(found.of_points(POINTS, alpha), expected, atol=1e-5)


@pytest.mark.parametrize("head", ["match", "flow", "residual", "warp"])
def test_every_form_traces(head: str, filmed: tuple[KeyframesArtifact, ViewsArtifact]) -> None:
    keyframes, views = filmed
    config = replace(quick_config().track, recognitions=0, matching="always", evaluations=1)
    times = np.linspace(keyframes.times[0], keyframes.times[-1], 5)
    traced = track.run(keyframes, views, None, times, config, networks_with(head)).track
    assert traced.vertices.shape[0] == 5
    assert np.isfinite(traced.vertices).all()
    assert np.abs(traced.vertices[-1] - traced.vertices[0]).max() > 1e-3
