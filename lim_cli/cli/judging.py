"""What all commands of `lim eval` share: options, and from a judge's report to files and the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lim_cli.cli import options
from lim_cli.cli.output import Output

if TYPE_CHECKING:
    from lim_cli.evaluation.report import Report
    from lim_cli.stages.networks import Networks

GapOption = Annotated[float, typer.Option(help="Part of the motion between the keyframes.", min=0.01, max=0.9)]
AssetsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--assets",
        help="A rigged .glb file, best one kept out of training (see the model card); repeat for more.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder for result.json, result.md and strip.png.", show_default=False),
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", help="Objects at a time, which share the cores.", min=1)]
_UNSAID = ("output", "json_", "quiet", "device", "weights", "jobs")
"""What does not change figures, or is said by hashes."""


def run(
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
        if value is True:  # a flag was given
            words.append(parameter.opts[0])
            continue
        option = parameter.param_type_name == "option"
        words += [word for v in values for word in ([parameter.opts[0], str(v)] if option else [str(v)])]
    return shlex.join(words)
