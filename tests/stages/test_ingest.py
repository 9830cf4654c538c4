"""From a drawn clip to square frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lim_cli.artifacts.store import ClipArtifact
from lim_cli.core.errors import InputError
from lim_cli.stages.ingest import IngestConfig, run


def test_folder_of_frames(tmp_path: Path) -> None:
    for index in range(6):
        frame = np.full((60, 100, 3), 255, np.uint8)
        frame[20:40, 10 + 8 * index : 30 + 8 * index] = (30, 90, 160)
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    artifact = run(tmp_path, IngestConfig(size=64, input_fps=10, start=0.1, margin=0.0))
    assert artifact.rgba.shape == (5, 64, 64, 4)
    np.testing.assert_allclose(artifact.times, np.arange(5) / 10)
    assert abs(artifact.crop.left - 18) <= 1
    assert abs(artifact.crop.side - 52) <= 2
    assert (artifact.rgba[0, 32, :16, 3] > 250).sum() > 12
    assert artifact.rgba[4, 32, 8, 3] == 0
    artifact.save(tmp_path / "out")
    assert np.array_equal(ClipArtifact.load(tmp_path / "out").rgba, artifact.rgba)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        run(tmp_path / "none.mp4", IngestConfig())
