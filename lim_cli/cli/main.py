"""The `lim` command: its table of commands, loaded only when run."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lim_cli.cli.failure import report_error
from lim_cli.core.errors import InterruptedRun

# name -> (module holding a Typer `app`, one line for `lim --help`)
COMMANDS: dict[str, tuple[str, str]] = {
    "reconstruct": ("lim_cli.cli.reconstruct", "Turn a video of one object into an animated mesh (GLB)."),
    "ingest": ("lim_cli.cli.ingest", "Stage alone: read and matte an input into a run folder."),
    "views": ("lim_cli.cli.views", "Stage alone: generate the views of a clip's keyframes."),
    "keyframes": ("lim_cli.cli.keyframes", "Stage alone: reconstruct every keyframe as a triplane."),
    "refine": ("lim_cli.cli.refine", "Stage alone: bring the triplanes closer to their views."),
    "track": ("lim_cli.cli.track", "Stage alone: trace one mesh through time."),
    "texture": ("lim_cli.cli.texture", "Stage alone: bake the texture."),
    "export": ("lim_cli.cli.export", "Stage alone: write the GLB, or USD, OBJ, PLY."),
    "drive": ("lim_cli.cli.drive", "Move your own mesh as a tracked run moves."),
    "interpolate": ("lim_cli.cli.interpolate", "Interpolate between two keyframes of two scenes or runs."),
    "render": ("lim_cli.cli.render", "Render triplanes: colour, depth, opacity, turntables."),
    "data": ("lim_cli.cli.data", "Draw training objects as scene folders; measure their speed."),
    "train": ("lim_cli.cli.train", "Train one of the models."),
    "eval": ("lim_cli.cli.evaluate", "Judge the models on objects and scenes they never saw."),
    "inspect": ("lim_cli.cli.inspect", "Say what an animated GLB holds."),
    "view": ("lim_cli.cli.view", "Play animated GLB files in the browser."),
    "bench": ("lim_cli.cli.bench", "Measure what every stage costs on this machine."),
    "weights": ("lim_cli.cli.weights", "List, find, verify and fetch the model weights."),
    "doctor": ("lim_cli.cli.doctor", "Check this machine: versions, devices, speed, weights."),
}


class LazyCommand(TyperCommand):
    """Stands for a command in listings; `load` imports the real one."""

    def __init__(self, name: str, module: str, text: str) -> None:
        super().__init__(name, help=text, add_help_option=False)
        self.module = module

    def load(self) -> Any:
        command = typer.main.get_command(importlib.import_module(self.module).app)
        command.name = self.name
        return command


class LazyGroup(TyperGroup):
    """Lists commands without importing them, so that `lim --help` needs neither torch nor numpy."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands.update({name: LazyCommand(name, *entry) for name, entry in COMMANDS.items()})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, LazyCommand) else command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedRun("Interrupted.") from error


app = typer.Typer(
    name="lim",
    cls=LazyGroup,
    help="4-D reconstruction: a video of one moving object in, one animated mesh out.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"lim {version('lim-cli')}")
        except PackageNotFoundError:  # run from a checkout that was never installed
            typer.echo("lim (not installed)")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Runs one command line (without the program's name) and returns its exit code."""
    try:
        code = app(list(arguments), prog_name="lim", standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except (Exception, KeyboardInterrupt) as error:
        return report_error(error)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Entry point of the `lim` script."""
    # waiting threads sleep instead of spinning: with anything else on the machine networks run twice as fast
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # batch systems end jobs so: tidy up as after Ctrl-C
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
