"""Renders a clip of a procedural object, as `examples/walker.mp4` was made.

    python examples/make_clip.py 16 -o walker.mp4

The object comes from the held-out seeds: no shipped model has seen it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from lim_cli.core.camera import orbit_cameras
from lim_cli.data.animated_object import Light
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.stages.views import camera_distance
from lim_cli.video.writing import write_video


def main(
    seed: int,
    output: Annotated[Path, typer.Option("--output", "-o")],
    frames: int = 24,
    fps: float = 12.0,
    size: int = 384,
) -> None:
    """Writes `frames` frames over one cycle of the motion, on white."""
    drawn = ProceduralObject.draw(np.random.default_rng([2, 0, 99, seed]))
    phases = np.linspace(0, 1, frames, endpoint=False)
    placed = drawn.normalised(phases, 0.9)
    cameras = orbit_cameras([0.0], elevation=10, field_of_view=40, distance=camera_distance(40.0), size=(size, size))
    direction = np.array([0.5, 0.8, 0.6]) / np.linalg.norm([0.5, 0.8, 0.6])
    light = Light(direction, np.full(3, 0.45), np.full(3, 0.6), 0.05, 20.0)
    pictures = []
    for pose in placed.poses(phases):
        rgba = pose.render(
            cameras.world_from_camera[0].numpy(), cameras.intrinsics[0].numpy(), (size, size), light, pose
        )[0]
        pictures.append(rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:])
    write_video(output, (np.clip(np.stack(pictures), 0, 1) * 255 + 0.5).astype(np.uint8), fps)


if __name__ == "__main__":
    typer.run(main)
