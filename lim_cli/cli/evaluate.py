"""`lim eval`: the shipped models judged on what they never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption

app = options.new_app()


@app.command(name="eval")
def evaluate(
    what: Annotated[
        Literal["interpolation", "tracking", "canonical", "views"],
        typer.Argument(help="interpolation (Table 1), tracking (CD-4D, CD-M), canonical twins, or generated views."),
    ],
    scenes: Annotated[
        list[Path] | None,
        typer.Argument(help="Scene folders; held-out procedural objects without any.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option(help="Held-out procedural objects.", min=1)] = 32,
    gap: Annotated[float, typer.Option(help="Part of the motion between the ends.", min=0.01, max=0.9)] = 0.2,
    steps: Annotated[int, typer.Option(help="View generator steps.", min=1)] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for result.json, result.md and pictures.")
    ] = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Judge the models on held-out procedural objects, or on scene folders with `eval` views or tracks.

    Example: lim eval interpolation --count 32 --gap 0.1 -o report/
    """
    import tempfile

    from lim_cli.core.device import choose_device
    from lim_cli.core.errors import InputError
    from lim_cli.evaluation import interpolation, report, tracking, triplets, twins
    from lim_cli.stages.networks import Networks

    sink = Output(as_json=json_, quiet=quiet)
    networks = Networks(choose_device(device), weights=weights, release=release)
    pictures: list[Any] = []
    result: dict[str, Any]
    if what == "interpolation":
        cases = (
            (t for scene in scenes for t in triplets.scene_triplets(scene))
            if scenes
            else triplets.procedural_triplets(count, gap=gap)
        )
        result = interpolation.compare(networks, cases, strips=pictures, progress=sink)
    elif what == "tracking":
        if not scenes:
            raise InputError("Tracking is judged on scene folders with tracks.npz; name at least one.")
        with tempfile.TemporaryDirectory() as work:
            result = {
                s.name: tracking.compare_tracking(networks, s, Path(work) / s.name, progress=sink) for s in scenes
            }
    elif what == "canonical":
        result = {"mean_error": twins.canonical_error(networks, count, gap=gap, progress=sink)}
    else:
        scores, pictures = twins.view_quality(networks, count, steps=steps, progress=sink)
        result = {"generated": scores}
    plain = report.with_provenance(result, networks)
    lines = report.markdown(result).splitlines()
    if output is not None:
        report.save(output, plain, result, pictures)
    sink.result(plain, lines)
