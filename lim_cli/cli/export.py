"""`lim export`: a textured run as GLB, USD, or a sequence of OBJ or PLY files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

if TYPE_CHECKING:
    from lim_cli.stages.config import ExportConfig

app = options.new_app()


@app.command()
def export(
    context: typer.Context,
    run: options.RunArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write; a folder for obj and ply.", show_default=False)
    ],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="glb, usd (.usdz, .usd, .usdc or .usda), obj or ply (a folder with a file per frame); told by -o "
            "where its ending says it.",
            show_default=False,
        ),
    ] = None,
    anim: options.AnimOption = "morph",
    bones: options.BonesOption = 32,
    preview: Annotated[Path | None, typer.Option(help="Also write this preview video.", show_default=False)] = None,
    sheet: options.SheetOption = None,
    quantize: options.QuantizeOption = False,
    draco: options.DracoOption = False,
    sparse: options.SparseOption = False,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write a textured run as one animated GLB, in the input's world frame; or as USD, OBJ or PLY.

    With --anim both, OUT.glb holds the morph animation and OUT_skin.glb the bones: in one file, viewers that play
    every animation would add them up. Vertices and UVs are the same in every format and frame (with --draco in another
    order).

    Example: lim export RUN -o out.glb --preview out.mp4
    """
    from lim_cli.cli.preflight import check_run, check_sheet, check_writable
    from lim_cli.cli.settings import read_settings

    settings = read_settings(context, config, set_)
    preview, sheet = (Path(p) if p is not None else None for p in (settings.command.preview, settings.command.sheet))
    check_run(run)
    check_sheet(sheet)
    for path in (preview, sheet):
        if path is not None:
            check_writable(path)

    from lim_cli.stages.config import FOLDER_FORMATS

    configured = settings.config.export.format
    chosen = format_ or (configured if configured != "glb" else _format_of(output))
    export_config = replace(settings.config.export, format=chosen)
    _check_output(export_config, output)

    from lim_cli.cli.result_folder import result_folder
    from lim_cli.stages.chain import write_result
    from lim_cli.stages.steps import Steps, existing_run

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    with existing_run(run) as folder:
        steps = Steps(folder, progress=sink)
        if export_config.format in FOLDER_FORMATS:
            times = steps.load_texture().textured.track.times
            with result_folder(output, {"format": export_config.format, "times": times.tolist()}) as partial:
                result = write_result(steps, partial, export_config, preview=preview, sheet=sheet)
            result = replace(result, output=output)
        else:
            result = write_result(steps, output, export_config, preview=preview, sheet=sheet)
    plain = result.to_plain()
    sink.result(plain, [f"{key}: {value}" for key, value in plain.items()])


def _format_of(output: Path) -> str:
    """What the ending of `output` says.

    Raises:
        OutputError: it says nothing.
    """
    from lim_cli.core.errors import OutputError
    from lim_cli.export.usd import SUFFIXES
    from lim_cli.stages.config import FOLDER_FORMATS

    suffix = output.suffix.lower()
    if suffix == ".glb":
        return "glb"
    if suffix in SUFFIXES:
        return "usd"
    if suffix[1:] in FOLDER_FORMATS:
        raise OutputError(f"Format {suffix[1:]} writes a folder; give --format {suffix[1:]} and -o without an ending.")
    raise OutputError(f"The ending of {output} names no format; end it in .glb or .usdz, or give --format.")


def _check_output(config: ExportConfig, output: Path) -> None:
    """Raises OutputError if `output` cannot be written in the format, MissingError without the format's library."""
    from lim_cli.cli.preflight import check_draco, check_glb, check_new_folder, check_writable
    from lim_cli.core.errors import OutputError
    from lim_cli.export.usd import SUFFIXES, require_usd
    from lim_cli.stages.config import FOLDER_FORMATS, skin_path

    if config.format in FOLDER_FORMATS:
        if output.suffix:
            raise OutputError(f"Format {config.format} writes a folder; give -o without an ending, not {output}.")
        check_new_folder(output)
    elif config.format == "usd":
        if output.suffix.lower() not in SUFFIXES:
            raise OutputError(f"Output {output} must end in {', '.join(SUFFIXES)} for USD.")
        check_writable(output)
        require_usd()
    else:
        check_glb(output)
        check_draco(config)
        if config.anim == "both":
            check_glb(skin_path(output))
