"""`lim eval`: the tables of the paper; beside them what `evaluate_models` judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.cli import evaluate_models, judging, options
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
PerSceneOption = Annotated[
    int | None, typer.Option(help="At most so many intervals a scene; all otherwise.", min=1, show_default=False)
]
LimOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lim", metavar="NAME=FOLDER", help="One more row: another LIM; repeat for more.", show_default=False
    ),
]


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
    gap: judging.GapOption = 0.2,
    alphas: Annotated[
        list[float] | None,
        typer.Option(help="Where between the keyframes, 0 to 1; repeat for more; 0.5 otherwise.", show_default=False),
    ] = None,
    assets: judging.AssetsOption = None,
    per_scene: PerSceneOption = None,
    lim: LimOption = None,
    ceilings: Annotated[
        bool,
        typer.Option(
            "--ceilings",
            help="Also what moving planes reach by true motion, or by true keyframes alone.",
        ),
    ] = False,
    neighbours: Annotated[
        bool, typer.Option("--neighbours", help="Also LIM as in a clip, shown the keyframes beyond both ends, too.")
    ] = False,
    jobs: judging.JobsOption = 1,
    output: judging.OutputOption = None,
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
    if ceilings and scenes:
        raise ConfigError("--ceilings need true motion, which scene folders lack; leave it or the scenes out.")
    more = _more_lims(lim)

    def judge(networks: Networks, sink: Output) -> Report:
        from lim_cli.evaluation.cases import NOVEL_VIEWS
        from lim_cli.evaluation.interpolation import compare

        cases = _cases(scenes, assets, count, gap, chosen, NOVEL_VIEWS, per_scene)
        return compare(networks, cases, more=more, ceilings=ceilings, neighbours=neighbours, jobs=jobs, progress=sink)

    judging.run(context, judge, ("lrm", "lim"), output, device, weights, release, json_, quiet, more)


@app.command()
def smoothness(
    context: typer.Context,
    scenes: ScenesArgument = None,
    count: CountOption = 4,
    gap: judging.GapOption = 0.2,
    assets: judging.AssetsOption = None,
    per_scene: PerSceneOption = None,
    lim: LimOption = None,
    output: judging.OutputOption = None,
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

    judging.run(context, judge, ("lrm", "lim"), output, device, weights, release, json_, quiet, more)


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
    refine: Annotated[
        float, typer.Option(help="Nominal seconds of refinement of a clip's keyframes first.", min=0.0)
    ] = 0.0,
    output: judging.OutputOption = None,
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
        return compare_tracking(networks, cases, refine_seconds=refine, progress=sink)

    needs = ("lrm", "lim", "canonical_lrm", "canonical_lim")
    judging.run(context, judge, needs, output, device, weights, release, json_, quiet, {})


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
    output: judging.OutputOption = None,
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
    judging.run(context, judge, needs, output, device, weights, release, json_, quiet, {})


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


for command in (evaluate_models.canonical, evaluate_models.views, evaluate_models.camera):
    app.command()(command)
