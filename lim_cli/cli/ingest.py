"""`lim ingest`: the first stage alone, which opens a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def ingest(
    context: typer.Context,
    input_path: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="A video, an image folder or a scene folder.", show_default=False),
    ],
    workdir: Annotated[Path, typer.Option(help="The run folder to make or go on with.", show_default=False)],
    start: options.StartOption = None,
    end: options.EndOption = None,
    input_fps: options.InputFpsOption = None,
    matte: options.MatteOption = "auto",
    max_frames: options.MaxFramesOption = None,
    keyframe_stride: options.KeyframeStrideOption = None,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Read and matte a clip (00_clip), or the views of a posed scene (10_views), into a run folder.

    --keyframe-stride counts only for a posed scene here; for a clip give it to lim views. The stages then follow one
    by one, each from what the one before left in the folder:

    \b
        lim ingest clip.mp4 --workdir RUN
        lim views RUN            (not for a posed scene)
        lim keyframes RUN
        lim refine RUN --refine 15    (if wanted)
        lim track RUN --fps 30
        lim texture RUN
        lim export RUN -o out.glb
    """
    from lim_cli.cli.preflight import check_content, check_writable
    from lim_cli.cli.settings import read_settings

    settings = read_settings(context, config, set_)
    check_content(input_path, settings.config)
    check_writable(workdir)

    from lim_cli.stages.steps import Steps, open_run, take_in

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    with open_run(workdir) as run:
        steps = Steps(run, progress=sink)
        take_in(steps, input_path, settings.config.ingest, settings.config.posed)
        sink.stages(workdir, steps.seconds)
