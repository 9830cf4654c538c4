"""A contact sheet of a finished run: what went in, what the view generator made of it, and the mesh.

    python tests/acceptance/contact_sheet.py report/runs/NAME -o NAME.png

What it shows stands in lim_cli/stages/contact_sheet.py; `lim export RUN --sheet` draws the same beside a GLB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, ViewsArtifact
from lim_cli.stages.contact_sheet import write_contact_sheet


def main(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .png to write.")],
) -> None:
    views = ViewsArtifact.load(run / "10_views")
    clip = ClipArtifact.load(run / "00_clip") if views.source == "generated" else None
    write_contact_sheet(TextureArtifact.load(run / "50_texture"), views, clip, output)


if __name__ == "__main__":
    typer.run(main)
