"""`lim inspect`: what an animated GLB holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli.options import new_app
from lim_cli.cli.output import JsonOption, Output

app = new_app()


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A .glb file.", show_default=False)],
    json_: JsonOption = False,
) -> None:
    """Say what an animated GLB holds: vertices, faces, frames, seconds, texture, extents, bytes.

    Example: lim inspect out.glb --json
    """
    from lim_cli.core.config import to_plain
    from lim_cli.core.errors import InputError

    if not path.is_file():
        raise InputError(f"There is no file {path}; give a .glb file.")
    from lim_cli.export.inspect import inspect_glb

    plain = to_plain(inspect_glb(path))
    Output(as_json=json_).result(plain, [f"{key}: {value}" for key, value in plain.items()])
