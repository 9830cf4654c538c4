from __future__ import annotations

import numpy as np
import pytest
from shapes import rotation, sphere

from lim_cli.geometry.mesh import TrackedMesh
from lim_cli.geometry.track_quality import self_intersecting, track_quality

BALL = sphere(1.0, 3)


def test_a_rigid_motion_spoils_nothing() -> None:
    shapes = np.stack([BALL.vertices @ rotation(40.0 * n).T for n in range(5)]).astype(np.float32)
    found = track_quality(TrackedMesh(shapes, BALL.faces, np.arange(5) / 10))
    assert (found.bad_faces, found.self_intersections) == (0.0, 0)
    assert found.volume == pytest.approx((1.0, 1.0), abs=2e-3)


def test_folds_cuts_and_volume_are_counted() -> None:
    grown = 1.1 * BALL.vertices
    through = BALL.vertices.copy()
    top = np.argmax(through[:, 1])
    through[top] = [0.0, -1.5, 0.0]  # a spike that leaves on the other side
    found = track_quality(TrackedMesh(np.stack([BALL.vertices, grown, through]), BALL.faces, np.arange(3.0)))
    assert found.first_self_intersections == 0
    assert found.self_intersections >= 6
    assert found.volume[1] == pytest.approx(1.331, abs=1e-3)
    assert found.volume[0] < 1.0
    assert (found.confidence, found.guessed) == (None, None)


def test_confidence_is_summed_up() -> None:
    sure = np.ones((2, len(BALL.vertices)), np.float32)
    sure[1, ::2] = 0.0
    still = TrackedMesh(np.stack([BALL.vertices] * 2), BALL.faces, np.arange(2.0))
    found = track_quality(still, confidence=sure)
    assert found.confidence == pytest.approx(0.75, abs=1e-3)
    assert found.guessed == pytest.approx(0.5, abs=2e-3)


def test_two_balls_cut_each_other_along_a_ring_only() -> None:
    count = len(BALL.vertices)
    vertices = np.concatenate([BALL.vertices, BALL.vertices + np.array([1.0, 0.013, 0.007], np.float32)])
    faces = np.concatenate([BALL.faces, BALL.faces + count])
    cut = self_intersecting(vertices, faces)
    centres = vertices[faces].mean(1)
    assert 40 < cut.sum() < 0.2 * len(faces)
    assert np.abs(centres[cut, 0] - 0.5).max() < 0.15
    ring = np.abs(np.linalg.norm(centres - [1.0, 0.013, 0.007], axis=1) - 1) < 0.02
    assert cut[: len(BALL.faces)][ring[: len(BALL.faces)]].mean() > 0.9
