"""What is written is what is read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lim_cli.core.errors import OutputError
from lim_cli.video.reading import probe, read_clip
from lim_cli.video.writing import write_video


@pytest.mark.parametrize(("name", "fps"), [("a.mp4", 30.0), ("a.mp4", 23.976), ("a.gif", 30.0)])
def test_round_trip(tmp_path: Path, name: str, fps: float) -> None:
    frames = np.zeros((7, 33, 47, 3), np.uint8)
    frames[:, :16], frames[:, 16:, :24], frames[:, 16:, 24:] = (200, 40, 40), (40, 160, 60), (240, 240, 240)
    for index in range(7):
        frames[index, 4:12, 4 * index : 4 * index + 8] = (20, 20, 220)
    write_video(tmp_path / name, frames, fps)
    clip = read_clip(tmp_path / name)
    height, width = (33, 47) if name.endswith("gif") else (34, 48)
    assert clip.rgba.shape == (7, height, width, 4)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    np.testing.assert_allclose(clip.times, np.arange(7) / fps, atol=6e-3)
    assert np.abs(clip.rgba[:, 22:30, 4:18, :3].astype(int) - (40, 160, 60)).max() < 12
    assert probe(tmp_path / name).size == (height, width)


def test_errors(tmp_path: Path) -> None:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(OutputError, match="mp4"):
        write_video(tmp_path / "a.xyz", frames, 10)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        write_video(tmp_path / "file" / "a.mp4", frames, 10)
    with pytest.raises(ValueError, match="expected frames"):
        write_video(tmp_path / "a.mp4", frames[..., 0], 10)
    with pytest.raises(ValueError, match="at least one"):
        write_video(tmp_path / "a.mp4", frames[:0], 10)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_film_is_written_as_it_is_made(tmp_path: Path, name: str) -> None:
    frames = (np.full((32, 32, 3), 30 * index, np.uint8) for index in range(5))
    write_video(tmp_path / name, frames, 10)
    assert len(read_clip(tmp_path / name)) == 5
