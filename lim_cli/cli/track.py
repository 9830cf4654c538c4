"""`lim track`: tracing alone."""

from __future__ import annotations

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def track(
    context: typer.Context,
    run: options.RunArgument,
    fps: options.FpsOption = 30.0,
    vertices: options.VerticesOption = 6_000,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Trace one mesh through a run's keyframes, at n / FPS seconds (40_track).

    Example: lim track RUN --fps 30
    """
    from lim_cli.cli.preflight import check_run
    from lim_cli.cli.settings import read_settings

    settings = read_settings(context, config, set_)
    check_run(run)
    networks = options.networks_of(settings, "lrm", "lim", "canonical_lrm", "canonical_lim")

    from lim_cli.stages.steps import Steps, existing_run

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    with existing_run(run) as folder:
        stages = Steps(folder, networks, progress=sink)
        stages.track(settings.config.track, fps=settings.config.fps)
        sink.stages(run, stages.seconds)
