from __future__ import annotations

from pathlib import Path

import pytest
import torch
from one_batch import one_batch

from lim_cli.core.config import to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.models.checkpoints import save_model
from lim_cli.models.lim import LIM
from lim_cli.models.presets import lim_config
from lim_cli.training.config import TrainConfig
from lim_cli.training.matching import MatchingTask
from lim_cli.training.point_pairs import Pair, both_ends, varied
from lim_cli.training.replays import Replays
from lim_cli.training.task import Batch, encode_instants, rig_of, views_of


def matching_task(name: str, teachers: dict[str, str]) -> MatchingTask:
    torch.manual_seed(0)
    task = MatchingTask(
        TrainConfig(
            task=name, teacher=teachers["rgb"], preset="tiny", replays=3, corrected=2, painted=2, rays=16, points=64,
            surface=256, degrade=1.0,
        )  # type: ignore[arg-type]
    )  # fmt: skip
    # an untrained LRM shows nothing: let some of what it says be a surface
    with torch.no_grad():
        batch = one_batch(task)
        planes = encode_instants(task._frozen[0], views_of(batch), rig_of(batch)).triplane
        logits, _ = task.model.field(planes, torch.rand(len(planes), 2000, 3) * 1.6 - 0.8)
        for field in (task.model.field, task._frozen[0].field):
            field.output.bias[0] -= logits.median()
    return task


@pytest.fixture
def matching(teachers: dict[str, str]) -> MatchingTask:
    return matching_task("lim", teachers)


def first_of(known: Batch) -> Batch:
    return {name: value[0] for name, value in known.items()}


def test_remembered_points_move_as_the_surface_next_to_them(matching: MatchingTask) -> None:
    batch = one_batch(matching, 2)
    known = matching._known(batch, torch.Generator())
    tracks = batch["tracks"]
    for sample, frame in ((0, 0), (1, 2)):
        here = tracks[sample, frame, frame]
        away = torch.cdist(known["positions"][sample, frame].float(), here)
        nearest = away.argmin(-1)
        wanted = tracks[sample, frame, :, nearest] - here[nearest]
        # half precision may take another of two that are as near
        as_told = (known["moves"][sample, frame].float() - wanted).abs().amax((0, 2)) < 2e-3
        assert as_told.float().mean() > 0.98
        assert (known["trusted"][sample, frame] == (away.amin(-1) < 0.1)).float().mean() > 0.98


def test_both_ends_of_a_pair_tell_of_the_same_motion(matching: MatchingTask) -> None:
    known = matching._known(one_batch(matching), torch.Generator())
    ends = both_ends(first_of(known), Pair(3, 1), 200, torch.Generator().manual_seed(0))
    times = known["alpha"][0]
    for end, here, there in ((ends[0], 3, 1), (ends[1], 1, 3)):
        places = known["positions"][0, here].float()
        away, nearest = torch.cdist(end["positions"], places).min(-1)
        assert away.max() == 0
        torch.testing.assert_close(end["way"], known["moves"][0, here, there, nearest].float())
        # on the way there, at the share of it that is told
        (instant,) = [
            n for n in range(len(times)) if (times[n] - times[here]) / (times[there] - times[here]) == end["share"]
        ]
        torch.testing.assert_close(end["passing"], known["moves"][0, here, instant, nearest].float())


def test_varied_pairs_are_the_same_world_seen_otherwise(matching: MatchingTask) -> None:
    known = matching._known(one_batch(matching), torch.Generator())
    plain = both_ends(first_of(known), Pair(0, 3), 100, torch.Generator().manual_seed(4))
    other = varied(plain, torch.Generator().manual_seed(5))
    before, after = (
        torch.cat([torch.cat([e["positions"], e["positions"] + e["way"]]) for e in ends]) for ends in (plain, other)
    )
    scale = torch.cdist(after, after) / torch.cdist(before, before).clamp_min(1e-6)
    away = torch.cdist(before, before) > 0.05
    stretch = scale[away].median()
    torch.testing.assert_close(scale[away], stretch.expand_as(scale[away]), rtol=1e-3, atol=0)
    assert 0.84 < stretch < 1.16
    assert (before - after).abs().max() > 0.05
    for one, turned in zip(plain, other, strict=True):
        torch.testing.assert_close(
            (one["normals"] * one["way"]).sum(-1),
            (turned["normals"] * turned["way"]).sum(-1) / stretch,
            atol=1e-3,
            rtol=1e-3,
        )


def as_a_good_lrm_shows(matching: MatchingTask, batch: Batch) -> Batch:
    """What is known of a sample whose surfaces are the true ones, their colours painted on."""
    known, tracks = matching._known(batch, torch.Generator()), batch["tracks"]
    times, count = tracks.shape[2], tracks.shape[3]
    here = torch.stack([tracks[:, n, n] for n in range(4)], 1)
    painted = torch.stack([tracks[:, n, 0] for n in range(4)], 1) / 2 + 0.5
    return {
        **known,
        "positions": here,
        "normals": torch.zeros_like(here),
        "colours": painted,
        "features": torch.zeros(*here.shape[:3], known["features"].shape[-1]),
        "moves": tracks - here[:, :, None].expand(-1, -1, times, -1, -1),
        "trusted": torch.ones(*here.shape[:2], count, dtype=torch.bool),
    }


@pytest.mark.parametrize("name", ["lim", "canonical_lim"])
def test_it_learns_how_things_move(name: str, teachers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    matching = matching_task(name, teachers)
    batch, generator = one_batch(matching), torch.Generator().manual_seed(0)
    known = as_a_good_lrm_shows(matching, batch)
    monkeypatch.setattr(matching, "_known", lambda *_: known)

    def error() -> float:
        with torch.no_grad():
            return float(matching.eval()(batch, torch.Generator().manual_seed(1))[1]["there"])

    before = error()
    optimizer = torch.optim.Adam(matching.model.scene_flow.parameters(), 1e-3)
    for _ in range(50):
        loss, _ = matching.train()(batch, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert error() < 0.85 * before


def test_corrections_learn_from_the_planes_of_a_keyframe_between(matching: MatchingTask) -> None:
    known = matching._known(one_batch(matching), torch.Generator())
    optimizer = torch.optim.Adam(matching.model.correction.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss, metrics = matching._corrections(known, torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert {"planes_0", "planes_1", "planes_2", "distil", "distil_values", "psnr", "iou"} <= set(metrics)
    # where LRM's own triplane is what comes out, there is nothing to learn from it
    same = {**known, "planes": known["planes"][:, :1].expand(-1, 4, -1, -1, -1, -1), "alpha": 0 * known["alpha"]}
    assert float(matching._corrections(same, torch.Generator().manual_seed(0))[1]["distil"]) < 1e-6


def test_views_are_blurred_while_training_alone(teachers: dict[str, str]) -> None:
    matching = matching_task("canonical_lim", teachers)
    batch = one_batch(matching)
    seen = [
        matching.train(training)._known(batch, torch.Generator().manual_seed(0))["features"]
        for training in (False, False, True)
    ]
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert "planes" not in matching._known(batch, torch.Generator())


def test_it_takes_over_another_of_either_kind(matching: MatchingTask, teachers: dict[str, str], tmp_path: Path) -> None:
    save_model(tmp_path, matching.model, matching.plain, dtype=torch.float32)
    config = TrainConfig(task="canonical_lim", teacher=teachers["rgb"], preset="tiny", initial=str(tmp_path))
    taken = MatchingTask(config).model
    assert taken.config.kind == "canonical"
    for name, tensor in taken.scene_flow.state_dict().items():
        assert torch.equal(tensor, matching.model.scene_flow.state_dict()[name]), name
    config = lim_config("tiny")
    save_model(tmp_path / "paper", LIM(config), to_plain(config))
    with pytest.raises(ConfigError, match="leave --initial out"):
        MatchingTask(TrainConfig(task="lim", teacher=teachers["rgb"], initial=str(tmp_path / "paper")))


def test_painted_clips_count_once_and_move_as_told(matching: MatchingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Batch]] = []
    judge = matching._scene_flow
    monkeypatch.setattr(matching, "_scene_flow", lambda clips, generator: seen.append(clips) or judge(clips, generator))
    batch, generator = one_batch(matching), torch.Generator().manual_seed(0)
    for _ in range(3):
        matching.train()(batch, generator)
    assert [len(clips) for clips in seen] == [1 + 2, 1 + 3 + 2, 1 + 3 + 2]  # new, remembered, painted
    for n, clip in enumerate(seen[1][-2:]):
        off = (clip["positions"] - batch["painted_positions"][0, n]).norm(dim=-1)
        assert 0 < off.mean() < 0.05
        assert torch.equal(clip["moves"], batch["painted_moves"][0, n])
        assert (clip["features"] == 0).all()
    matching.eval()(batch, generator)
    assert len(seen[-1]) == 1


def test_steps_between_new_samples_cost_no_pass_of_lrm(matching: MatchingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    matching._replays = Replays(1, 8, every=3)
    passes = []
    known = matching._known
    monkeypatch.setattr(matching, "_known", lambda *given: passes.append(True) or known(*given))
    batch, generator = one_batch(matching), torch.Generator().manual_seed(0)
    for _ in range(6):
        matching.train()(batch, generator)
    assert len(passes) == 3  # the first two, which are to be remembered, and the fifth
    with pytest.raises(ConfigError, match="replays=N"):
        TrainConfig(task="lim", teacher="somewhere", fresh_every=2)
