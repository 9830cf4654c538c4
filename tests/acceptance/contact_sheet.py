"""A contact sheet of finished runs: what went in, what the view generator made of it, and the mesh.

    python tests/acceptance/contact_sheet.py report/runs/NAME -o NAME.png

Rows are four times from the first to the last. Columns: the input frame, the other three views of the nearest keyframe
(generated, or given for a posed scene), the textured mesh from the same four cameras, and the mesh in plain grey from
the input camera, each face lit by its own normal, red where seen from inside. Labels give azimuths. At most 300 KB.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from PIL import Image, ImageDraw

from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras
from lim_cli.core.files import atomic_path
from lim_cli.export.preview import iterate_preview
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.rasterize import rasterize

CELL = 160
LABEL_HEIGHT = 16
ROW_SHARES = (0.0, 0.29, 0.62, 1.0)
"""When, in parts of the length; uneven, so that a motion that repeats shows different phases."""
VIEWS = 4
SUPERSAMPLE = 2
MOST_BYTES = 300_000
AMBIENT = 0.12
LIGHT_CAMERA = np.array([-1.0, -1.2, -1.0])
"""Towards the light, OpenCV axes: from the camera's upper left."""


def main(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .png to write.")],
) -> None:
    save_png(draw(run), output)


def draw(run: Path) -> np.ndarray:
    """The sheet of one run folder: [height, width, 3] uint8."""
    views = ViewsArtifact.load(run / "10_views")
    textured = TextureArtifact.load(run / "50_texture").textured
    clip = ClipArtifact.load(run / "00_clip") if views.source == "generated" else None
    track = textured.track
    frames = sorted({round(share * (len(track.times) - 1)) for share in ROW_SHARES})
    shown = range(min(VIEWS, views.rgba.shape[1]))

    columns: list[tuple[str, list[np.ndarray]]] = []  # label, cells
    columns.append(
        (f"input {azimuth(views, 0)}", [on_white(input_at(views, clip, float(track.times[f]))) for f in frames])
    )
    nearest = [int(np.argmin(np.abs(views.keyframe_times - track.times[f]))) for f in frames]
    for view in shown[1:]:
        label = f"{'generated' if clip is not None else 'given'} {azimuth(views, view)}"
        columns.append((label, [on_white(views.rgba[keyframe, view]) for keyframe in nearest]))
    for view in shown:
        cells = iterate_preview(textured, views.cameras_at(0)[view : view + 1], (CELL, CELL), frames=frames)
        columns.append((f"mesh {azimuth(views, view)}", list(cells)))
    front = views.cameras_at(0)[:1]
    columns.append((f"faces lit {azimuth(views, 0)}", [shaded(track.at(frame), front) for frame in frames]))

    for cell, frame in zip(columns[0][1], frames, strict=True):
        write_text(cell, f"{track.times[frame]:.2f} s")
    return np.concatenate([np.concatenate([label_bar(text), *cells]) for text, cells in columns], axis=1)


def input_at(views: ViewsArtifact, clip: ClipArtifact | None, time: float) -> np.ndarray:
    """The input picture nearest to `time`: [height, width, 4] uint8."""
    if clip is not None:
        return np.asarray(clip.rgba[int(np.argmin(np.abs(clip.times - time)))])
    return np.asarray(views.rgba[int(np.argmin(np.abs(views.keyframe_times - time))), 0])


def azimuth(views: ViewsArtifact, view: int) -> str:
    """Where a camera looks from, degrees about +Y, 0 on +Z; by its direction, since objects are not quite centred."""
    x, _, z = (-views.cameras_at(0).world_from_camera[view, :3, 2]).tolist()
    return f"{round(float(np.degrees(np.arctan2(x, z)))) % 360}°"


def on_white(rgba: np.ndarray) -> np.ndarray:
    """A cell of a picture with straight alpha."""
    opacity = rgba[..., 3:].astype(np.float32) / 255
    white = rgba[..., :3] * opacity + 255 * (1 - opacity)
    return np.asarray(cv2.resize(white, (CELL, CELL), interpolation=cv2.INTER_AREA).round().clip(0, 255), np.uint8)


def shaded(mesh: Mesh, camera: Cameras) -> np.ndarray:
    """Lambert's cosine of each face's own normal; a face seen from behind is drawn red."""
    scaled = camera.resized((CELL * SUPERSAMPLE,) * 2)
    pose, intrinsics = scaled.world_from_camera[0].numpy(), scaled.intrinsics[0].numpy()
    raster = rasterize(mesh.vertices, mesh.faces, pose, intrinsics, scaled.size)
    corners = mesh.vertices[mesh.faces].astype(np.float64)  # [face, 3, 3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    light = pose[:3, :3] @ (LIGHT_CAMERA / np.linalg.norm(LIGHT_CAMERA))
    grey = 255 * (AMBIENT + (1 - AMBIENT) * np.clip(normals @ light, 0, 1)) * 0.9
    colours = np.repeat(grey[:, None], 3, axis=1)
    away = np.einsum("fk,fk->f", normals, corners.mean(axis=1) - pose[:3, 3]) > 0
    colours[away] = (220, 60, 60)
    image = np.full((*scaled.size, 3), 255.0)
    image[raster.mask] = colours[raster.face_index[raster.mask]]
    pooled = image.reshape(CELL, SUPERSAMPLE, CELL, SUPERSAMPLE, 3).mean(axis=(1, 3))
    return np.asarray(pooled.round(), np.uint8)


def label_bar(text: str) -> np.ndarray:
    """A strip with a column's name."""
    strip = np.full((LABEL_HEIGHT, CELL, 3), 235, np.uint8)
    write_text(strip, text)
    return strip


def write_text(picture: np.ndarray, text: str) -> None:
    """Writes into the upper left corner of a picture, in place."""
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((4, 2), text, fill=(0, 0, 0))
    picture[:] = np.asarray(image)


def save_png(picture: np.ndarray, output: Path) -> None:
    """Writes a PNG with the most colours that keep it within MOST_BYTES."""
    for colours in (256, 128, 64, 32):
        stream = io.BytesIO()
        Image.fromarray(picture).quantize(colours, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        if stream.tell() <= MOST_BYTES:
            break
    with atomic_path(output) as partial:
        partial.write_bytes(stream.getvalue())


if __name__ == "__main__":
    typer.run(main)
