from __future__ import annotations

import numpy as np
import pytest
import torch
from moving_shapes import ball, turning_ellipsoid

from lim_cli.core.errors import ConfigError
from lim_cli.data.dataset import ProceduralDataset, sample_loader
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import mono_rig, random_light, source_rig, target_rig
from lim_cli.data.samples import SampleSpec, draw_sample

SMALL = SampleSpec(size=16, rays=24, points=40, surface=20)


def test_labels_agree_with_a_ball() -> None:
    sample = draw_sample(ball(), np.random.default_rng(0), SMALL)
    assert sample["views"].shape == (1, 4, 4, 16, 16)
    assert sample["views"].dtype == np.uint8
    surface, points = sample["surface"][0], sample["points"][0]
    radius = np.linalg.norm(surface, axis=1).mean()  # normalised: centred, and within the drawn radius
    assert 0.75 < radius <= 0.97
    np.testing.assert_allclose(np.linalg.norm(surface, axis=1), radius, atol=5e-3)
    np.testing.assert_allclose(sample["sdf"][0], np.linalg.norm(points, axis=1) - radius, atol=5e-3)
    hit = sample["ray_mask"][0] > 0.5
    where = sample["origins"][0] + sample["directions"][0] * sample["ray_length"][0][:, None]
    assert hit.any()
    np.testing.assert_allclose(np.linalg.norm(where[hit], axis=1), radius, atol=1e-2)


def test_views_and_canonical_agree_with_the_camera() -> None:
    spec = SampleSpec("triplet", size=32, canonical=True, labelled=())
    sample = draw_sample(ball(), np.random.default_rng(1), spec)
    assert sample["canonical"].shape == (3, 4, 3, 32, 32)
    assert sample["alpha"][[0, 2]].tolist() == [0.0, 1.0]
    full = sample["views"][0, :, 3] == 255
    xyz = np.moveaxis(sample["canonical"][0].astype(np.float32), 1, -1)
    for v in range(4):
        rows, columns = np.nonzero(full[v])
        camera, (fx, fy, cx, cy) = sample["world_from_camera"][v], sample["intrinsics"][v]
        local = (xyz[v, rows, columns] - camera[:3, 3]) @ camera[:3, :3]
        np.testing.assert_allclose(local[:, 0] / local[:, 2] * fx + cx, columns + 0.5, atol=0.1)
        np.testing.assert_allclose(local[:, 1] / local[:, 2] * fy + cy, rows + 0.5, atol=0.1)


def test_tracks_follow_points_of_every_instant_to_all_others() -> None:
    spec = SampleSpec("triplet", size=64, tracks=200, labelled=())
    source = ProceduralObject.draw(np.random.default_rng(4))
    sample = draw_sample(source, np.random.default_rng(3), spec)
    tracks = sample["tracks"]
    assert tracks.shape == (3, 3, 200, 3)
    moved = np.linalg.norm(tracks[:, 0] - tracks[:, 2], axis=-1).mean(1)
    assert (moved > 1e-3).all()
    lens, views = sample["intrinsics"], sample["world_from_camera"]
    for start, instant in np.ndindex(3, 3):  # a surface lies in its silhouettes, but for pixels at the edge
        inside = []
        for view in range(4):
            local = (tracks[start, instant] - views[view, :3, 3]) @ views[view, :3, :3]
            column, row = (local[:, :2] / local[:, 2:] * lens[view, :2] + lens[view, 2:]).T.astype(int).clip(0, 63)
            inside.append(sample["views"][instant, view, 3][row, column] > 0)
        assert np.mean(inside) > 0.95


def test_keyframes_are_seen_in_order_and_tracks_tell_of_what_was_passed() -> None:
    spec = SampleSpec("keyframes", size=16, clip_length=4, passed=3, tracks=50, labelled=())
    sample = draw_sample(turning_ellipsoid(), np.random.default_rng(2), spec)
    alpha = sample["alpha"]
    assert sample["views"].shape == (4, 4, 4, 16, 16)
    assert (alpha[[0, 3]].tolist(), len(alpha)) == ([0.0, 1.0], 7)
    assert ((alpha >= 0) & (alpha <= 1)).all()
    assert abs(np.diff(alpha[:4])).min() > 0
    assert len(set(np.sign(np.diff(alpha[:4])))) == 1
    assert sample["tracks"].shape == (4, 7, 50, 3)
    # it turns at one speed: angles are as far apart as times are
    spans = np.diff(sample["tracks"][0], axis=1)[..., [0, 2]] @ np.array([1, 1j])
    angles = np.median(np.angle(spans / spans[:1]), axis=1)
    np.testing.assert_allclose(angles, angles[3] * alpha, atol=1e-3)


@pytest.mark.parametrize("instants", ["single", "triplet", "clip"])
def test_instants_are_ordered(instants: str) -> None:
    spec = SampleSpec(instants, size=8, clip_length=5, labelled=())  # type: ignore[arg-type]
    for seed in range(5):
        sample = draw_sample(ball(), np.random.default_rng(seed), spec)
        count = {"single": 1, "triplet": 3, "clip": 5}[instants]
        assert sample["alpha"].shape == (count,)
        assert (np.diff(sample["alpha"]) > 0).all()
        assert "points" not in sample


def test_rigs_look_at_the_unit_ball() -> None:
    for seed in range(20):
        for rig in (f(np.random.default_rng(seed), 64) for f in (source_rig, mono_rig, target_rig)):
            rotation, position = rig.world_from_camera[:, :3, :3], rig.world_from_camera[:, :3, 3]
            np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (4, 1, 1)), atol=1e-5)
            assert (np.linalg.norm(position, axis=1) > 1.2).all()
            local = -np.einsum("vji,vj->vi", rotation, position)  # the origin in camera axes
            assert (np.abs(local[:, :2]) < 0.2).all()
            assert (local[:, 2] > 0).all()
        light = random_light(np.random.default_rng(seed))
        assert np.linalg.norm(light.direction) == pytest.approx(1, abs=1e-5)
        assert (light.ambient > 0).all()


def equal(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[k], two[k]) for k in one)


def test_a_sample_is_its_number_whatever_was_drawn_before() -> None:
    one, two = ProceduralDataset(SMALL, seed=4), ProceduralDataset(SMALL, seed=4)
    for number in (0, 7, 2):
        two[number]
    assert equal(one[5], two[5])
    assert not equal(one[4], one[5])
    assert not equal(one[5], ProceduralDataset(SMALL, seed=5)[5])


def test_eval_never_draws_what_train_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: dict[str, set[tuple[int, ...]]] = {"train": set(), "eval": set()}
    original = np.random.default_rng
    for split, found in keys.items():
        monkeypatch.setattr(np.random, "default_rng", lambda k, found=found: (found.add(tuple(k)), original(k))[1])
        for seed in (0, 1, 2):
            dataset = ProceduralDataset(SampleSpec(size=8, labelled=()), seed=seed, split=split)  # type: ignore[arg-type]
            for number in range(3):
                dataset[number]
    assert keys["train"]
    assert not keys["train"] & keys["eval"]
    assert not {k[0] for k in keys["train"]} & {k[0] for k in keys["eval"]}


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_starts_anywhere(workers: int) -> None:
    dataset = ProceduralDataset(SampleSpec(size=8, labelled=()), seed=1)
    batches = list(sample_loader(dataset, batch_size=2, start=3, stop=8, workers=workers))
    assert len(batches) == 2
    expected = torch.stack([torch.from_numpy(dataset[i]["views"]) for i in (3, 4)])
    assert torch.equal(batches[0]["views"], expected)


def test_patch_rays_are_neighbouring_pixels() -> None:
    spec = SampleSpec(size=32, rays=3 * 8**2, points=16, surface=8, patch=8)
    sample = draw_sample(ball(), np.random.default_rng(1), spec)
    directions = sample["directions"].reshape(3, 8, 8, 3)
    origins = sample["origins"].reshape(3, 64, 3)
    assert (origins == origins[:, :1]).all()
    assert len(np.unique(origins[:, 0], axis=0)) == 3  # each of another view
    right, down = np.diff(directions, axis=2), np.diff(directions, axis=1)
    step = np.linalg.norm(right, axis=-1)
    assert (step.max((1, 2)) < 1.15 * step.min((1, 2))).all()  # one pixel apart all over
    across = (right[:, :-1] * down[:, :, :-1]).sum(-1) / step[:, :-1] ** 2
    assert np.abs(across).max() < 0.1  # rows and columns


@pytest.mark.parametrize(("patch", "rays"), [(33, 33**2), (8, 100)])
def test_patches_that_do_not_fit_are_refused(patch: int, rays: int) -> None:
    with pytest.raises(ConfigError, match="patch must be at most"):
        SampleSpec(size=32, rays=rays, patch=patch)
