"""Which inputs a call means and where their results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from lim_cli.cli.jobs import STDIN, Job, expand, names_of, parse_shard, plan_jobs
from lim_cli.cli.preflight import check_writable
from lim_cli.core.errors import ConfigError, InputError, OutputError


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_one_input_is_a_single_clip(tmp_path: Path) -> None:
    plan = plan_jobs(["x/a.mp4"], Path("o.glb"), workdir=Path("w"), preview=Path("p.mp4"))
    assert plan.folder is None
    assert plan.jobs == (Job(Path("x/a.mp4"), Path("o.glb"), Path("w"), Path("p.mp4")),)
    assert plan_jobs(["x/a.mp4"], tmp_path).jobs[0].output == tmp_path / "a.glb"
    with pytest.raises(OutputError, match=r"\.glb"):
        plan_jobs(["a.mp4"], Path("o.obj"))


def test_several_inputs_are_a_batch() -> None:
    plan = plan_jobs(["x/a.mp4", "x/b.mp4"], Path("o"), workdir=Path("w"), preview=Path("p"))
    assert [(j.output, j.workdir, j.preview) for j in plan.jobs] == [
        (Path("o/a.glb"), Path("w/a"), Path("p/a.mp4")),
        (Path("o/b.glb"), Path("w/b"), Path("p/b.mp4")),
    ]
    assert plan.summary == Path("o/batch.json")
    with pytest.raises(OutputError, match="folder"):
        plan_jobs(["a.mp4", "b.mp4"], Path("o.glb"))


def test_shards_part_the_inputs_and_summaries() -> None:
    inputs = [f"{name}.mp4" for name in "abcde"]
    plans = [plan_jobs(inputs, Path("o"), shard=f"{n}/2") for n in (1, 2)]
    assert [[j.input_path.stem for j in plan.mine] for plan in plans] == [["a", "c", "e"], ["b", "d"]]
    assert [plan.summary.name for plan in plans] == ["batch-1-of-2.json", "batch-2-of-2.json"]
    assert plan_jobs(inputs, Path("o"), shard="9/9").mine == ()


@pytest.mark.parametrize("text", ["0/2", "a/b", "2", "3/2", "-1/2"])
def test_bad_shards(text: str) -> None:
    assert parse_shard(None) == (1, 1)
    assert parse_shard("2/3") == (2, 3)
    with pytest.raises(ConfigError, match="shard"):
        parse_shard(text)


def test_patterns_are_expanded_in_natural_order_and_paths_kept_once(tmp_path: Path) -> None:
    clip10, clip9, _, deep = touch(tmp_path, "c10.mp4", "c9.mp4", "note.txt", "deep/c1.mp4")
    assert expand([str(tmp_path / "*.mp4")]) == [clip9, clip10]
    assert expand([str(clip10), str(tmp_path / "*.mp4"), "-"]) == [clip10, clip9, STDIN]
    assert expand([str(tmp_path / "**" / "c1.*")]) == [deep]
    assert plan_jobs([str(tmp_path / "c9*")], tmp_path / "out").folder == tmp_path / "out"
    with pytest.raises(InputError, match="matches"):
        expand([str(tmp_path / "*.mov")])


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "take [1].mp4")
    assert expand([str(path)]) == [path]
    assert plan_jobs([str(path)], tmp_path / "a.glb").folder is None


def test_no_two_inputs_write_one_file(tmp_path: Path) -> None:
    paths = touch(tmp_path, "x/a.mp4", "y/a.mp4", "y/a.gif", "x/b.mp4", "z/y/a.gif", "x/A.mp4", "x/a_2.mp4")
    names = names_of(paths)
    assert names[3] == "b"
    assert names[1] == "y_a_mp4"
    assert len({name.casefold() for name in names}) == len(paths)
    assert names_of([tmp_path / "x", tmp_path / "x" / "b.mp4", STDIN]) == ["x", "b", "stdin"]
    (tmp_path / "clip.v1").mkdir()
    assert names_of([tmp_path / "clip.v1"]) == ["clip.v1"]


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lim_cli.cli.preflight.MINIMUM_FREE_BYTES", 10**18)
    with pytest.raises(OutputError, match="MB are free"):
        check_writable(tmp_path / "out.glb")
