"""`lim eval canonical|views|camera`: single models judged on what they never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.cli import judging, options
from lim_cli.cli.output import JsonOption, Output, QuietOption

if TYPE_CHECKING:
    from lim_cli.evaluation.report import Report
    from lim_cli.stages.networks import Networks


def canonical(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="Held-out procedural objects.", min=1)] = 32,
    gap: judging.GapOption = 0.2,
    output: judging.OutputOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Canonical coordinates between keyframes: mean distance from the truth, model units.

    Example: lim eval canonical --count 32 --gap 0.1
    """

    def judge(networks: Networks, sink: Output) -> Report:
        from lim_cli.evaluation.twins import canonical_error

        return canonical_error(networks, count, gap=gap, progress=sink)

    needs = ("lrm", "lim", "canonical_lrm", "canonical_lim")
    judging.run(context, judge, needs, output, device, weights, release, json_, quiet, {})


def views(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="Held-out procedural clips.", min=1)] = 32,
    steps: Annotated[
        int | None, typer.Option(help="View generator steps.", min=0, show_default="as few as it needs")
    ] = None,
    view_tries: options.ViewTriesOption = 1,
    output: judging.OutputOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The three generated views of single-camera clips against the truth.

    Also what the chain says of them without the truth (agreement, certainty), and how well that ranks the clips.

    Example: lim eval views --count 4 -o report
    """

    def judge(networks: Networks, sink: Output) -> Report:
        from lim_cli.evaluation.generated_views import view_quality

        return view_quality(networks, count, steps=steps, tries=view_tries, progress=sink)

    judging.run(context, judge, ("views",), output, device, weights, release, json_, quiet, {})


def camera(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="Clips of procedural objects, and as many of the assets.", min=1)] = 128,
    assets: judging.AssetsOption = None,
    output: judging.OutputOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """How well elevation and field of view are estimated from a clip: mean errors in degrees.

    Beside the constant guess that would have been best. Elevations from -10 to 45 degrees, focal lengths from 25 to
    90 mm, pictures cropped as a clip's are.

    Example: lim eval camera --count 32
    """

    def judge(networks: Networks, sink: Output) -> Report:
        from lim_cli.evaluation.clip_cameras import camera_errors

        assert networks.camera is not None  # `judging.run` asks for it
        return camera_errors(networks.camera, count, assets or (), progress=sink)

    judging.run(context, judge, ("camera",), output, device, weights, release, json_, quiet, {})
