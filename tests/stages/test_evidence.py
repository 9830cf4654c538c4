from __future__ import annotations

import numpy as np
from clips import growing_discs

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.stages.evidence import Evidence
from lim_cli.video.cropping import CropInfo


def evidence() -> Evidence:
    times = np.array([0.0, 0.1, 0.2])
    cameras = orbit_cameras([0, 90, 180, 270], elevation=0, field_of_view=40, distance=3, size=(64, 64))
    views = ViewsArtifact(
        np.repeat(growing_discs(3)[[0, 2]][:, None], 4, 1), cameras, times[[0, 2]], "generated", np.eye(4)
    )
    return Evidence(views, ClipArtifact(growing_discs(3), times, CropInfo(0, 0, 64, (64, 64))))


def test_each_instant_has_its_own_matte_and_is_measured_once() -> None:
    found = evidence()
    (first,), (second,) = found.real(0.0), found.real(0.1)
    assert first.matte.sum() < second.matte.sum()
    assert found.real(0.0)[0] is first
    assert found.real(0.1 + 1e-9)[0] is second
    found.real(0.0).clear()  # the caller's own list
    assert len(found.real(0.0)) == 1


def test_no_picture_and_an_empty_matte_say_nothing() -> None:
    assert evidence().real(0.05) == []
    assert evidence().real(0.2) == []
    assert len(evidence().loose(0.0)) == 3
    assert evidence().loose(0.1) == []


def test_by_a_clock_that_runs_backwards_the_same_is_seen() -> None:
    times = np.array([0.0, 0.1, 0.2])
    cameras = orbit_cameras([0], elevation=0, field_of_view=40, distance=3, size=(64, 64))
    views = ViewsArtifact(growing_discs(4)[:3, None], cameras, times, "posed", np.eye(4))
    forwards, backwards = Evidence(views, None), Evidence(views, None, -1)
    for time in times:
        np.testing.assert_array_equal(forwards.real(time)[0].matte, backwards.real(-time)[0].matte)
        np.testing.assert_array_equal(forwards.pictures(time)[0].rgba, backwards.pictures(-time)[0].rgba)
    assert backwards.real(0.1) == []
