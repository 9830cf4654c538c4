"""Gives the command line what it cannot use: the right exit code, one sentence on stderr, nothing left behind.

    python tests/acceptance/bad_input.py [--only CASE ...]

`lim` is the installed one; from a checkout put PYTHONPATH=. in front. Prints a table and exits with 1 if a case is
wrong. Expected: 2 for what can be put right in the input or output, 3 for missing or damaged weights; a clip of one
frame becomes a mesh that keeps still. What is refused must be refused before torch is loaded: within
MOST_CPU_SECONDS of processor time, which other work on the machine does not change.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import typer
from child import ChildRun, run_lim
from PIL import Image

SIZE = 96
FRAMES = 12
LEAST_WORDS = 4
MOST_CPU_SECONDS = 2.5


@dataclass(frozen=True)
class Case:
    """arguments: makes the input in an empty folder and returns what follows `lim reconstruct`.

    Without an `-o` of its own a case writes to out/a.glb. codes: the exit codes that are right.
    """

    name: str
    arguments: Callable[[Path], Sequence[str | Path]]
    codes: tuple[int, ...] = (2,)


@dataclass(frozen=True)
class Verdict:
    """sentence: what stderr says, with the case's folder as `.`. left: files in it that were not there before."""

    case: Case
    run: ChildRun
    sentence: str
    left: tuple[str, ...]
    wrong: tuple[str, ...]


def main(
    only: Annotated[list[str] | None, typer.Option(help="Only these cases; may be given several times.")] = None,
) -> None:
    if unknown := sorted(set(only or ()) - {case.name for case in CASES}):
        raise typer.BadParameter(f"no case is called {', '.join(unknown)}")
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="bad-input-") as folder:
        for number, case in enumerate(CASES):
            if not only or case.name in only:
                verdicts.append(try_case(case, Path(folder).resolve() / f"{number:02d}"))
    print("| case | exit code | s | CPU s | sentence | left behind | wrong |\n|---|---:|---:|---:|---|---|---|")
    for verdict in verdicts:
        cells = [verdict.case.name, str(verdict.run.exit_code), f"{verdict.run.wall_seconds:.1f}"]
        cells += [f"{verdict.run.cpu_seconds:.1f}", verdict.sentence]
        cells += [listed(verdict.left), "; ".join(verdict.wrong) or "-"]
        print(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    raise typer.Exit(int(any(verdict.wrong for verdict in verdicts) or not verdicts))


def try_case(case: Case, folder: Path) -> Verdict:
    """Runs one case in a folder of its own, which is also its place for temporary files."""
    scene, temporary = folder / "case", folder / "case" / "tmp"
    temporary.mkdir(parents=True)
    arguments = list(case.arguments(scene))
    if "-o" not in arguments:
        arguments += ["-o", scene / "out" / "a.glb", "--workdir", scene / "run", "--preview", scene / "out" / "a.mp4"]
    before = files_in(scene)
    run = run_lim(["reconstruct", *arguments, "--quiet"], folder / "logs", environment={"TMPDIR": str(temporary)})
    left = tuple(sorted(files_in(scene) - before))
    sentence = run.stderr.strip().replace(str(scene), ".").replace("\n", " / ")
    return Verdict(case, run, sentence, left, tuple(wrongs(case, run, left)))


def wrongs(case: Case, run: ChildRun, left: Sequence[str]) -> list[str]:
    """What is not as it should be."""
    found = []
    if run.exit_code not in case.codes:
        found.append(f"exit code {run.exit_code}, not {' or '.join(map(str, case.codes))}")
    if run.exit_code == 0:
        found += [f"no {name}" for name in ("out/a.glb", "out/a.mp4") if name not in left]
        return found + [f"left {name}" for name in left if not name.startswith(("out/a.", "run/"))]
    if run.cpu_seconds > MOST_CPU_SECONDS:
        found.append("too slow")
    lines = run.stderr.strip().splitlines()
    if len(lines) != 1 or not lines[0].startswith("lim: ") or len(lines[0].split()) < LEAST_WORDS:
        found.append(f"{len(lines)} lines on stderr, not one sentence")
    if "internal error" in run.stderr or "Traceback" in run.stderr:
        found.append("not refused on purpose")
    if run.stdout:
        found.append("it printed to stdout")
    return found + [f"left {name}" for name in left]


def files_in(folder: Path) -> set[str]:
    """Files below a folder; a run's empty lock file is no result."""
    files = [path for path in folder.rglob("*") if not path.is_dir() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix() for path in files}


def listed(left: Sequence[str]) -> str:
    """File names in a few words; those of a run folder only counted."""
    names = [name for name in left if not name.startswith("run/")]
    stages = len(left) - len(names)
    return ", ".join([*names, *([f"{stages} files in run/"] if stages else [])]) or "nothing"


# Inputs


def missing_file(folder: Path) -> Sequence[str | Path]:
    return [folder / "absent.mp4"]


def empty_file(folder: Path) -> Sequence[str | Path]:
    (folder / "clip.mp4").touch()
    return [folder / "clip.mp4"]


def zero_frames(folder: Path) -> Sequence[str | Path]:
    return [write_video(folder / "clip.mp4", frames=0)]


def text_as_video(folder: Path) -> Sequence[str | Path]:
    (folder / "clip.mp4").write_text("not a video at all\n" * 50, encoding="utf-8")
    return [folder / "clip.mp4"]


def video_without_index(folder: Path) -> Sequence[str | Path]:
    """An mp4's index stands at its end, so half the file has none."""
    return [cut(write_video(folder / "clip.mp4"), 0.5)]


def video_without_data(folder: Path) -> Sequence[str | Path]:
    """With the index in front: a file that opens, and ends before its first picture does."""
    path = write_video(folder / "clip.mp4", index_first=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"mdat") + 8])
    return [path]


def empty_matte(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip", opacity=0), "--matte", "alpha"]


def blank_frames(folder: Path) -> Sequence[str | Path]:
    """Nothing but white, so that no object can be told from the background."""
    (folder / "clip").mkdir()
    for number in range(3):
        Image.fromarray(np.full((SIZE, SIZE, 3), 255, np.uint8)).save(folder / "clip" / f"{number}.png")
    return [folder / "clip"]


def text_file(folder: Path) -> Sequence[str | Path]:
    """FFmpeg draws pictures of a .txt, which nobody means."""
    (folder / "notes.txt").write_text("not a video at all\n" * 50, encoding="utf-8")
    return [folder / "notes.txt"]


def sound_only(folder: Path) -> Sequence[str | Path]:
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return [folder / "clip.mp4"]


def broken_picture(folder: Path) -> Sequence[str | Path]:
    (folder / "clip.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return [folder / "clip.png"]


def cut_gif(folder: Path) -> Sequence[str | Path]:
    Image.fromarray(disc(0)).convert("P").save(folder / "clip.gif")
    return [cut(folder / "clip.gif", 0.02)]


def empty_folder(folder: Path) -> Sequence[str | Path]:
    (folder / "clip").mkdir()
    return [folder / "clip"]


def folder_of_videos(folder: Path) -> Sequence[str | Path]:
    (folder / "clips").mkdir()
    write_video(folder / "clips" / "a.mp4")
    return [folder / "clips"]


def mixed_sizes(folder: Path) -> Sequence[str | Path]:
    pictures = write_pictures(folder / "clip", frames=2)
    Image.fromarray(disc(2)[: SIZE // 2]).save(pictures / "002.png")
    return [pictures]


def huge_picture(folder: Path) -> Sequence[str | Path]:
    Image.new("1", (20_000, 2)).save(folder / "clip.png")
    return [folder / "clip.png"]


def pattern_without_match(folder: Path) -> Sequence[str | Path]:
    return [folder / "*.mov"]


def start_past_the_end(folder: Path) -> Sequence[str | Path]:
    return [write_video(folder / "clip.mp4"), "--start", "100"]


def end_before_start(folder: Path) -> Sequence[str | Path]:
    return [write_video(folder / "clip.mp4"), "--start", "0.5", "--end", "0.2"]


def unknown_matte(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip"), "--matte", "grabcat"]


def unknown_option(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip"), "--set", "track.stifness=3"]


def config_out_of_range(folder: Path) -> Sequence[str | Path]:
    (folder / "mine.toml").write_text("vertices = 5\n", encoding="utf-8")
    return [write_pictures(folder / "clip"), "--config", folder / "mine.toml"]


def broken_config(folder: Path) -> Sequence[str | Path]:
    (folder / "mine.toml").write_text("vertices = \n", encoding="utf-8")
    return [write_pictures(folder / "clip"), "--config", folder / "mine.toml"]


def unknown_device(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip"), "--device", "abacus"]


def damaged_weights(folder: Path) -> Sequence[str | Path]:
    for name in ("lrm", "lim", "canonical_lrm", "canonical_lim", "views"):
        model = folder / "weights" / "v1" / name
        model.mkdir(parents=True)
        (model / "config.json").write_text("{}", encoding="utf-8")
        (model / "model.safetensors").write_bytes(b"cut off")
    return [write_pictures(folder / "clip"), "--weights", folder / "weights"]


def preview_of_another_kind(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip"), "-o", folder / "a.glb", "--preview", folder / "a.xyz"]


def preview_is_a_folder(folder: Path) -> Sequence[str | Path]:
    (folder / "a.mp4").mkdir()
    return [write_pictures(folder / "clip"), "-o", folder / "a.glb", "--preview", folder / "a.mp4"]


def workdir_is_a_file(folder: Path) -> Sequence[str | Path]:
    (folder / "file").touch()
    return [write_pictures(folder / "clip"), "-o", folder / "a.glb", "--workdir", folder / "file"]


def no_output(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip"), write_video(folder / "clip.mp4"), "-o", folder / "a.glb"]


def one_frame_video(folder: Path) -> Sequence[str | Path]:
    return [write_video(folder / "clip.mp4", frames=1)]


def one_frame(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip", frames=1)]


def broken_json(folder: Path) -> Sequence[str | Path]:
    return [write_scene(folder, '{"frames": [')]


def no_frames(folder: Path) -> Sequence[str | Path]:
    return [write_scene(folder, json.dumps({"frames": []}))]


def broken_matrix(folder: Path) -> Sequence[str | Path]:
    return [write_scene(folder, transforms(transform_matrix=[[1.0, 0.0], [0.0, 1.0]]))]


def path_above(folder: Path) -> Sequence[str | Path]:
    write_pictures(folder / "elsewhere", frames=1)
    return [write_scene(folder, transforms(file_path="../elsewhere/000.png"))]


def absolute_path(folder: Path) -> Sequence[str | Path]:
    pictures = write_pictures(folder / "elsewhere", frames=1)
    return [write_scene(folder, transforms(file_path=str(pictures / "000.png")))]


def link_outside(folder: Path) -> Sequence[str | Path]:
    pictures, scene = write_pictures(folder / "elsewhere", frames=1), write_scene(folder, transforms("link.png"))
    (scene / "link.png").symlink_to(pictures / "000.png")
    return [scene]


def no_weights(folder: Path) -> Sequence[str | Path]:
    (folder / "weights").mkdir()
    return [write_pictures(folder / "clip"), "--weights", folder / "weights"]


def output_below_file(folder: Path) -> Sequence[str | Path]:
    (folder / "file").touch()
    return [write_pictures(folder / "clip"), "-o", folder / "file" / "a.glb"]


def output_in_locked_folder(folder: Path) -> Sequence[str | Path]:
    (folder / "locked").mkdir(mode=0o500)
    return [write_pictures(folder / "clip"), "-o", folder / "locked" / "a.glb"]


def output_of_another_kind(folder: Path) -> Sequence[str | Path]:
    return [write_pictures(folder / "clip"), "-o", folder / "out.obj"]


CASES = [
    Case("missing file", missing_file),
    Case("empty file", empty_file),
    Case("video of no frames", zero_frames),
    Case("text called .mp4", text_as_video),
    Case("truncated video, no index", video_without_index),
    Case("truncated video, no picture", video_without_data),
    Case("empty matte", empty_matte),
    Case("blank frames", blank_frames),
    Case("broken transforms.json", broken_json),
    Case("transforms.json without frames", no_frames),
    Case("broken camera matrix", broken_matrix),
    Case("path above the scene", path_above),
    Case("absolute path", absolute_path),
    Case("link out of the scene", link_outside),
    Case("no weights", no_weights, (3,)),
    Case("output below a file", output_below_file),
    Case("output of another kind", output_of_another_kind),
    Case("text file", text_file),
    Case("sound only", sound_only),
    Case("broken picture", broken_picture),
    Case("cut off GIF", cut_gif),
    Case("empty folder", empty_folder),
    Case("folder of videos", folder_of_videos),
    Case("pictures of several sizes", mixed_sizes),
    Case("huge picture", huge_picture),
    Case("pattern without a match", pattern_without_match),
    Case("start past the end", start_past_the_end),
    Case("end before the start", end_before_start),
    Case("unknown matte", unknown_matte),
    Case("unknown option", unknown_option),
    Case("configuration out of range", config_out_of_range),
    Case("broken configuration", broken_config),
    Case("unknown device", unknown_device),
    Case("damaged weights", damaged_weights, (3,)),
    Case("preview of another kind", preview_of_another_kind),
    Case("preview is a folder", preview_is_a_folder),
    Case("working folder is a file", workdir_is_a_file),
    Case("one .glb for two inputs", no_output),
    Case("video of one frame", one_frame_video, (0,)),
    Case("one frame", one_frame, (0,)),
]
if os.geteuid() != 0:  # root may write anywhere
    CASES.insert(-1, Case("output in a locked folder", output_in_locked_folder))


def disc(number: int, opacity: int = 255) -> np.ndarray:
    """A disc that moves to the right: [height, width, 4] uint8."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    inside = np.hypot(x - SIZE * (0.4 + 0.02 * number), y - SIZE / 2) < SIZE * 0.3
    rgba = np.zeros((SIZE, SIZE, 4), np.uint8)
    rgba[inside] = (200, 120, 40, opacity)
    return rgba


def write_pictures(folder: Path, *, frames: int = FRAMES, opacity: int = 255) -> Path:
    folder.mkdir()
    for number in range(frames):
        Image.fromarray(disc(number, opacity)).save(folder / f"{number:03d}.png")
    return folder


def write_video(path: Path, *, frames: int = FRAMES, index_first: bool = False) -> Path:
    with av.open(str(path), "w", options={"movflags": "faststart"} if index_first else {}) as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        container.start_encoding()  # writes the header, without which no file comes of no frames
        for number in range(frames):
            rgba = disc(number)
            white = np.where(rgba[..., 3:] > 0, rgba[..., :3], 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(white, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    """Keeps the first part of a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def transforms(file_path: str = "000.png", transform_matrix: list[list[float]] | None = None) -> str:
    """A transforms.json of one frame seen from +Z."""
    pose = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0]]
    frame = {"file_path": file_path, "transform_matrix": transform_matrix or pose, "time": 0.0}
    size = {"fl_x": 130.0, "fl_y": 130.0, "cx": SIZE / 2, "cy": SIZE / 2, "w": SIZE, "h": SIZE}
    return json.dumps({**size, "frames": [frame]})


def write_scene(folder: Path, text: str) -> Path:
    """A scene folder with one whole picture and this transforms.json."""
    scene = write_pictures(folder / "scene", frames=1)
    (scene / "transforms.json").write_text(text, encoding="utf-8")
    return scene


if __name__ == "__main__":
    typer.run(main)
