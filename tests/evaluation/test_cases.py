"""Test cases: what is at the ends, what is between, and from where."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clips import posed_scene

from lim_cli.core.errors import InputError
from lim_cli.data.scene_folder import read_scene
from lim_cli.evaluation.cases import asset_cases, procedural_cases, scene_cases, span_of
from lim_cli.evaluation.sequences import procedural_sequences, scene_sequence
from tests.data.rigged_cubes import turning_cube


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five time steps; the first two of four views are `input`, the others `eval`."""
    folder = posed_scene(tmp_path_factory.mktemp("scenes") / "object", times=5)
    path = folder / "transforms.json"
    table = json.loads(path.read_text())
    for frame in table["frames"]:
        frame["split"] = "input" if frame["view"] < 2 else "eval"
    path.write_text(json.dumps(table))
    return folder


def test_procedural_cases_are_the_same_every_time_and_move() -> None:
    first, again = next(procedural_cases(1, gap=0.3)), next(procedural_cases(1, gap=0.3))
    np.testing.assert_array_equal(first.ends, again.ends)
    np.testing.assert_array_equal(first.middles[0].truth, again.middles[0].truth)
    assert first.ends.shape == (2, 4, 128, 128, 4)
    assert np.abs(first.ends[0].astype(int) - first.ends[1]).max() > 20
    assert (first.middles[0].truth[..., 3] > 127).mean() > 0.01


def test_alphas_count_from_the_first_end_to_the_last() -> None:
    case = next(procedural_cases(1, gap=0.3, alphas=(0.0, 0.4, 1.0), views=1))
    assert [m.alpha for m in case.middles] == [0.0, 0.4, 1.0]
    np.testing.assert_array_equal(case.middles[0].views, case.ends[0])
    np.testing.assert_array_equal(case.middles[2].views, case.ends[1])
    assert not np.array_equal(case.middles[1].views, case.ends[0])
    assert case.middles[1].truth.shape == (1, 128, 128, 4)


def test_neighbours_lie_as_far_beyond_the_ends_as_these_are_apart() -> None:
    case = next(c for c in procedural_cases(9, gap=0.1, views=1) if c.before and c.after)
    assert case.before is not None
    assert case.after is not None
    before, after = case.before(), case.after()
    assert before.shape == after.shape == case.ends[0].shape
    apart = [float(np.abs(views.astype(int) - case.ends[0]).mean()) for views in (before, case.ends[1], after)]
    assert 0 < apart[1] < apart[2]
    assert apart[0] > 0
    assert next(procedural_cases(1, gap=0.9, views=1)).before is None  # the motion began later


def test_an_assets_animation_gives_cases_too(tmp_path: Path) -> None:
    (case,) = asset_cases(turning_cube(tmp_path / "cube.glb"), 1, gap=0.5)
    assert case.group.startswith("cube")
    assert np.abs(case.ends[0].astype(int) - case.ends[1]).max() > 20


def test_ends_of_a_scene_are_as_far_apart_as_the_alphas_need(scene: Path) -> None:
    assert [span_of(a) for a in ((), (0.5,), (0.25, 0.5), (1 / 3,))] == [1, 2, 4, 3]
    halves = list(scene_cases(scene))
    assert [c.name.split(" ", 1)[1] for c in halves] == ["0 to 2", "1 to 3", "2 to 4"]
    assert [c.before is None for c in halves] == [True, True, False]
    assert [c.after is None for c in halves] == [False, True, True]
    assert halves[0].after is not None
    np.testing.assert_array_equal(halves[0].after(), halves[2].ends[1])
    (quarters,) = scene_cases(scene, alphas=(0.25, 0.75))
    np.testing.assert_array_equal(quarters.ends[0], halves[0].ends[0])
    np.testing.assert_array_equal(quarters.middles[0].truth, _truth(halves, 1))
    np.testing.assert_array_equal(quarters.middles[1].truth, _truth(halves, 3))
    assert len(list(scene_cases(scene, most=2))) == 2
    assert len(quarters.cameras) == len(quarters.novel) == 2


def _truth(halves: list, step: int) -> np.ndarray:
    return np.asarray(halves[step - 1].middles[0].truth)


def test_a_scene_refuses_alphas_and_steps_it_does_not_have(scene: Path) -> None:
    with pytest.raises(InputError, match="simple fractions"):
        next(scene_cases(scene, alphas=(0.123456,)))
    with pytest.raises(InputError, match="9 time steps"):
        next(scene_cases(scene, alphas=(0.125,)))


def test_procedural_sequences_follow_their_surface() -> None:
    (case,) = procedural_sequences(1, gap=0.1, steps=3)
    assert case.views.rgba.shape == (3, 4, 256, 256, 4)
    assert case.tracks.shape == (3, 2048, 3)
    assert case.truth.shape == (3, 2, 128, 128, 4)
    for step in range(3):  # every tracked point is inside the object's outline in every view
        pixels, _ = case.views.cameras_at(step).project(_torch(case.tracks[step]))
        column, row = np.moveaxis(pixels.numpy().astype(int).clip(0, 255), -1, 0)
        solid = case.views.rgba[step, np.arange(4)[:, None], row, column, 3] > 0
        assert solid.mean() > 0.97


def _torch(points: np.ndarray):  # type: ignore[no-untyped-def]
    import torch

    return torch.from_numpy(points).float()[None].expand(4, -1, -1)


def test_sequences_longer_than_the_motion_are_refused() -> None:
    with pytest.raises(InputError, match=r"--gap 0\.14"):
        next(procedural_sequences(1, gap=0.2))


def test_a_scene_with_tracks_is_a_sequence_in_its_own_units(scene: Path) -> None:
    with pytest.raises(InputError, match="no tracks"):
        scene_sequence(scene)
    tracks = np.random.default_rng(0).uniform(-1, 3, (5, 10, 3))
    np.savez(scene / "tracks.npz", points=tracks)
    case = scene_sequence(scene)
    assert case.size == pytest.approx(np.ptp(tracks.reshape(-1, 3), axis=0).max())
    assert case.truth.shape == (5, 2, 128, 128, 4)
    # a point of the world is seen at the same place by the model frame's cameras
    keyframe = read_scene(scene, split="eval").keyframes[0]
    world = np.array([[0.1, 0.2, -0.1]])
    matrix = np.linalg.inv(case.views.world_from_model)
    model = world @ matrix[:3, :3].T + matrix[:3, 3]
    seen = keyframe.cameras.resized((128, 128)).project(_torch(world)[:2])[0]
    np.testing.assert_allclose(case.novel.project(_torch(model)[:2])[0], seen, atol=0.05)
    np.savez(scene / "tracks.npz", points=tracks[:3])
    with pytest.raises(InputError, match="same time steps"):
        scene_sequence(scene)
