"""`lim views`: the view generator alone."""

from __future__ import annotations

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def views(
    context: typer.Context,
    run: options.RunArgument,
    keyframe_stride: options.KeyframeStrideOption = None,
    steps: options.StepsOption = None,
    view_tries: options.ViewTriesOption = 1,
    elevation: options.ElevationOption = "auto",
    field_of_view: options.FieldOfViewOption = 40.0,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    views_model: options.ViewsModelOption = None,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Generate the views at 90, 180 and 270 degrees of every keyframe of a run's clip (10_views).

    Example: lim views RUN --elevation 20
    """
    from lim_cli.cli.preflight import check_run
    from lim_cli.cli.settings import read_settings

    settings = read_settings(context, config, set_)
    check_run(run)
    networks = options.networks_of(settings, "views")

    from lim_cli.core.config import to_plain
    from lim_cli.stages.steps import Steps, existing_run

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    with existing_run(run) as folder:
        stages = Steps(folder, networks, progress=sink)
        stages.views(settings.config.views, seed=settings.config.seed)
        generation = to_plain(stages.load_views().generation)
        sink.stages(run, stages.seconds, generation=generation)
