"""`lim refine`: refinement of the triplanes alone."""

from __future__ import annotations

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def refine(
    context: typer.Context,
    run: options.RunArgument,
    refine: options.RefineOption = None,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Bring a run's triplanes closer to the pictures they were made from (30_refined); --refine 0 takes that away.

    Example: lim refine RUN --refine 30
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
        stages.refine(settings.config.refinement, seed=settings.config.seed)
        sink.stages(run, stages.seconds)
