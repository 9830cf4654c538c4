"""A run that was cut off goes on from its last finished piece and ends with the bytes of one that was not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import disc_clip
from quick_chain import differences, reconstruct_quickly
from tiny_release import cached_weights

from lim_cli.artifacts.run_folder import STAGE_FOLDERS
from lim_cli.cli.main import run as lim
from lim_cli.core.errors import InterruptedRun
from lim_cli.diffusion.pipeline import MultiviewVideoPipeline
from lim_cli.stages import refine, track
from lim_cli.stages.networks import Networks

REPOSITORY = Path(__file__).parents[2]
KEYFRAMES = 6


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "disc", frames=KEYFRAMES)


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    reconstruct_quickly(clip, folder, cached_weights())
    return folder


class Counter:
    """Counts the calls of a function and passes them on; Ctrl-C at call number `stop_at`."""

    def __init__(self, function: Callable[..., Any], stop_at: int | None = None) -> None:
        self.function, self.stop_at, self.calls = function, stop_at, 0

    def method(self) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            if self.calls == self.stop_at:
                raise KeyboardInterrupt
            self.calls += 1
            return self.function(*arguments, **options)

        return called


@pytest.mark.parametrize(
    ("owner", "name", "stage", "done", "total"),
    [
        (MultiviewVideoPipeline, "_write", "views", 1, 2),  # windows
        (Networks, "encode", "keyframes", 4, KEYFRAMES),
        (refine, "keyframe_residual", "refined", 2, KEYFRAMES),
        (track, "canonical_coordinates", "track", 3, KEYFRAMES - 1),  # intervals
    ],
)
def test_a_stage_goes_on_from_its_last_piece(
    whole: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    stage: str,
    done: int,
    total: int,
) -> None:
    function = getattr(owner, name)
    monkeypatch.setattr(owner, name, Counter(function, done).method())
    with pytest.raises(InterruptedRun, match="goes on"):
        reconstruct_quickly(clip, tmp_path, cached_weights())
    assert (tmp_path / "run" / f"{STAGE_FOLDERS[stage]}.partial").is_dir()
    assert not (tmp_path / "out").exists()

    rest = Counter(function)
    monkeypatch.setattr(owner, name, rest.method())
    reconstruct_quickly(clip, tmp_path, cached_weights())
    assert rest.calls == total - done
    assert differences(whole, tmp_path) == []


def test_pieces_of_another_run_are_not_used(
    whole: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "canonical_coordinates", Counter(track.canonical_coordinates, 2).method())
    with pytest.raises(InterruptedRun):
        reconstruct_quickly(clip, tmp_path, cached_weights(), vertices=150)
    monkeypatch.undo()
    rest = Counter(track.canonical_coordinates)
    monkeypatch.setattr(track, "canonical_coordinates", rest.method())
    reconstruct_quickly(clip, tmp_path, cached_weights())  # other vertices
    assert rest.calls == KEYFRAMES - 1
    assert differences(whole, tmp_path) == []


def test_fresh_starts_over(whole: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    result = reconstruct_quickly(clip, tmp_path, cached_weights(), fresh=True)
    assert min(result.seconds.values()) > 0
    assert differences(whole, tmp_path) == []


def test_a_changed_option_redoes_only_what_rests_on_it(whole: Path, clip: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    kept = ("clip", "views", "keyframes", "refined", "track")
    untouched = [f for s in kept for f in (tmp_path / "run").glob(f"{STAGE_FOLDERS[s]}/**/*")]
    before = {file: file.stat().st_mtime_ns for file in untouched}
    result = reconstruct_quickly(clip, tmp_path, cached_weights(), texture_size=96)
    assert {file: file.stat().st_mtime_ns for file in untouched} == before
    assert {stage for stage, seconds in result.seconds.items() if seconds > 0} == {"texture", "export"}


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 16
    file.write_bytes(data)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("00_clip/frames/0002.png", truncate),
        ("10_views/arrays.safetensors", Path.unlink),
        ("20_keyframes/keyframe_00003.safetensors", flip),
        ("30_refined/residual_00003.safetensors", flip),
        ("40_track/manifest.json", flip),
        ("50_texture/texture.png", flip),
    ],
)
def test_a_damaged_stage_is_made_again(
    whole: Path, clip: Path, tmp_path: Path, file: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / "run" / file)
    result = reconstruct_quickly(clip, tmp_path, cached_weights())
    redone = {STAGE_FOLDERS[stage] for stage, seconds in result.seconds.items() if seconds > 0 and stage != "export"}
    assert redone == {file.split("/")[0]}
    assert differences(whole, tmp_path) == []


def test_a_stage_alone_refuses_damaged_input(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIM_WEIGHTS", str(cached_weights()))
    shutil.copytree(whole / "run", tmp_path / "run")
    flip(tmp_path / "run" / "20_keyframes" / "keyframe_00003.safetensors")
    assert lim(["track", str(tmp_path / "run"), "--device", "cpu"]) == 2
    text = capsys.readouterr().err
    assert "20_keyframes is damaged; run lim keyframes" in text
    assert len(text.splitlines()) == 1


def test_ctrl_c_leaves_nothing_outside_the_workdir(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIM_WEIGHTS", str(cached_weights()))
    for place in ("out", "tmp"):
        (tmp_path / place).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(Networks, "encode", Counter(Networks.encode, 1).method())
    command = ["reconstruct", str(clip), "-o", str(tmp_path / "out" / "a.glb"), "--device", "cpu"]
    assert lim(command) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())
    assert not list((tmp_path / "tmp").iterdir())


def test_random_kills_lose_nothing() -> None:
    paths = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]
    kills = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests" / "acceptance" / "kill.py"), "--kills", "6"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert kills.returncode == 0, kills.stdout + kills.stderr
    assert "6 kills" in kills.stdout
