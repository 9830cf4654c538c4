from __future__ import annotations

import numpy as np
import pytest
from bending_bar import bar_mesh, bend, curvature_at
from scipy.spatial.transform import Rotation

from lim_cli.geometry.skinning import SkinError, Skinning, decompose, object_size, skin_error
from lim_cli.geometry.skinning_bones import Fit, rigid_fit
from lim_cli.geometry.skinning_weights import fit_weights


def still(vertices: np.ndarray, bones: int = 1) -> Skinning:
    """The skin that does not move."""
    joints, weights = np.zeros((len(vertices), 4), int), np.tile([1.0, 0, 0, 0], (len(vertices), 1))
    return Skinning(vertices.astype(float), joints, weights, np.tile(np.eye(3, 4), (1, bones, 1, 1)))


def three_lumps(frames: int) -> np.ndarray:
    """Three point clouds, each turning about its own axis and drifting its own way: [time, 120, 3]."""
    rng = np.random.default_rng(0)
    times = np.linspace(0, 1, frames)
    tracks = []
    for lump in range(3):
        points = rng.normal(0, 0.2, (40, 3))
        turns = Rotation.from_rotvec(np.outer(times, rng.normal(0, 2.5, 3)))
        drift = np.outer(times, rng.normal(0, 0.5, 3)) + np.eye(3)[lump]
        tracks.append(np.einsum("tij,vj->tvi", turns.as_matrix(), points) + drift[:, None])
    return np.concatenate(tracks, axis=1).astype(np.float32)


def bending(frames: int, rings: int = 41) -> np.ndarray:
    straight = bar_mesh(rings).vertices
    return np.stack([bend(straight, curvature_at(n / 30)) for n in range(frames)])


@pytest.mark.parametrize("frames", [7, 150])  # 150: several blocks, clustered by a part of the frames
def test_rigid_parts_are_found_exactly(frames: int) -> None:
    track = three_lumps(frames)
    skin = decompose(track, bones=3)
    assert skin_error(track, skin).max < 1e-5
    assert np.allclose(skin.weights[:, 0], 1)
    owners = skin.joints[:, 0].reshape(3, 40)
    assert (owners == owners[:, :1]).all()
    assert len(set(owners[:, 0])) == 3


def test_a_skin_is_a_skin() -> None:
    track = bending(20)
    skin = decompose(track, bones=8)
    assert skin.weights.shape == skin.joints.shape == (track.shape[1], 4)
    np.testing.assert_allclose(skin.weights.sum(axis=1), 1)
    assert (skin.weights >= 0).all()
    assert (np.diff(skin.weights, axis=1) <= 0).all()
    for row, weights in zip(skin.joints, skin.weights, strict=True):
        used = row[weights > 0]
        assert len(set(used)) == len(used)
    rotations = skin.bones[..., :3]
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(-1, -2), np.broadcast_to(np.eye(3), rotations.shape), atol=1e-9
    )
    assert (np.linalg.det(rotations) > 0).all()


def test_more_bones_fit_better_and_a_bend_well() -> None:
    track = bending(20)
    errors = [skin_error(track, decompose(track, bones=count)).rms for count in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.01
    assert errors[-1] < 1e-3


def test_it_works_anywhere_at_any_size() -> None:
    track = bending(12)
    near, far = decompose(track, bones=4), decompose(track * np.float32(250) + np.float32([3000, -500, 70]), bones=4)
    assert skin_error(track * 250 + [3000, -500, 70], far).rms == pytest.approx(skin_error(track, near).rms, rel=0.05)


def test_copies_of_a_vertex_stay_together() -> None:
    track = bending(10)
    doubled = np.concatenate([track, track[:, ::3]], axis=1)
    skin = decompose(doubled, bones=5)
    count = track.shape[1]
    np.testing.assert_array_equal(skin.weights[count:], skin.weights[:count:3])
    np.testing.assert_array_equal(skin.joints[count:], skin.joints[:count:3])
    np.testing.assert_array_equal(skin.rest[count:], skin.rest[:count:3])


def test_the_same_input_gives_the_same_skin() -> None:
    track = bending(8)
    first, second = decompose(track, bones=6), decompose(track, bones=6)
    np.testing.assert_array_equal(first.bones, second.bones)
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize("frames", [1, 2])
def test_hardly_any_frames(frames: int) -> None:
    track = bending(frames)
    assert skin_error(track, decompose(track, bones=32)).max < 2e-3


def test_a_handful_of_vertices_needs_fewer_bones() -> None:
    track = np.random.default_rng(1).normal(size=(4, 5, 3)).astype(np.float32)
    assert decompose(track, bones=32).bones.shape[1] == 1


@pytest.mark.parametrize("bones", [0, 251])
def test_the_number_of_bones_is_checked(bones: int) -> None:
    with pytest.raises(ValueError, match="bones"):
        decompose(bending(2), bones=bones)


def test_error_in_parts_of_the_diagonal() -> None:
    track = np.zeros((2, 3, 3))
    track[:, 1] = [3, 4, 0]  # the diagonal is 5
    track[1, 2] = [0, 0, 1]
    assert object_size(track) == 5
    moved = Skinning(
        track[0], *(getattr(still(track[0]), n) for n in ("joints", "weights")), np.tile(np.eye(3, 4), (2, 1, 1, 1))
    )
    assert skin_error(track, moved) == SkinError(rms=pytest.approx(np.sqrt(1 / 6) / 5), max=pytest.approx(0.2))


def test_weights_that_made_a_motion_are_found_again() -> None:
    rng = np.random.default_rng(3)
    time, bone, vertex = 12, 9, 60
    turns = Rotation.from_rotvec(rng.normal(0, 0.6, (time * bone, 3))).as_matrix().reshape(time, bone, 3, 3)
    bones = np.concatenate([turns, rng.normal(0, 0.3, (time, bone, 3, 1))], axis=3)
    rest = rng.normal(size=(vertex, 3))
    truth = np.zeros((vertex, bone))
    for row in truth:
        used = rng.choice(bone, rng.integers(1, 5), replace=False)
        row[used] = rng.dirichlet(np.full(len(used), 3.0))
    moved = np.einsum("vb,tbij,vj->tvi", truth, turns, rest) + np.einsum("vb,tbi->tvi", truth, bones[..., 3])
    fit = Fit(rest, moved, np.zeros(3), 1.0, bones=bones)
    for _ in range(4):
        left = fit_weights(fit, 4)
    found = np.zeros_like(truth)
    for column in range(4):
        np.add.at(found, (np.arange(vertex), fit.joints[:, column]), fit.weights[:, column])
    exact = np.abs(found - truth).max(axis=1) < 1e-5
    assert exact.mean() >= 0.9  # choosing the best four of nine is a search
    squares = np.sum((moved - moved.mean(axis=1, keepdims=True)) ** 2)
    assert 0 <= left + 1e-9 < 1e-3 * squares


def test_rigid_fit_finds_a_motion_and_holds_what_is_free() -> None:
    rng = np.random.default_rng(4)
    rest, weights = rng.normal(size=(9, 3)), rng.uniform(0.1, 1, 9)
    turns, moves = Rotation.random(5, rng=7).as_matrix(), rng.normal(size=(5, 1, 3))
    positions = weights[:, None] * (np.einsum("tij,vj->tvi", turns, rest) + moves).transpose(1, 0, 2).reshape(9, -1)
    still_ones = np.tile(np.eye(3, 4), (5, 1, 1))
    found = rigid_fit(rest, weights, positions, still_ones)
    np.testing.assert_allclose(found[..., :3], turns, atol=1e-4)
    np.testing.assert_allclose(found[..., 3], moves[:, 0], atol=1e-4)
    # One vertex says nothing about the rotation: it stays.
    held = np.concatenate([turns, moves.transpose(0, 2, 1)], axis=2)
    point = rigid_fit(rest[:1], np.ones(1), np.zeros((1, 15)), held)
    np.testing.assert_allclose(point[..., :3], turns, atol=1e-9)
    np.testing.assert_allclose(np.einsum("tij,j->ti", point[..., :3], rest[0]) + point[..., 3], 0, atol=1e-9)
