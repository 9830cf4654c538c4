from __future__ import annotations

from pathlib import Path

import numpy as np

from lim_cli.data.clip_samples import ClipSpec
from lim_cli.data.dataset import ProceduralDataset
from lim_cli.data.object_source import Mixture
from lim_cli.data.samples import SampleSpec
from tests.data.rigged_cubes import turning_cube

SEEN = SampleSpec("keyframes", size=16, clip_length=4, passed=3, tracks=20, labelled=())


def test_painted_clips_are_surfaces_that_move() -> None:
    sample = ProceduralDataset(ClipSpec(SEEN, painted=3, points=100), seed=3)[0]
    positions, moves, alpha = (sample[f"painted_{name}"] for name in ("positions", "moves", "alpha"))
    assert positions.shape == (3, 4, 100, 3)
    assert moves.shape == (3, 4, 7, 100, 3)
    assert alpha.shape == (3, 7)
    assert (alpha[:, [0, 3]] == [0, 1]).all()
    # nothing has moved at its own time, and everything else has
    for keyframe in range(4):
        assert np.abs(moves[:, keyframe, keyframe]).max() < 1e-5
    assert (np.linalg.norm(moves[:, 0, 3], axis=-1).mean(-1) > 1e-4).all()
    np.testing.assert_allclose(np.linalg.norm(sample["painted_normals"], axis=-1), 1, atol=1e-3)
    assert (sample["painted_colours"] >= 0).all()
    assert np.abs(positions).max() <= 1
    # what left one keyframe's surface arrives on the other's
    arrived = positions[:, 0] + moves[:, 0, 3]
    away = np.linalg.norm(arrived[:, :, None] - positions[:, None, 3], axis=-1).min(-1)
    assert np.median(away) < 0.15


def test_no_painted_clips_leave_the_sample_as_it_is() -> None:
    plain, same = (ProceduralDataset(spec, seed=3)[0] for spec in (SEEN, ClipSpec(SEEN)))
    assert set(plain) == set(same)
    assert all(np.array_equal(plain[name], same[name]) for name in plain)


def test_painted_clips_may_be_of_rigged_assets(tmp_path: Path) -> None:
    turning_cube(tmp_path / "cube.glb")
    spec = ClipSpec(SEEN, painted=2, points=100, others=Mixture(tmp_path, 1.0))
    sample = ProceduralDataset(spec, seed=3)[0]
    for clip in range(2):
        positions, moves = sample["painted_positions"][clip], sample["painted_moves"][clip]
        # a cube that turns about the vertical axis
        before, after = (np.linalg.norm(p[:, [0, 2]], axis=1) for p in (positions[0], positions[0] + moves[0, 3]))
        np.testing.assert_allclose(after, before, atol=1e-5)
        np.testing.assert_allclose(moves[..., 1], 0, atol=1e-5)
        assert np.abs(moves[0, 3]).max() > 0.01
