"""Stage 70: the animated mesh as GLB or another format, and a preview beside the input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.files import atomic_path
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.export.bare import iterate_bare
from lim_cli.export.gltf import ExportInfo, Motion, write_glb
from lim_cli.export.obj_sequence import write_obj_sequence
from lim_cli.export.ply_sequence import write_ply_sequence
from lim_cli.export.preview import iterate_preview
from lim_cli.export.sheet import on_white
from lim_cli.export.usd import write_usd
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.skinning import SkinError
from lim_cli.stages.config import ExportConfig, skin_path
from lim_cli.stages.contact_sheet import input_at
from lim_cli.stages.failures import require_finite
from lim_cli.stages.views import camera_distance
from lim_cli.video.writing import write_video

PREVIEW_SIZE = 256
PREVIEW_FPS = 15.0
EDGE_SUPERSAMPLE = 4  # edges a quarter of a pixel wide


@dataclass(frozen=True)
class Exported:
    """What was written.

    skin_output: the second file of anim "both". skin_error: of the skinned vertices at the frames. parts,
    interpolation_error: of the morph animation, see `export.gltf.ExportInfo`.
    """

    vertices: int
    faces: int
    size_bytes: int
    parts: int = 1
    interpolation_error: float = 0.0
    skin_output: Path | None = None
    skin_error: SkinError | None = None


def run(texture: TextureArtifact, views: ViewsArtifact, config: ExportConfig, output: Path) -> Exported:
    """Writes the mesh in the user's world frame; for a single-camera clip that is the model frame.

    output: a file; an empty folder for the formats of `stages.config.FOLDER_FORMATS`.

    Raises:
        OutputError: it cannot be written. MissingError: the format or an option needs a library that is not installed.
        NumericalError: a vertex lies at infinity in the user's world.
    """
    textured = in_world(texture.textured, views.world_from_model)
    require_finite("A vertex of the result", textured.track.vertices)
    config = replace(config, name=config.name or output.stem)
    if config.format == "glb":
        return _write_glbs(textured, config, output)
    if config.format == "usd":
        write_usd(output, textured, name=config.name or "")
    elif config.format == "obj":
        write_obj_sequence(output, textured)
    else:
        write_ply_sequence(output, textured)
    files = output.rglob("*") if output.is_dir() else [output]
    size = sum(file.stat().st_size for file in files if file.is_file())
    return Exported(textured.track.vertices.shape[1], len(textured.track.faces), size)


def _write_glbs(textured: TexturedTrack, config: ExportConfig, output: Path) -> Exported:
    def write(path: Path, motion: Motion) -> ExportInfo:
        return write_glb(
            path,
            textured,
            name=config.name or "",
            motion=motion,
            bones=config.bones,
            quantize=config.quantize,
            draco=config.draco and motion == "skin",
            sparse=config.sparse,
        )

    if config.anim == "morph":
        return _exported(write(output, "morph"))
    if config.anim == "skin":
        return _exported(write(output, "skin"))
    # Both files or none: the skin is put in place once the morphs are written.
    with atomic_path(skin_path(output)) as partial:
        skin = write(partial, "skin")
        morph = write(output, "morph")
    return replace(_exported(morph), skin_output=skin_path(output), skin_error=skin.skin_error)


def _exported(info: ExportInfo) -> Exported:
    return Exported(
        vertices=info.vertices,
        faces=info.faces,
        size_bytes=info.size_bytes,
        parts=info.parts,
        interpolation_error=info.interpolation_error,
        skin_error=info.skin_error,
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

        def film() -> Iterator[np.ndarray]:
            for time, *rendered in zip(times, *shots, strict=True):
                given = on_white(input_at(views, clip, float(time)), PREVIEW_SIZE)
                yield np.concatenate([given, *rendered], axis=1)
                task.advance()

        write_video(output, film(), fps / every)


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
