"""`lim eval`: the models judged on what they never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption

if TYPE_CHECKING:
    from lim_cli.evaluation.cases import Case
    from lim_cli.evaluation.report import Report
    from lim_cli.stages.networks import Networks

app = options.new_app()

ScenesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="SCENE",
        help="Scene folders with 'eval' views; held-out procedural objects without any.",
        show_default=False,
    ),
]
CountOption = Annotated[int, typer.Option(help="Procedural objects, or stretches of each asset.", min=1)]
GapOption = Annotated[float, typer.Option(help="Part of the motion between the keyframes.", min=0.01, max=0.9)]
AssetsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--assets",
        help="A rigged .glb file, best one kept out of training (see the model card); repeat for more.",
        show_default=False,
    ),
]
PerSceneOption = Annotated[
    int | None, typer.Option(help="At most so many intervals a scene; all otherwise.", min=1, show_default=False)
]
LimOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lim", metavar="NAME=FOLDER", help="One more row: another LIM; repeat for more.", show_default=False
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder for result.json, result.md and strip.png.", show_default=False),
]
_UNSAID = ("output", "json_", "quiet", "device", "weights")  # what does not change figures, or is said by hashes


@app.callback()
def _root() -> None:
    """Judge the models on objects and scenes they never saw.

    Example: lim eval interpolation --count 32 --gap 0.1 -o report
    """


@app.command()
def interpolation(
    context: typer.Context,
    scenes: ScenesArgument = None,
    count: CountOption = 32,
    gap: GapOption = 0.2,
    alphas: Annotated[
        list[float] | None,
        typer.Option(help="Where between the keyframes, 0 to 1; repeat for more; 0.5 otherwise.", show_default=False),
    ] = None,
    assets: AssetsOption = None,
    per_scene: PerSceneOption = None,
    lim: LimOption = None,
    output: OutputOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Tables 1, 2 and 6: novel views between two keyframes, by Linear, image interpolation + LRM, LIM and Oracle.

    Table 2 is --lim causal=FOLDER --lim 'no causal'=FOLDER; Table 6 the same with LIMs of 3, 6 and 8 blocks.

    Example: lim eval interpolation --count 32 --gap 0.1 -o report
    """
    from lim_cli.core.errors import ConfigError

    chosen = tuple(alphas or (0.5,))
    if not all(0 < alpha < 1 for alpha in chosen) or len(set(chosen)) != len(chosen):
        raise ConfigError("--alphas must lie between 0 and 1 and differ.")
    more = _more_lims(lim)

    def judge(networks: Networks, sink: Output) -> Report:
        from lim_cli.evaluation.cases import NOVEL_VIEWS
        from lim_cli.evaluation.interpolation import compare

        cases = _cases(scenes, assets, count, gap, chosen, NOVEL_VIEWS, per_scene)
        return compare(networks, cases, more=more, progress=sink)

    _run(context, judge, ("lrm", "lim"), output, device, weights, release, json_, quiet, more)


@app.command()
def smoothness(
    context: typer.Context,
    scenes: ScenesArgument = None,
    count: CountOption = 4,
    gap: GapOption = 0.2,
    assets: AssetsOption = None,
    per_scene: PerSceneOption = None,
    lim: LimOption = None,
    output: OutputOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """How evenly the motion passes: the largest of 32 render steps over the median one.

    Example: lim eval smoothness --count 4 -o report
    """
    more = _more_lims(lim)

    def judge(networks: Networks, sink: Output) -> Report:
        from lim_cli.evaluation.smoothness import ALPHAS, compare_smoothness

        # a scene's time steps are too few for the truth at 33 alphas
        cases = _cases(scenes, assets, count, gap, () if scenes else ALPHAS, 1, per_scene)
        return compare_smoothness(networks, cases, more=more, progress=sink)

    _run(context, judge, ("lrm", "lim"), output, device, weights, release, json_, quiet, more)


@app.command()
def tracking(
    context: typer.Context,
    scenes: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SCENE",
            help="Scene folders with 'eval' views and tracks.npz; held-out procedural objects without any.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Held-out procedural objects.", min=1)] = 8,
    gap: Annotated[float, typer.Option(help="Part of the motion between two of the 8 steps.", min=0.01)] = 0.1,
    output: OutputOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Table 3: one mesh traced through 8 steps: renders at steps 4, 6 and 8, CD-3D, CD-4D and CD-M.

    Example: lim eval tracking --count 8 -o report
    """

    def judge(networks: Networks, sink: Output) -> Report:
        from lim_cli.evaluation import sequences
        from lim_cli.evaluation.tracking import compare_tracking

        cases = (
            (sequences.scene_sequence(folder) for folder in scenes)
            if scenes
            else sequences.procedural_sequences(count, gap=gap)
        )
        return compare_tracking(networks, cases, progress=sink)

    needs = ("lrm", "lim", "canonical_lrm", "canonical_lim")
    _run(context, judge, needs, output, device, weights, release, json_, quiet, {})


@app.command()
def monocular(
    context: typer.Context,
    scenes: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SCENE",
            help="Scene folders with 'eval' views, a clip 'mono' and tracks.npz; procedural clips without any.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(help="Held-out procedural clips; 4 without scenes, otherwise none.", min=0, show_default=False),
    ] = None,
    triposr: Annotated[
        str | None,
        typer.Option(
            "--triposr",
            metavar="FOLDER_OR_ID",
            help="One more row: TripoSR's own weights, a folder or a hub id in the cache; needs its code.",
            show_default=False,
        ),
    ] = None,
    iterations: Annotated[int, typer.Option(help="Steps of the per-clip optimisation.", min=1)] = 300,
    require: Annotated[
        list[str] | None,
        typer.Option(help="lpips or fvd: fail where it cannot be had; repeat for both.", show_default=False),
    ] = None,
    output: OutputOption = None,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Tables 4 and 5: sixteen frames of one camera seen from four unseen views, against other ways and the truth.

    Example: lim eval monocular --count 4 -o report
    """
    from lim_cli.core.errors import ConfigError

    if unknown := set(require or ()) - {"lpips", "fvd"}:
        raise ConfigError(f"--require must be lpips or fvd, got {', '.join(sorted(unknown))}.")
    clips = count if count is not None else 0 if scenes else 4
    if not clips and not scenes:
        raise ConfigError("There is nothing to judge; give a SCENE or --count 1 or more.")

    def judge(networks: Networks, sink: Output) -> Report:
        from itertools import chain

        from lim_cli.evaluation.monocular import compare_monocular
        from lim_cli.evaluation.monocular_cases import procedural_clips, scene_clip
        from lim_cli.evaluation.monocular_rows import monocular_rows

        rows = monocular_rows(networks, triposr=triposr, iterations=iterations)
        cases = chain((scene_clip(folder) for folder in scenes or ()), procedural_clips(clips))
        return compare_monocular(rows, cases, require=require or (), progress=sink)

    needs = ("lrm", "lim", "canonical_lrm", "canonical_lim", "views")
    _run(context, judge, needs, output, device, weights, release, json_, quiet, {})


@app.command()
def canonical(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="Held-out procedural objects.", min=1)] = 32,
    gap: GapOption = 0.2,
    output: OutputOption = None,
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

    needs = ("lrm", "canonical_lrm", "canonical_lim")
    _run(context, judge, needs, output, device, weights, release, json_, quiet, {})


@app.command()
def views(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="Held-out procedural clips.", min=1)] = 32,
    steps: Annotated[int, typer.Option(help="View generator steps.", min=1)] = 1,
    view_tries: options.ViewTriesOption = 1,
    output: OutputOption = None,
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

    _run(context, judge, ("views",), output, device, weights, release, json_, quiet, {})


@app.command()
def camera(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="Clips of procedural objects, and as many of the assets.", min=1)] = 128,
    assets: AssetsOption = None,
    output: OutputOption = None,
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

        assert networks.camera is not None  # `_run` asks for it
        return camera_errors(networks.camera, count, assets or (), progress=sink)

    _run(context, judge, ("camera",), output, device, weights, release, json_, quiet, {})


def _run(
    context: typer.Context,
    judge: Callable[[Networks, Output], Report],
    needs: tuple[str, ...],
    output: Path | None,
    device: str,
    weights: Path | None,
    release: str | None,
    json_: bool,
    quiet: bool,
    more: dict[str, Path],
) -> None:
    """Checks, judges, writes and prints."""
    from lim_cli.cli.preflight import check_new_folder
    from lim_cli.cli.result_folder import result_folder

    if output is not None:
        check_new_folder(output)
    networks = options.load_networks(device, weights, release, *needs)
    from lim_cli.evaluation import report

    sink = Output(as_json=json_, quiet=quiet)
    found = judge(networks, sink)
    made = report.provenance(_command_line(context), networks, needs, more)
    plain = report.plain(found, made)
    if output is not None:
        with result_folder(output, plain) as partial:
            report.write_pages(partial, found, made)
    sink.result(plain, report.markdown(found, made).splitlines())


def _cases(
    scenes: list[Path] | None,
    assets: list[Path] | None,
    count: int,
    gap: float,
    alphas: tuple[float, ...],
    views: int,
    per_scene: int | None,
) -> Iterator[Case]:
    """Of the scenes and the assets given; procedural objects without either."""
    from lim_cli.evaluation import cases

    for scene in scenes or ():
        yield from cases.scene_cases(scene, alphas=alphas, most=per_scene)
    for asset in assets or ():
        yield from cases.asset_cases(asset, count, gap=gap, alphas=alphas, views=views)
    if not scenes and not assets:
        yield from cases.procedural_cases(count, gap=gap, alphas=alphas, views=views)


def _more_lims(texts: list[str] | None) -> dict[str, Path]:
    """NAME=FOLDER of --lim.

    Raises:
        ConfigError: it is not of that form, or a name is taken.
    """
    from lim_cli.core.errors import ConfigError

    found: dict[str, Path] = {}
    for text in texts or ():
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ConfigError(f"--lim must be NAME=FOLDER, got {text!r}.")
        if name.lower() in ("lim", "linear", "truth", "lrm") or name in found:
            raise ConfigError(f"--lim {text}: there is a row or a model of that name already; choose another.")
        found[name] = Path(folder)
    return found


def _command_line(context: typer.Context) -> str:
    """The command as given, less what does not change its figures."""
    import shlex

    words = ["lim", "eval", context.command.name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _UNSAID or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        values = value if isinstance(value, (list, tuple)) else [value]
        option = parameter.param_type_name == "option"
        words += [word for v in values for word in ([parameter.opts[0], str(v)] if option else [str(v)])]
    return shlex.join(words)
