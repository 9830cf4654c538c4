"""Stage 70: the animated GLB, and a preview beside the input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.files import atomic_path
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.export.bare import iterate_bare
from lim_cli.export.gltf import ExportInfo, write_glb
from lim_cli.export.preview import iterate_preview
from lim_cli.export.sheet import on_white
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.stages.contact_sheet import input_at
from lim_cli.stages.views import camera_distance
from lim_cli.video.writing import write_video

STAGE_VERSION = 1
PREVIEW_SIZE = 256
PREVIEW_FPS = 15.0
EDGE_SUPERSAMPLE = 4  # edges a quarter of a pixel wide


@dataclass(frozen=True)
class ExportConfig:
    """name: of the node in the file. quantize, sparse: see `export.gltf`."""

    name: str = "object"
    quantize: bool = False
    sparse: bool = False


def run(texture: TextureArtifact, views: ViewsArtifact, config: ExportConfig, output: Path) -> ExportInfo:
    """Writes the GLB in the user's world frame; for a single-camera clip that is the model frame.

    Raises:
        OutputError: the file cannot be written.
    """
    textured = in_world(texture.textured, views.world_from_model)
    with atomic_path(output) as partial:
        return write_glb(partial, textured, name=config.name, quantize=config.quantize, sparse=config.sparse)


def in_world(textured: TexturedTrack, world_from_model: np.ndarray) -> TexturedTrack:
    """The same track with its vertices in the user's world."""
    track = textured.track
    moved = track.vertices.astype(np.float64) @ world_from_model[:3, :3].T + world_from_model[:3, 3]
    return TexturedTrack(TrackedMesh(moved.astype(np.float32), track.faces, track.times), textured.uv, textured.texture)


def write_preview(
    texture: TextureArtifact,
    views: ViewsArtifact,
    clip: ClipArtifact | None,
    output: Path,
    *,
    fps: float,
    progress: Progress | None = None,
) -> None:
    """A video of the input beside the textured mesh from the front, both sides and the back, and its faces from the
    front, at 15 or so frames/s.

    Raises:
        OutputError: the file cannot be written.
    """
    progress = progress or SilentProgress()
    every = max(1, round(fps / PREVIEW_FPS))
    chosen = range(0, len(texture.textured.track.times), every)
    times = texture.textured.track.times[::every]
    with progress.task("Rendering the preview", len(times)) as task:
        size = (PREVIEW_SIZE,) * 2
        shots = [iterate_preview(texture.textured, camera, size, frames=chosen) for camera in _cameras(views)]
        front = next(_cameras(views))
        shots.append(
            iterate_bare(texture.textured.track, front, size, frames=chosen, edges=True, supersample=EDGE_SUPERSAMPLE)
        )
        frames = []
        for time, *rendered in zip(times, *shots, strict=True):
            given = on_white(input_at(views, clip, float(time)), PREVIEW_SIZE)
            frames.append(np.concatenate([given, *rendered], axis=1))
            task.advance()
        write_video(output, np.stack(frames), fps / every)


def _cameras(views: ViewsArtifact) -> Iterator[Cameras]:
    first = views.cameras_at(0)
    yield Cameras(first.world_from_camera[:1], first.intrinsics[:1], first.size)
    orbit = orbit_cameras(
        [90.0, 180.0, 270.0],
        elevation=10.0,
        field_of_view=40.0,
        distance=camera_distance(40.0),
        size=(PREVIEW_SIZE,) * 2,
    )
    for view in range(3):
        yield orbit[view : view + 1]
