"""`lim interpolate`: LIM between two keyframes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()

_END = "A scene folder (its first time step is taken) or a run folder (one of its keyframes)."


@app.command()
def interpolate(
    source: Annotated[Path, typer.Argument(metavar="A", help=_END, show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="B", help="The same, for the other end.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    steps: Annotated[int, typer.Option(help="Times strictly between the ends.", min=1, max=1000)] = 8,
    ends: Annotated[bool, typer.Option("--ends", help="Also include both ends: STEPS + 2 times.")] = False,
    keyframe: Annotated[int, typer.Option(help="Which keyframe of a run folder.", min=0)] = 0,
    target_keyframe: Annotated[
        int | None,
        typer.Option(help="Which keyframe of B; otherwise as --keyframe, or the next where B is A.", min=0),
    ] = None,
    views: Annotated[int, typer.Option(help="Rendered views around the object; 0 for none.", min=0, max=360)] = 4,
    size: Annotated[int, typer.Option(help="Side of the renders, pixels.", min=8, max=4096)] = 128,
    elevation: Annotated[float, typer.Option(help="Degrees the renders look down.", min=-89, max=89)] = 10.0,
    meshes: Annotated[bool, typer.Option("--meshes", help="Also write one coloured mesh (.ply) a time.")] = False,
    resolution: Annotated[int, typer.Option(help="Lattice points per axis of the meshes.", min=16, max=512)] = 128,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Interpolate triplanes between A and B at STEPS equally spaced times strictly between the ends.

    With 3 steps these are 0.25, 0.5 and 0.75 of the way; --ends adds 0 and 1. Two scene folders must share one world;
    one similarity normalises both. Of two keyframes of one run, those beyond them tell how ways bend. The folder gets
    triplanes/ (the triplanes), renders/ (RGBA pictures from azimuth 0 on, equally spaced) and, with --meshes, meshes/
    in the input's world.

    Example: lim interpolate a/ b/ --steps 8 -o between --meshes
    """
    from lim_cli.cli.preflight import check_input, check_new_folder

    for path in (source, target):
        check_input(path)
    check_new_folder(output)
    networks = options.load_networks(device, weights, release, "lrm", "lim")

    from lim_cli.cli.result_folder import describe, result_folder
    from lim_cli.stages import between
    from lim_cli.stages.pictures import PictureConfig, write_meshes, write_pictures
    from lim_cli.stages.render import orbit
    from lim_cli.stages.triplanes import iterate_artifact

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    if target_keyframe is None:
        target_keyframe = keyframe + 1 if source.resolve() == target.resolve() else keyframe
    found = between.load_ends(source, target, networks, keyframes=(keyframe, target_keyframe), progress=sink)
    alphas = between.alphas_between(steps, ends=ends)
    values = {"alphas": alphas.tolist(), "world_from_model": found.world_from_model.tolist()}
    with result_folder(output, values) as partial:
        made = between.run(found.interval, alphas, progress=sink)
        (partial / "triplanes").mkdir()
        made.save(partial / "triplanes")
        if views:
            azimuths = [360.0 * n / views for n in range(views)]
            cameras = orbit(azimuths, elevation=elevation, field_of_view=40.0, size=size)
            triplanes = iterate_artifact(made, networks.device)
            write_pictures(
                partial / "renders", triplanes, len(alphas), cameras, networks, PictureConfig(), progress=sink
            )
        if meshes:
            write_meshes(
                partial / "meshes",
                iterate_artifact(made, networks.device),
                len(alphas),
                networks,
                level=found.level(),
                resolution=resolution,
                world_from_model=found.world_from_model,
                progress=sink,
            )
    sink.result(*describe(output))
