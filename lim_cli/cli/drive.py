"""`lim drive`: the user's own mesh, moved by a tracked run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def drive(
    context: typer.Context,
    run: options.RunArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .glb to write.", show_default=False)],
    mesh: Annotated[
        Path | None,
        typer.Option(
            "--mesh",
            help="Your model: .glb, .gltf, .obj, .ply or .stl. Required, here or in a file of options.",
            show_default=False,
        ),
    ] = None,
    mesh_frame: options.MeshFrameOption = None,
    mesh_align: options.MeshAlignOption = "auto",
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Move your own model as a tracked run moves: the same file, with morph targets and an animation added.

    The model has to show the object in the pose of some frame. It is laid onto the tracked surface of that frame; its
    topology, materials, textures, UVs, nodes and extras stay as they are.

    Example: lim drive RUN --mesh dog.glb -o moving_dog.glb
    """
    from lim_cli.cli.preflight import check_glb, check_mesh_options, check_not_model, check_run
    from lim_cli.cli.settings import read_settings
    from lim_cli.core.errors import ConfigError

    command = read_settings(context, config, set_).command
    check_run(run)
    check_glb(output)
    if command.mesh is None:
        raise ConfigError("There is no model to move; give --mesh MODEL, or mesh in a file of options.")
    model = Path(command.mesh)
    check_mesh_options(model, command.mesh_align)
    check_not_model(command.mesh, output)

    from lim_cli.core.config import to_plain
    from lim_cli.stages import drive as stage
    from lim_cli.stages.steps import Steps, existing_run

    drive_config = options.drive_config(model, command.mesh_align, command.mesh_frame)
    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    with existing_run(run) as folder:
        steps = Steps(folder, progress=sink)
        info = stage.run(steps.load_track(), steps.load_views(), drive_config, output, progress=sink)
    plain = {"output": str(output), **to_plain(info), "path": str(output)}
    sink.result(plain, [f"{key}: {value}" for key, value in plain.items()])
