"""Stage 70: the animated GLB, and a preview beside the input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.files import atomic_path
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.export.gltf import ExportInfo, write_glb
from lim_cli.export.preview import iterate_preview
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.stages.config import ExportConfig
from lim_cli.stages.failures import require_finite
from lim_cli.stages.views import camera_distance
from lim_cli.video.writing import write_video

PREVIEW_SIZE = 256
PREVIEW_FPS = 15.0


def run(texture: TextureArtifact, views: ViewsArtifact, config: ExportConfig, output: Path) -> ExportInfo:
    """Writes the GLB in the user's world frame; for a single-camera clip that is the model frame.

    Raises:
        OutputError: the file cannot be written.
        NumericalError: a vertex lies at infinity in the user's world.
    """
    textured = in_world(texture.textured, views.world_from_model)
    require_finite("A vertex of the result", textured.track.vertices)
    with atomic_path(output) as partial:
        return write_glb(
            partial, textured, name=config.name or output.stem, quantize=config.quantize, sparse=config.sparse
        )


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
    """A video of the input beside the textured mesh from the front, both sides and the back, at 15 or so frames/s.

    Raises:
        OutputError: the file cannot be written.
    """
    progress = progress or SilentProgress()
    every = max(1, round(fps / PREVIEW_FPS))
    chosen = range(0, len(texture.textured.track.times), every)
    times = texture.textured.track.times[::every]
    with progress.task("Rendering the preview", len(times)) as task:
        shots = [
            iterate_preview(texture.textured, camera, (PREVIEW_SIZE,) * 2, frames=chosen) for camera in _cameras(views)
        ]
        frames = []
        for time, *rendered in zip(times, *shots, strict=True):
            frames.append(np.concatenate([_input_at(views, clip, float(time)), *rendered], axis=1))
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


def _input_at(views: ViewsArtifact, clip: ClipArtifact | None, time: float) -> np.ndarray:
    """The input picture nearest to `time`, on white: [size, size, 3] uint8."""
    if clip is not None:
        picture = clip.rgba[int(np.argmin(np.abs(clip.times - time)))]
    else:
        picture = views.rgba[int(np.argmin(np.abs(views.keyframe_times - time))), 0]
    opacity = picture[..., 3:].astype(np.float32) / 255
    white = picture[..., :3] * opacity + 255 * (1 - opacity)
    resized = cv2.resize(white, (PREVIEW_SIZE,) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(resized.round().clip(0, 255), np.uint8)
