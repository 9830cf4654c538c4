"""Inputs made on the spot: a moving disc as pictures, a procedural object as a posed scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lim_cli.data.object_source import ObjectSource
from lim_cli.data.scene_drawing import draw_scene
from lim_cli.data.scene_folder import write_scene


def disc_clip(folder: Path, *, frames: int = 4, size: int = 64) -> Path:
    """RGBA pictures of a disc that moves to the right; its matte is in alpha."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[:size, :size] + 0.5
    for n in range(frames):
        inside = np.hypot(x - size * (0.45 + 0.03 * n), y - size / 2) < size * 0.3
        rgba = np.zeros((size, size, 4), np.uint8)
        rgba[inside] = (200, 120, 40, 255)
        Image.fromarray(rgba).save(folder / f"{n:03d}.png")
    return folder


def posed_scene(folder: Path, *, times: int = 3, number: int = 0) -> Path:
    source, rng = ObjectSource(1, held_out=True).draw(number)
    write_scene(folder, draw_scene(source, rng, times=times, size=64, name=folder.name))
    return folder


def growing_discs(count: int) -> np.ndarray:
    """[count, 64, 64, 4]: discs, each larger than the one before; the last picture is empty."""
    y, x = np.mgrid[:64, :64] + 0.5
    rgba = np.zeros((count, 64, 64, 4), np.uint8)
    for n in range(count - 1):
        rgba[n, np.hypot(x - 32, y - 32) < 8 + 4 * n] = 255
    return rgba
