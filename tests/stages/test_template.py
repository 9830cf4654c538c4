"""The mesh of any keyframe can be the one that is traced, and backwards in time is no other than forwards."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import disc_clip, growing_discs
from quick_chain import quick_config, reconstruct_quickly
from tiny_release import cached_weights

from lim_cli.artifacts.keyframes import KeyframesArtifact, keyframe_name
from lim_cli.artifacts.store import ClipArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.stages import track
from lim_cli.stages.agreement import silhouette_iou
from lim_cli.stages.evidence import Evidence
from lim_cli.stages.networks import Networks

KEYFRAMES = 5
LAST = KEYFRAMES - 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    reconstruct_quickly(disc_clip(folder / "disc", frames=KEYFRAMES), folder, cached_weights())
    return folder / "run"


def traced(keyframes: KeyframesArtifact, views: ViewsArtifact, clip: ClipArtifact, template: int) -> TrackArtifact:
    networks = Networks(weights=cached_weights(), needs=())
    config = replace(quick_config().track, template=template)
    return track.run(keyframes, views, clip, keyframes.times, config, networks)


def mirrored(run: Path, folder: Path) -> tuple[KeyframesArtifact, ViewsArtifact, ClipArtifact]:
    """A run's artifacts as they would be had the clip been filmed backwards."""
    keyframes = KeyframesArtifact.load(run / "20_keyframes")
    shutil.copytree(keyframes.folder, folder)
    for k in range(KEYFRAMES):
        shutil.copyfile(keyframes.folder / keyframe_name(LAST - k), folder / keyframe_name(k))
    views, clip = ViewsArtifact.load(run / "10_views"), ClipArtifact.load(run / "00_clip")
    times = (keyframes.times[-1] - keyframes.times)[::-1]
    return (
        KeyframesArtifact(folder, times),
        replace(views, rgba=views.rgba[::-1], keyframe_times=times),
        replace(clip, rgba=clip.rgba[::-1], times=(clip.times[-1] - clip.times)[::-1]),
    )


def test_backwards_is_the_mirror_of_forwards(run: Path, tmp_path: Path) -> None:
    keyframes, views, clip = mirrored(run, tmp_path / "mirrored")
    forwards = traced(keyframes, views, clip, 0).track
    backwards = traced(
        KeyframesArtifact.load(run / "20_keyframes"), ViewsArtifact.load(run / "10_views"),
        ClipArtifact.load(run / "00_clip"), LAST,
    ).track  # fmt: skip
    np.testing.assert_array_equal(backwards.faces, forwards.faces)
    assert float(np.ptp(forwards.vertices, axis=0).max()) > 0.02  # it moves
    np.testing.assert_allclose(backwards.vertices[::-1], forwards.vertices, atol=1e-4)


def test_a_template_amid_the_clip_reaches_both_ends(run: Path) -> None:
    keyframes, views = KeyframesArtifact.load(run / "20_keyframes"), ViewsArtifact.load(run / "10_views")
    clip = ClipArtifact.load(run / "00_clip")
    found = traced(keyframes, views, clip, 2).track
    assert len(found.times) == KEYFRAMES
    assert silhouette_iou(found, views, clip) > 0.8  # over all times: it follows the disc both ways


def test_the_template_is_the_first_keyframe_unless_another_is_clearly_more_open() -> None:
    times = np.array([0.0, 0.1, 0.2])
    cameras = orbit_cameras([0], elevation=0, field_of_view=40, distance=3, size=(64, 64))

    def evidence(order: list[int]) -> Evidence:
        return Evidence(ViewsArtifact(growing_discs(4)[order][:, None], cameras, times, "posed", np.eye(4)), None)

    assert track.most_open(evidence([0, 2, 1]), times) == 1  # radii 8, 16, 12
    assert track.most_open(evidence([0, 0, 2]), times) == 0  # as open as it mostly is
    assert track.most_open(evidence([2, 1, 0]), times) == 0
    assert track.most_open(evidence([0, 0, 0]), times) == 0
    assert track.most_open(evidence([3, 0, 2]), times) == 2  # nothing is seen at first
