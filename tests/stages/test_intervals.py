from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import disc_clip
from quick_chain import reconstruct_quickly
from tiny_models import tiny_matching
from tiny_release import cached_weights

from lim_cli.artifacts.keyframes import KeyframesArtifact, save_keyframe, save_keyframe_times
from lim_cli.models.lrm import LRMOutput
from lim_cli.stages import interpolate
from lim_cli.stages.between import run_ends
from lim_cli.stages.intervals import Interval, Intervals
from lim_cli.stages.networks import Networks

TIMES = np.array([0.0, 1.0, 3.0, 4.0, 4.5])


@pytest.fixture
def networks() -> Networks:
    networks = Networks(weights=cached_weights(), needs=())
    torch.manual_seed(0)
    networks.lim = lim = tiny_matching("rgb")
    with torch.no_grad():  # as if it had learned something
        for name, parameter in lim.named_parameters():
            if not name.startswith("field."):
                parameter.add_(0.1 * torch.randn(parameter.shape))
        lim.field.output.bias[0] = 0
    return networks


@pytest.fixture(scope="module")
def keyframes(tmp_path_factory: pytest.TempPathFactory) -> KeyframesArtifact:
    folder = tmp_path_factory.mktemp("keyframes")
    generator = torch.Generator().manual_seed(0)
    for k in range(len(TIMES)):
        triplane = 4 * torch.randn(1, 3, 8, 16, 16, generator=generator)
        save_keyframe(folder, k, LRMOutput(triplane, (), torch.zeros(1, 1, 1)))
    save_keyframe_times(folder, TIMES)
    return KeyframesArtifact.load(folder)


def neighbours(interval: Interval) -> tuple[float | None, float | None]:
    return tuple(None if n is None else n.distance for n in (interval._guide.before, interval._guide.after))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("span", "distances"),
    [
        ((0, 1), (None, 2.0)),
        ((1, 2), (0.5, 0.5)),
        ((2, 1), (0.5, 0.5)),
        ((3, 4), (2.0, None)),
        ((1, 0), (2.0, None)),
        ((0, 2), (None, 0.5)),
        ((1, 3), (1 / 3, 0.5 / 3)),  # what lies two beyond is the clip's last keyframe
        ((0, 0), (None, None)),
    ],
)
def test_neighbours_lie_a_step_beyond(
    networks: Networks,
    keyframes: KeyframesArtifact,
    span: tuple[int, int],
    distances: tuple[float | None, float | None],
) -> None:
    interval = Intervals(networks, keyframes).between(*span)
    assert torch.equal(interval.source.triplane, keyframes.output(span[0]).triplane)
    assert torch.equal(interval.target.triplane, keyframes.output(span[1]).triplane)
    assert neighbours(interval) == pytest.approx(distances)


def test_what_lies_between_two_keyframes_is_found_once(
    networks: Networks, keyframes: KeyframesArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    found = networks.lim.motion
    monkeypatch.setattr(networks.lim, "motion", lambda *ends: asked.append(ends) or found(*ends))
    times = np.arange(0, 4.5, 0.25)
    triplanes = list(interpolate.iterate(keyframes, times, networks))
    assert len(asked) == len(TIMES) - 1
    for n in (6, 15):  # as with nothing remembered
        k = int(np.searchsorted(TIMES, times[n], side="right")) - 1
        interval = Intervals(networks, keyframes).between(k, k + 1)
        alpha = float((times[n] - TIMES[k]) / (TIMES[k + 1] - TIMES[k]))
        assert torch.equal(interval.triplane(alpha), triplanes[n])
        alone = Interval(networks, interval.source, interval.target)
        assert not torch.equal(alone.triplane(alpha), triplanes[n])


def test_keyframes_of_one_run_have_their_neighbours(networks: Networks, tmp_path: Path) -> None:
    reconstruct_quickly(disc_clip(tmp_path / "disc", frames=3), tmp_path, cached_weights())
    run, other = tmp_path / "run", tmp_path / "other"
    shutil.copytree(run, other)
    together, apart = (run_ends(run, end, networks, keyframes=(0, 1)).interval for end in (run, other))
    assert neighbours(together) == (None, 1.0)
    assert neighbours(apart) == (None, None)
    assert torch.equal(together.target.triplane, apart.target.triplane)
