"""`lim reconstruct`: one or several clips to animated meshes."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


class Engine(StrEnum):
    """Where the clips of a batch are worked on."""

    LOCAL = "local"
    RAY = "ray"


@app.command()
def reconstruct(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Videos, image folders (RGBA is kept as matte), scene folders (transforms.json), patterns such as "
            "'clips/*.mp4', or - for a video on standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .glb to write; a folder for several inputs.", show_default=False),
    ] = None,
    fps: options.FpsOption = 30.0,
    preview: Annotated[
        Path | None,
        typer.Option(help="Also write this preview video (a folder for several inputs).", show_default=False),
    ] = None,
    sheet: options.SheetOption = None,
    mesh: Annotated[
        Path | None,
        typer.Option(
            help="Write this model of yours, moving, in place of our mesh (see lim drive --help).", show_default=False
        ),
    ] = None,
    mesh_frame: options.MeshFrameOption = None,
    mesh_align: options.MeshAlignOption = "auto",
    start: options.StartOption = None,
    end: options.EndOption = None,
    input_fps: options.InputFpsOption = None,
    matte: options.MatteOption = "auto",
    max_frames: options.MaxFramesOption = None,
    elevation: options.ElevationOption = "auto",
    field_of_view: options.FieldOfViewOption = 40.0,
    keyframe_stride: options.KeyframeStrideOption = None,
    steps: options.StepsOption = None,
    view_tries: options.ViewTriesOption = 1,
    views_model: options.ViewsModelOption = None,
    refine: options.RefineOption = None,
    vertices: options.VerticesOption = 6_000,
    texture_size: options.TextureSizeOption = 1024,
    quantize: options.QuantizeOption = False,
    draco: options.DracoOption = False,
    sparse: options.SparseOption = False,
    anim: options.AnimOption = "morph",
    bones: options.BonesOption = 32,
    seed: options.SeedOption = 0,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    workdir: Annotated[
        Path | None,
        typer.Option(help="Keep the finished stages here, so that a rerun resumes.", show_default=False),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Reuse finished stages and finished clips of a batch, or start over."),
    ] = True,
    shard: Annotated[
        str | None, typer.Option(help="i/n: take only every n-th input, from the i-th (1..n).", show_default=False)
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Work here, or on a Ray cluster that runs already.")] = Engine.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster; RAY_ADDRESS otherwise.", show_default=False)
    ] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Turn a video of one moving object into an animated, textured mesh (GLB).

    A clip of one frame becomes a mesh that keeps still. OUT.config.json beside OUT.glb holds every option of the run;
    lim reconstruct --config OUT.config.json -o AGAIN.glb repeats it byte for byte. Options come from the command
    line, --set, --config and ./lim.toml, in this order.

    Several inputs, a pattern or a shard make a batch: the clips are done one after the other, each is reported as it
    finishes (--json: one line each), one that fails does not stop the rest, and those done already are skipped
    unless --fresh. batch.json in the output folder lists them all. The exit code is the highest of theirs.

    Example: lim reconstruct clip.mp4 -o out.glb --fps 30 --preview out.mp4
    """
    from lim_cli.cli.jobs import plan_jobs
    from lim_cli.cli.preflight import check_batch
    from lim_cli.cli.settings import DEFAULT_FILE, read_settings
    from lim_cli.core.errors import ConfigError

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)

    # 1. The options, from all their sources.
    settings = read_settings(context, config, set_)
    if DEFAULT_FILE.is_file():
        sink.log(f"Options from {DEFAULT_FILE} are in force.")
    command = settings.command
    if not command.input or command.output is None:
        missing = "INPUT, a video or a folder of pictures" if not command.input else "-o OUT.glb"
        raise ConfigError(f"Give {missing}; see lim reconstruct --help.")
    plan = plan_jobs(
        command.input,
        Path(command.output),
        workdir=Path(command.workdir) if command.workdir is not None else None,
        preview=Path(command.preview) if command.preview is not None else None,
        sheet=Path(command.sheet) if command.sheet is not None else None,
        shard=shard,
    )

    # 2. One clip, whose error is the command's.
    if plan.folder is None and engine is Engine.LOCAL:
        from lim_cli.cli.one_clip import reconstruct as reconstruct_clip

        result = reconstruct_clip(plan.jobs[0], settings, fresh=not resume, progress=sink) or {}
        sink.result(result, [f"{key}: {value}" for key, value in result.items()])
        return

    # 3. Or many.
    from lim_cli.cli.batch import run_batch, run_here

    if plan.folder is None:
        plan = replace(plan, folder=plan.jobs[0].output.parent)
    check_batch(plan, settings)
    if engine is Engine.RAY:
        from lim_cli.cli.ray_engine import run_on_ray

        outcomes = run_on_ray(plan.mine, settings, fresh=not resume, address=ray_address)
    else:
        outcomes = run_here(plan.mine, settings, fresh=not resume, sink=sink)
    if code := run_batch(plan, outcomes, sink):
        raise typer.Exit(code)
