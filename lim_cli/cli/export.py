"""`lim export`: the GLB of a textured run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()


@app.command()
def export(
    context: typer.Context,
    run: options.RunArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .glb to write.", show_default=False)],
    preview: Annotated[Path | None, typer.Option(help="Also write this preview video.", show_default=False)] = None,
    quantize: options.QuantizeOption = False,
    sparse: options.SparseOption = False,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write a textured run as one animated GLB, in the input's world frame.

    Example: lim export RUN -o out.glb --preview out.mp4
    """
    from lim_cli.cli.preflight import check_glb, check_run, check_writable
    from lim_cli.cli.settings import read_settings

    settings = read_settings(context, config, set_)
    check_run(run)
    check_glb(output)
    if preview is not None:
        check_writable(preview)

    from lim_cli.stages.chain import write_result
    from lim_cli.stages.steps import Steps, existing_run

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    with existing_run(run) as folder:
        plain = write_result(Steps(folder, progress=sink), output, settings.config.export, preview=preview).to_plain()
        sink.result(plain, [f"{key}: {value}" for key, value in plain.items()])
