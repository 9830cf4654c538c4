"""A contact sheet of a run: what went in, what the view generator made of it, and the mesh.

Rows are four times from the first to the last. Columns: the input frame, the other three views of the nearest keyframe
(generated, or given for a posed scene), the textured mesh from the same four cameras, and its bare surface from them,
each face lit by its own normal, red where seen from inside. Labels give azimuths.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, ViewsArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.export.bare import iterate_bare
from lim_cli.export.preview import iterate_preview
from lim_cli.export.sheet import on_white, save_sheet, sheet, write_text

CELL = 160
ROW_SHARES = (0.0, 0.29, 0.62, 1.0)
"""When, in parts of the length; uneven, so that a motion that repeats shows different phases."""
VIEWS = 4
MOST_BYTES = 400_000


def write_contact_sheet(
    texture: TextureArtifact,
    views: ViewsArtifact,
    clip: ClipArtifact | None,
    output: Path,
    *,
    progress: Progress | None = None,
) -> None:
    """Draws the sheet into a PNG of at most MOST_BYTES. clip: None for a posed scene.

    Raises:
        OutputError: it cannot be written.
    """
    save_sheet(draw(texture, views, clip, progress=progress), output, most_bytes=MOST_BYTES)


def draw(
    texture: TextureArtifact, views: ViewsArtifact, clip: ClipArtifact | None, *, progress: Progress | None = None
) -> np.ndarray:
    """The sheet: [height, width, 3] uint8."""
    progress = progress or SilentProgress()
    textured = texture.textured
    times = textured.track.times
    frames = sorted({round(share * (len(times) - 1)) for share in ROW_SHARES})
    nearest = [int(np.argmin(np.abs(views.keyframe_times - times[f]))) for f in frames]
    shown = range(min(VIEWS, views.rgba.shape[1]))
    size = (CELL, CELL)

    inputs = [on_white(input_at(views, clip, float(times[f])), CELL) for f in frames]
    inputs = [write_text(cell, f"{times[frame]:.2f} s") for cell, frame in zip(inputs, frames, strict=True)]
    columns = [(f"input {azimuth(views, 0)}", inputs)]
    made = "generated" if clip is not None else "given"
    for view in shown[1:]:
        columns.append(
            (f"{made} {azimuth(views, view)}", [on_white(views.rgba[keyframe, view], CELL) for keyframe in nearest])
        )
    with progress.task("Drawing the contact sheet", 2 * len(shown)) as task:
        for view in shown:
            camera = views.cameras_at(0)[view : view + 1]
            columns.append(
                (f"mesh {azimuth(views, view)}", list(iterate_preview(textured, camera, size, frames=frames)))
            )
            task.advance()
        for view in shown:
            camera = views.cameras_at(0)[view : view + 1]
            columns.append(
                (f"bare {azimuth(views, view)}", list(iterate_bare(textured.track, camera, size, frames=frames)))
            )
            task.advance()
    return sheet(columns)


def input_at(views: ViewsArtifact, clip: ClipArtifact | None, time: float) -> np.ndarray:
    """The input picture nearest to `time`: [height, width, 4] uint8."""
    if clip is not None:
        return np.asarray(clip.rgba[int(np.argmin(np.abs(clip.times - time)))])
    return np.asarray(views.rgba[int(np.argmin(np.abs(views.keyframe_times - time))), 0])


def azimuth(views: ViewsArtifact, view: int) -> str:
    """Where a camera looks from, degrees about +Y, 0 on +Z; by its direction, since objects are not quite centred."""
    x, _, z = (-views.cameras_at(0).world_from_camera[view, :3, 2]).tolist()
    return f"{round(float(np.degrees(np.arctan2(x, z)))) % 360}°"
