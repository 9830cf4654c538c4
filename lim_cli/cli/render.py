"""`lim render`: pictures of triplanes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def render(
    triplanes: Annotated[
        Path,
        typer.Argument(metavar="TRIPLANES", help="A run folder, or the folder of lim interpolate.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    azimuth: Annotated[
        list[float] | None,
        typer.Option(help="Degrees around the object; 0 is the front. May be given several times.", show_default="0"),
    ] = None,
    elevation: Annotated[float, typer.Option(help="Degrees the camera looks down.", min=-89, max=89)] = 10.0,
    field_of_view: Annotated[
        float, typer.Option("--field-of-view", "--fov", help="Degrees across the picture.", min=1, max=150)
    ] = 40.0,
    size: Annotated[int, typer.Option(help="Side of the pictures, pixels.", min=8, max=4096)] = 256,
    turntable: Annotated[
        int | None, typer.Option(help="This many equally spaced azimuths instead.", min=1, max=3600, show_default=False)
    ] = None,
    index: Annotated[
        list[int] | None,
        typer.Option(help="Only the triplanes of these numbers, from 0. May be given several times.", min=0),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Of a run: every n / FPS seconds, interpolated, not the keyframes.", min=0.01, max=240),
    ] = None,
    samples: Annotated[int, typer.Option(help="Steps along every ray.", min=8, max=4096)] = 128,
    depth: Annotated[bool, typer.Option("--depth/--no-depth", help="Write 16-bit depth pictures.")] = True,
    opacity: Annotated[bool, typer.Option("--opacity/--no-opacity", help="Write opacity pictures.")] = True,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Render keyframes or interpolated triplanes: RGBA, depth and opacity pictures, and their cameras.

    Depth is camera z in model units (the object fits the unit ball) times the depth_units of transforms.json (8192,
    from far cameras less), 0 where empty. The cameras stand there, too, so that the folder is itself a scene folder.

    Example: lim render RUN -o pictures --turntable 24 --index 0
    """
    from lim_cli.cli.preflight import check_input, check_new_folder
    from lim_cli.core.errors import ConfigError, InputError

    check_input(triplanes)
    check_new_folder(output)
    networks = options.load_networks(device, weights, release, *(("lrm", "lim") if fps else ("lrm",)))

    import numpy as np

    from lim_cli.cli.result_folder import describe, result_folder
    from lim_cli.stages.intervals import output_times
    from lim_cli.stages.pictures import PictureConfig, write_pictures
    from lim_cli.stages.render import orbit
    from lim_cli.stages.triplanes import open_triplanes

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    source = open_triplanes(triplanes)
    if fps is not None and not source.is_run:
        raise ConfigError(f"--fps needs a run folder; {triplanes} holds fixed times.")
    times = source.times if fps is None else output_times(source.times, fps)
    if index is not None and max(index) >= len(times):
        raise InputError(f"{triplanes} has triplanes 0 to {len(times) - 1}, not {max(index)}.")
    chosen = times if index is None else times[np.unique(index)]
    azimuths = [360.0 * n / turntable for n in range(turntable)] if turntable else azimuth or [0.0]
    cameras = orbit(azimuths, elevation=elevation, field_of_view=field_of_view, size=size)
    config = PictureConfig(samples=samples, depth=depth, opacity=opacity)
    with result_folder(output, {"times": chosen.tolist(), "azimuths": azimuths}) as partial:
        write_pictures(partial, source.at(chosen, networks), len(chosen), cameras, networks, config, progress=sink)
    sink.result(*describe(output))
