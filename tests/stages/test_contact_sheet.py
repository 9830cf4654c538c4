from __future__ import annotations

from pathlib import Path

import numpy as np
from bending_bar import bar_mesh, bending_bar
from PIL import Image

from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.export.sheet import LABEL_HEIGHT
from lim_cli.geometry.uv_atlas import unwrap
from lim_cli.stages.contact_sheet import CELL, azimuth, draw, write_contact_sheet
from lim_cli.stages.export import PREVIEW_SIZE, write_preview
from lim_cli.video.cropping import CropInfo

BAR = TextureArtifact(bending_bar(*unwrap(bar_mesh(), 64), frames=5, fps=10))
COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]


def posed() -> ViewsArtifact:
    """Each view is of one colour, darker at the second keyframe."""
    rgba = np.zeros((2, 4, 16, 16, 4), np.uint8)
    for view, colour in enumerate(COLOURS):
        rgba[0, view] = (*colour, 255)
        rgba[1, view] = (*(c // 2 for c in colour), 255)
    cameras = orbit_cameras([0, 90, 180, 270], elevation=10, field_of_view=40, distance=4, size=(16, 16))
    return ViewsArtifact(rgba, cameras, np.array([0.0, 0.4]), "posed", np.eye(4))


def cell(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    return picture[LABEL_HEIGHT + row * CELL :][:CELL, column * CELL :][:, :CELL]


def test_the_sheet_shows_input_views_and_the_mesh_from_four_sides() -> None:
    picture = draw(BAR, posed(), None)
    assert picture.shape == (LABEL_HEIGHT + 4 * CELL, 12 * CELL, 3)
    for view, colour in enumerate(COLOURS):
        assert (cell(picture, 0, view)[CELL // 2, CELL // 2] == colour).all()
        assert (cell(picture, 3, view)[CELL // 2, CELL // 2] == np.array(colour) // 2).all()
        for column in (4 + view, 8 + view):
            shots = [cell(picture, row, column) for row in range(4)]
            assert 0.01 < (shots[0] < 250).any(axis=2).mean() < 0.5
            assert (shots[0] != shots[3]).any()
    assert [azimuth(posed(), view) for view in range(4)] == ["0°", "90°", "180°", "270°"]


def test_a_clip_gives_the_input_column(tmp_path: Path) -> None:
    rgba = np.full((5, 16, 16, 4), 255, np.uint8)
    rgba[4] = (10, 20, 30, 255)
    clip = ClipArtifact(rgba, 0.1 * np.arange(5), CropInfo(0, 0, 16, (16, 16)))
    write_contact_sheet(BAR, posed(), clip, tmp_path / "sheet.png")
    picture = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    assert np.abs(cell(picture, 3, 0)[80, 80].astype(int) - [10, 20, 30]).max() < 12  # a palette of few colours


def test_the_preview_ends_with_the_faces(tmp_path: Path) -> None:
    write_preview(BAR, posed(), None, tmp_path / "preview.gif", fps=10)
    with Image.open(tmp_path / "preview.gif") as film:
        assert (film.size, film.n_frames) == ((6 * PREVIEW_SIZE, PREVIEW_SIZE), 5)
        first = np.asarray(film.convert("RGB"))
    textured, faces = first[:, PREVIEW_SIZE : 2 * PREVIEW_SIZE], first[:, -PREVIEW_SIZE:]
    inside = [(part < 250).any(axis=2) for part in (textured, faces)]
    assert (inside[0] & inside[1]).sum() > 0.9 * inside[0].sum()  # the same camera
    assert (textured[inside[0]] != faces[inside[0]]).any(axis=1).mean() > 0.5
