"""Reading clips whose every frame, time and corner is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from lim_cli.core.errors import InputError
from lim_cli.video.reading import probe, read_clip

RED, BLUE = (220, 30, 30), (30, 30, 220)


def corner_frame(height: int = 48, width: int = 64) -> np.ndarray:
    """Blue with a red top left quarter."""
    frame = np.full((height, width, 3), BLUE, np.uint8)
    frame[: height // 2, : width // 2] = RED
    return frame


def write_clip(
    path: Path,
    frames: list[np.ndarray],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv444p",
    times: list[int] | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Frames at 10 per second, or at `times` in hundredths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options or {})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], pixel_format
        if times:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 100)
        if rotation:
            stream.set_display_rotation(rotation)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for index, array in enumerate(frames):
            frame = VideoFrame.from_ndarray(array, format="rgba" if array.shape[-1] == 4 else "rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts = times[index] if times else index
            if times:
                frame.time_base = Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def assert_colour(pixel: np.ndarray, colour: tuple[int, ...], tolerance: int = 16) -> None:
    assert np.abs(pixel[: len(colour)].astype(int) - colour).max() <= tolerance, (pixel, colour)


def test_frames_and_times(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [corner_frame()] * 5)
    clip = read_clip(path)
    assert clip.rgba.shape == (5, 48, 64, 4)
    assert not clip.has_alpha
    np.testing.assert_allclose(clip.times, np.arange(5) / 10, atol=1e-6)
    assert_colour(clip.rgba[2, 4, 4], RED)
    assert_colour(clip.rgba[2, 40, 60], BLUE)
    info = probe(path)
    assert info.frame_count == 5
    assert info.size == (48, 64)
    assert info.mean_fps == pytest.approx(10)


def test_variable_frame_rate_is_respected(tmp_path: Path) -> None:
    times = [0, 10, 15, 50, 90]
    path = write_clip(tmp_path / "a.mkv", [corner_frame()] * 5, times=times)
    np.testing.assert_allclose(read_clip(path).times, np.array(times) / 100, atol=2e-3)
    cut = read_clip(path, start=0.1, end=0.6)
    np.testing.assert_allclose(cut.times, [0, 0.05, 0.4], atol=2e-3)
    assert cut.frame_numbers.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format"), [("libvpx-vp9", "webm", "yuva420p"), ("prores_ks", "mov", "yuva444p10le")]
)
def test_alpha_is_decoded(tmp_path: Path, codec: str, suffix: str, pixel_format: str) -> None:
    frame = np.zeros((48, 64, 4), np.uint8)
    frame[16:32, 16:48] = (*RED, 255)
    options = {"profile": "4444"} if codec == "prores_ks" else {}
    path = write_clip(tmp_path / f"a.{suffix}", [frame] * 3, codec=codec, pixel_format=pixel_format, options=options)
    clip = read_clip(path)
    assert probe(path).has_alpha
    assert clip.has_alpha
    assert len(clip) == 3
    assert clip.rgba[1, 24, 32, 3] > 250
    assert clip.rgba[1, 2, 2, 3] < 5
    assert_colour(clip.rgba[1, 24, 32], RED)


def test_ten_bit(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [corner_frame()] * 2, pixel_format="yuv420p10le")
    assert_colour(read_clip(path).rgba[0, 4, 4], RED)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_flag(tmp_path: Path, rotation: int) -> None:
    """FFmpeg's display rotation turns the picture counter-clockwise by the angle, as np.rot90 does."""
    path = write_clip(tmp_path / "a.mp4", [corner_frame()] * 2, rotation=rotation)
    expected = np.rot90(corner_frame(), rotation // 90)
    clip = read_clip(path)
    assert clip.rgba.shape[1:3] == expected.shape[:2]
    assert np.abs(clip.rgba[0, ..., :3].astype(int) - expected).mean() < 8


def test_non_square_pixels(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [corner_frame()] * 2, aspect=Fraction(2, 1))
    assert read_clip(path).size == (48, 128)
    assert probe(path).size == (48, 128)


def test_max_side_and_thinning(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [corner_frame()] * 20)
    clip = read_clip(path, max_side=32, max_frames=6)
    assert clip.size == (24, 32)
    assert clip.frame_numbers.tolist() == [0, 4, 8, 12, 16]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animated_pictures(tmp_path: Path, suffix: str) -> None:
    frames = []
    for index in range(3):
        rgba = np.zeros((32, 32, 4), np.uint8)
        rgba[8:24, 4 + 4 * index : 20 + 4 * index] = (*RED, 255)
        rgba[15, 2] = (*RED, 255)  # A rectangle alone is written to WebP without any alpha channel.
        frames.append(Image.fromarray(rgba))
    path = tmp_path / f"a.{suffix}"
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=[100, 200, 300],
        loop=0,
        disposal=2,
        lossless=True,
    )
    clip = read_clip(path)
    assert clip.rgba.shape == (3, 32, 32, 4)
    assert clip.has_alpha
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.3], atol=1e-6)
    assert clip.rgba[2, 17, 6, 3] == 0
    assert clip.rgba[2, 16, 16, 3] == 255
    assert_colour(clip.rgba[2, 16, 16], RED)


def test_folder_is_sorted_naturally(tmp_path: Path) -> None:
    for number in (10, 9, 2):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"f{number}.png")
    clip = read_clip(tmp_path, input_fps=10)
    assert clip.rgba[:, 0, 0, 0].tolist() == [2, 9, 10]
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.2])


def test_single_picture(tmp_path: Path) -> None:
    Image.fromarray(corner_frame()).save(tmp_path / "a.jpg")
    assert len(read_clip(tmp_path / "a.jpg")) == len(read_clip(tmp_path)) == 1


def test_a_picture_is_upright_alone_as_in_a_folder(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held upright
    Image.fromarray(corner_frame(40, 60)).save(tmp_path / "a.jpg", exif=exif)
    alone, in_folder = read_clip(tmp_path / "a.jpg"), read_clip(tmp_path)
    assert alone.size == in_folder.size == (60, 40)
    np.testing.assert_array_equal(alone.rgba, in_folder.rgba)
    assert_colour(alone.rgba[0, 5, 35], RED)


@pytest.mark.parametrize("size", [(12, 16), (48, 64)])
def test_a_preview_inside_a_photograph_is_no_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    preview = Image.fromarray(corner_frame(*size))
    Image.fromarray(corner_frame()).save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview])
    assert read_clip(tmp_path / "a.jpg").rgba.shape == (1, 48, 64, 4)
    assert probe(tmp_path / "a.jpg").frame_count == 1


def test_b_frames_in_a_container_without_times_of_presentation(tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 4 * index, np.uint8) for index in range(40)]
    options = {"bf": "2", "b-adapt": "0"}
    path = write_clip(tmp_path / "a.avi", frames, pixel_format="yuv420p", options=options)
    clip = read_clip(path)
    np.testing.assert_allclose(clip.rgba[:, 24, 32, 0], np.arange(40) * 4, atol=3)
    np.testing.assert_allclose(clip.times, np.arange(40) / 10, atol=1e-6)


def test_frames_are_counted_where_masks_are_told_by_their_numbers(tmp_path: Path) -> None:
    times = [*range(0, 600, 10), *range(600, 1000, 40)]  # ten a second, then two and a half
    frames = [np.full((48, 64, 3), 3 * index, np.uint8) for index in range(len(times))]
    path = write_clip(tmp_path / "a.mp4", frames, times=times, options={"g": "5"})
    clip = read_clip(path, start=7.0, counted=True)
    assert clip.frame_numbers.tolist() == list(range(63, 70))
    np.testing.assert_allclose(clip.rgba[:, 24, 32, 0], 3 * clip.frame_numbers, atol=3)


def test_cut_off_video_gives_what_is_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(20)]
    path = write_clip(tmp_path / "a.mkv", frames)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 1 <= len(read_clip(path)) < 20


def test_a_cut_off_animation_gives_what_is_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    frames = [Image.fromarray(noise.integers(0, 255, (48, 64), dtype=np.uint8)) for _ in range(20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    whole = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(whole[: len(whole) // 2])
    assert 5 < len(read_clip(tmp_path / "a.gif")) < 20


def _bad_inputs(folder: Path) -> dict[str, Path]:
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "mixed").mkdir()
    for side in (8, 9):
        Image.new("RGB", (side, 8)).save(folder / "mixed" / f"{side}.png")
    (folder / "text.mp4").write_text("hello\n" * 99)
    (folder / "zero.mp4").write_bytes(b"")
    whole = write_clip(folder / "whole.mp4", [corner_frame()] * 4)
    (folder / "half.mp4").write_bytes(whole.read_bytes()[:600])
    Image.new("1", (20000, 2)).save(folder / "huge.png")
    names = ("missing.mp4", "text.mp4", "zero.mp4", "half.mp4", "huge.png", "empty", "broken", "mixed")
    return {name: folder / name for name in names}


def test_bad_inputs_say_what_to_do(tmp_path: Path) -> None:
    for name, path in _bad_inputs(tmp_path).items():
        with pytest.raises(InputError) as caught:
            read_clip(path)
        assert name.split(".")[0] in str(caught.value), str(caught.value)
        assert str(caught.value).endswith("."), str(caught.value)


def test_bad_ranges(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [corner_frame()] * 3)
    for start, end in ((2.0, 1.0), (-1.0, None), (50.0, None), (float("nan"), None)):
        with pytest.raises(InputError, match="--start"):
            read_clip(path, start=start, end=end)


def test_late_start_by_seeking(tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 2 * index, np.uint8) for index in range(120)]
    path = write_clip(tmp_path / "a.mp4", frames, options={"g": "10"})
    clip = read_clip(path, start=8.0, end=8.5)
    assert clip.frame_numbers.tolist() == [80, 81, 82, 83, 84]
    np.testing.assert_allclose(clip.rgba[:, 24, 32, 0], [160, 162, 164, 166, 168], atol=3)


def test_giant_declared_sizes_are_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    wide = np.zeros((16, 16_400, 3), np.uint8)
    with pytest.raises(InputError, match="16400x16"):
        read_clip(write_clip(tmp_path / "wide.avi", [wide], codec="ffv1", pixel_format="yuv420p"))
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "a.bmp")
    data = bytearray((tmp_path / "a.bmp").read_bytes())
    for width, height in ((60_000, 60_000), (17_000, 10)):
        data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
        (tmp_path / "a.bmp").write_bytes(data)
        with pytest.raises(InputError, match=r"a\.bmp"):
            read_clip(tmp_path / "a.bmp")
