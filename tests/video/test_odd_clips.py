"""Long, large and odd clips: only what is wanted is decoded and kept, whatever the format."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from odd_clips import disc_frames, numbered_frames, write_clip
from PIL import Image

from lim_cli.core.errors import InputError, MissingError
from lim_cli.stages.config import IngestConfig
from lim_cli.stages.ingest import run as ingest
from lim_cli.stages.intervals import output_times
from lim_cli.video.checking import check_clip
from lim_cli.video.decoding import decode, open_video
from lim_cli.video.reading import read_clip, read_first

HOURS = 2
RATE = 1


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours at one frame a second, a key frame every minute."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    options = {"preset": "ultrafast", "g": "60", "keyint_min": "60", "sc_threshold": "0"}
    return write_clip(path, numbered_frames(HOURS * 3600 * RATE), rate=RATE, pixel_format="yuv420p", options=options)


def test_a_late_part_of_a_long_clip_is_sought(long_clip: Path) -> None:
    clip = read_clip(long_clip, start=7000, end=7010)
    assert clip.frame_numbers.tolist() == list(range(7000, 7010))
    np.testing.assert_allclose(clip.rgba[:, 8, 8, 0], np.arange(7000, 7010) % 200, atol=3)
    container, stream = open_video(long_clip)
    with container:
        _, first_decoded, _ = next(decode(container, stream, start=7000))
    assert first_decoded >= 7000 - 2 - 60 / RATE  # from a key frame a minute before, not from the beginning


def test_a_whole_long_clip_is_thinned_while_it_is_read(long_clip: Path) -> None:
    clip = read_clip(long_clip, max_frames=100)
    assert 50 <= len(clip) <= 100
    steps = np.diff(clip.times)
    np.testing.assert_allclose(steps, steps[0])
    assert clip.times[-1] > 7000
    np.testing.assert_allclose(clip.rgba[:, 8, 8, 0], clip.frame_numbers % 200, atol=3)


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".webm", ".avi"])
def test_other_containers_are_sought_too(tmp_path: Path, suffix: str) -> None:
    """A transport stream does not begin at time 0, and an AVI has no time stamps of its own."""
    codec = {".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(suffix, "libx264")
    options = {"g": "10", "cpu-used": "8"} if suffix == ".webm" else {"g": "10"}
    path = tmp_path / f"a{suffix}"
    write_clip(path, numbered_frames(100), codec=codec, pixel_format="yuv420p", options=options)
    clip = read_clip(path, start=8.0, end=8.5)
    assert clip.frame_numbers.tolist() == [80, 81, 82, 83, 84]
    np.testing.assert_allclose(clip.rgba[:, 8, 8, 0], [80, 81, 82, 83, 84], atol=4)


def test_4k_is_shrunk_while_it_is_read(tmp_path: Path) -> None:
    """Python holds the shrunk frames only: five whole ones would be 166 MB."""
    frames = (np.full((2160, 3840, 3), 25 * n, np.uint8) for n in range(5))
    path = write_clip(tmp_path / "4k.mp4", frames, codec="mpeg4", pixel_format="yuv420p")
    tracemalloc.start()
    clip = read_clip(path, max_side=512)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert clip.rgba.shape == (5, 288, 512, 4)
    np.testing.assert_allclose(clip.rgba[:, 100, 100, 0], 25 * np.arange(5), atol=3)
    assert peak < 3840 * 2160 * 4


def test_times_of_a_variable_rate_reach_the_output(tmp_path: Path) -> None:
    times = [0, 10, 15, 50, 90]
    path = write_clip(tmp_path / "a.mkv", disc_frames(5), times=times)
    artifact = ingest(path, IngestConfig(size=32))
    np.testing.assert_allclose(artifact.times, np.array(times) / 100, atol=2e-3)
    np.testing.assert_allclose(output_times(artifact.times, 10.0), np.arange(10) / 10)


@pytest.mark.parametrize(
    ("suffix", "codec", "size"),
    [
        (".mkv", "libx264", (33, 47)),
        (".gif", "gif", (33, 47)),
        (".webm", "libvpx-vp9", (34, 46)),
        (".avi", "ffv1", (17, 5)),
    ],
)
def test_odd_sizes(tmp_path: Path, suffix: str, codec: str, size: tuple[int, int]) -> None:
    formats = {"gif": "rgb8", "libvpx-vp9": "yuv420p", "ffv1": "bgr0", "libx264": "yuv444p"}
    path = tmp_path / f"a{suffix}"
    write_clip(path, numbered_frames(2, *size), codec=codec, pixel_format=formats[codec])
    assert read_clip(path).rgba.shape == (2, *size, 4)


@pytest.mark.parametrize("name", ["one.mp4", "one.gif", "one.webm", "one.png"])
def test_a_clip_of_one_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = next(disc_frames(1))
    if name.endswith("png"):
        Image.fromarray(frame).save(path)
    else:
        write_clip(path, [frame], pixel_format="yuv420p" if name.endswith("mp4") else None)
    clip = read_clip(path)
    assert clip.times.tolist() == [0.0]
    artifact = ingest(path, IngestConfig(size=32))
    assert artifact.rgba.shape == (1, 32, 32, 4)
    assert output_times(artifact.times, 30.0).tolist() == [0.0]


def test_names_with_spaces_and_other_scripts(tmp_path: Path) -> None:
    path = tmp_path / "ein Ordner" / "näxt — 動画 ☃ 100%.MP4"
    path.parent.mkdir()
    write_clip(path, disc_frames(2), pixel_format="yuv420p")
    clip = read_clip(path)
    assert (len(clip), clip.source_name) == (2, path.name)
    check_clip(path)


def test_a_text_is_no_video_though_ffmpeg_could_draw_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello world, this is text\n" * 100)
    with pytest.raises(InputError, match="is a text"):
        read_clip(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", ["a.mkv", "a.gif", "pictures"])
def test_the_first_frame_alone_is_that_of_the_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix:
        write_clip(path, numbered_frames(20))
    else:
        path.mkdir()
        for number, frame in enumerate(numbered_frames(20)):
            Image.fromarray(frame).save(path / f"{number}.png")
    for start in (None, 0.5):
        whole = read_clip(path, start=start, end=1.5, input_fps=10)
        first = read_first(path, start=start, end=1.5, input_fps=10)
        assert np.array_equal(first.rgba, whole.rgba[:1])
        assert first.frame_numbers.tolist() == whole.frame_numbers[:1].tolist()
    with pytest.raises(InputError, match="between --start and --end"):
        read_first(path, start=30, end=40)


def write_pictures(folder: Path, frames: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}.png")
    return folder


def test_a_look_refuses_what_the_whole_would(tmp_path: Path) -> None:
    blank = np.full((32, 32, 3), 255, np.uint8)
    with pytest.raises(InputError, match="No object"):
        check_clip(write_pictures(tmp_path / "blank", [blank] * 3))
    with pytest.raises(InputError, match="No object"):
        check_clip(write_pictures(tmp_path / "clear", [np.zeros((32, 32, 4), np.uint8)] * 3), "alpha")
    with pytest.raises(InputError, match="no alpha"):
        check_clip(write_pictures(tmp_path / "solid", list(disc_frames(3))), "alpha")
    with pytest.raises(InputError, match="differ in size"):
        check_clip(write_pictures(tmp_path / "mixed", [blank, blank[:16]]))


def test_a_look_is_not_misled_by_an_empty_first_frame(tmp_path: Path) -> None:
    blank = np.full((64, 64, 3), 255, np.uint8)
    check_clip(write_pictures(tmp_path / "late", [blank, *disc_frames(4)]))


def test_ways_to_matte_that_there_are_not(tmp_path: Path) -> None:
    clip = write_pictures(tmp_path / "clip", list(disc_frames(1)))
    with pytest.raises(InputError, match="neither a folder"):
        check_clip(clip, "grabcat")
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        check_clip(clip, str(tmp_path / "masks"))


def test_rembg_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install rembg"):
        check_clip(tmp_path / "absent.mp4", "rembg")
