from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from shapes import sphere

from lim_cli.core.camera import orbit_cameras
from lim_cli.export.bare import INSIDE, LIGHT_CAMERA, iterate_bare, render_bare
from lim_cli.export.sheet import LABEL_HEIGHT, on_white, save_sheet, sheet, write_text
from lim_cli.geometry.mesh import Mesh, TrackedMesh

CAMERA = orbit_cameras([30.0], elevation=20, field_of_view=40, distance=4, size=(64, 64))


def test_a_ball_is_brightest_towards_the_light() -> None:
    picture = render_bare(sphere(1.0, 4), CAMERA, (64, 64)).astype(float)
    assert (picture[0, 0] == 255).all()
    row, column = np.mgrid[:64, :64] - 31.5
    radius = np.sqrt((picture < 250).any(axis=2).sum() / np.pi)
    grey = np.where(np.hypot(row, column) < 0.9 * radius, picture[..., 0], 0)  # the rim is mixed with white
    y, x = np.unravel_index(grey.argmax(), grey.shape)
    towards = LIGHT_CAMERA / np.linalg.norm(LIGHT_CAMERA)
    expected = towards[:2] / (4 + towards[2]) / np.tan(np.arcsin(0.25)) * radius  # the point facing it, in pixels
    assert np.hypot(x - 31.5 - expected[0], y - 31.5 - expected[1]) < 0.12 * radius


def test_the_inside_is_red_and_edges_darken() -> None:
    ball = sphere(1.0, 2)
    inverted = Mesh(ball.vertices, ball.faces[:, ::-1])
    assert (render_bare(inverted, CAMERA, (64, 64))[32, 32] == INSIDE).all()
    plain, lined = (render_bare(ball, CAMERA, (64, 64), edges=e, supersample=4).astype(int) for e in (False, True))
    inside = (plain < 250).any(axis=2)
    assert lined[inside].mean() < plain[inside].mean() - 5
    assert (lined[2] == 255).all()


def test_only_the_frames_asked_for() -> None:
    ball = sphere(0.5, 2)
    track = TrackedMesh(np.stack([ball.vertices + [0.1 * i, 0, 0] for i in range(5)]), ball.faces, np.arange(5.0))
    pictures = list(iterate_bare(track, CAMERA, (32, 32), frames=[4, 0]))
    assert len(pictures) == 2
    assert (pictures[1] == render_bare(ball, CAMERA, (32, 32))).all()


def test_a_sheet_is_labels_over_cells(tmp_path: Path) -> None:
    red = np.zeros((10, 10, 4), np.uint8)
    red[:5] = (255, 0, 0, 255)
    cell = on_white(red, 20)
    assert (cell[2, 2] == [255, 0, 0]).all()
    assert (cell[18, 2] == 255).all()
    assert (write_text(cell, "x") != cell).any()
    picture = sheet([("one", [cell, cell]), ("two", [cell, cell])])
    assert picture.shape == (LABEL_HEIGHT + 40, 40, 3)
    np.testing.assert_array_equal(picture[LABEL_HEIGHT : LABEL_HEIGHT + 20, 20:], cell)
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    save_sheet(noise, tmp_path / "large.png", most_bytes=10**6)
    save_sheet(noise, tmp_path / "small.png", most_bytes=30_000)
    assert (tmp_path / "small.png").stat().st_size < 30_000 < (tmp_path / "large.png").stat().st_size
    assert Image.open(tmp_path / "small.png").size == (200, 200)
