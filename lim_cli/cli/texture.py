"""`lim texture`: the texture alone."""

from __future__ import annotations

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def texture(
    context: typer.Context,
    run: options.RunArgument,
    texture_size: options.TextureSizeOption = 1024,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Unwrap a run's traced mesh and bake one texture for all times (50_texture).

    Example: lim texture RUN --texture-size 2048
    """
    from lim_cli.cli.preflight import check_run
    from lim_cli.cli.settings import read_settings

    settings = read_settings(context, config, set_)
    check_run(run)
    networks = options.networks_of(settings, "lrm")

    from lim_cli.stages.steps import Steps, existing_run

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    with existing_run(run) as folder:
        stages = Steps(folder, networks, progress=sink)
        stages.texture(settings.config.texture)
        sink.stages(run, stages.seconds)
