"""`lim inspect`: what an animated GLB holds, how it moves and who reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.cli.options import new_app
from lim_cli.cli.output import JsonOption, Output

if TYPE_CHECKING:
    from lim_cli.export.inspect import GlbSummary

app = new_app()


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A .glb file.", show_default=False)],
    json_: JsonOption = False,
) -> None:
    """Say what an animated GLB holds: mesh, animation, texture, bytes, motion, and which engines accept it.

    Lengths called "of size" are parts of the diagonal of the object's bounding box at time zero.

    Example: lim inspect out.glb --json
    """
    from lim_cli.core.config import to_plain
    from lim_cli.core.errors import InputError

    if not path.is_file():
        raise InputError(f"There is no file {path}; give a .glb file.")
    from lim_cli.export.inspect import inspect_glb

    summary = inspect_glb(path)
    Output(as_json=json_).result(to_plain(summary), describe(summary))


def describe(glb: GlbSummary) -> list[str]:
    """The lines of `lim inspect` without --json."""
    size = glb.bytes
    lines = [
        f"file       {glb.path}, {glb.size_bytes:,} bytes: geometry {size.geometry:,}, animation {size.animation:,}, "
        f"texture {size.texture:,}, other {size.other:,}",
        f"mesh       {glb.vertices} vertices, {glb.faces} faces, " + " x ".join(f"{side:.3g}" for side in glb.extent),
        f"animation  {_animation(glb)}",
    ]
    if glb.motion is not None:
        lines.append(
            f"motion     {glb.motion.mean_displacement:.2%} of size on average, {glb.motion.max_displacement:.2%} at "
            f"most, {glb.motion.max_speed:.3g} sizes per second at most"
        )
    if glb.skin_error is not None:
        lines.append(f"skin error {glb.skin_error['rms']:.3%} of size RMS, {glb.skin_error['max']:.3%} at most")
    if glb.interpolation_error:
        lines.append(
            f"dropped    frames are within {glb.interpolation_error:.3g} (world units) of where they should be"
        )
    texture = "none" if glb.texture_size is None else f"{glb.texture_size[1]} x {glb.texture_size[0]}"
    lines.append(f"texture    {texture}")
    lines.append(f"extensions {', '.join(glb.extensions) or 'none'}{', sparse accessors' if glb.sparse else ''}")
    lines.append(f"written by {glb.generator or 'unknown'}")
    for engine, answers in glb.engines.items():
        lines.append(f"{engine:15} {', '.join(f'{feature}: {answer}' for feature, answer in answers.items()) or 'yes'}")
    return lines


def _animation(glb: GlbSummary) -> str:
    if glb.frames < 2:
        return "none"
    kinds = []
    if glb.targets:
        parts = f" in {glb.parts} meshes one after the other" if glb.parts > 1 else ""
        kinds.append(f"{glb.targets} morph targets{parts}")
    if glb.joints:
        kinds.append(f"a skin of {glb.joints} joints")
    return f"{glb.frames} frames, {glb.duration:.3f} s, by {' and '.join(kinds) or 'moving nodes'}"
