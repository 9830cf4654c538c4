"""`lim train`: training one of the models."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lim_cli.cli.options import DeviceOption, given, new_app
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

if TYPE_CHECKING:
    from lim_cli.training.config import TrainConfig

app = new_app()


@app.command()
def train(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help="lrm, canonical_lrm, lim, canonical_lim, views, volume or camera.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder of the run: model/, state/, log.jsonl.", show_default=False),
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="A .toml or .json file of settings; options go before it.", show_default=False),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="paper, small or tiny.", show_default="small")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the schedule.", min=1, show_default="10000")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Follow the schedule by wall time instead.", min=0.01, show_default=False)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples a step and process.", min=1, show_default="16")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that draw samples; 0: none of their own.", min=0, show_default="1")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of the trained LRM (lim, canonical_lim).", show_default=False)
    ] = None,
    canonical_teacher: Annotated[
        Path | None, typer.Option(help="Folder of the trained CanonicalLRM (canonical_lim).", show_default=False)
    ] = None,
    initial: Annotated[
        Path | None, typer.Option(help="Folder of a trained model to start from.", show_default=False)
    ] = None,
    assets: Annotated[
        Path | None, typer.Option(help="Rigged .glb files to mix in: a folder, or a pack.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.", min=0, show_default="0")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as in lim_loss.causal=0.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    device: DeviceOption = "auto",
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train one model; ends with an evaluation on held-out procedural objects.

    \b
        lim train lrm -o runs/lrm --preset tiny --steps 1000
        lim train lim -o runs/lim --teacher runs/lrm/model --set lim_loss.causal=0.5

    Several processes, each drawing its own samples; accelerate for GPUs, torchrun for CPUs, of which accelerate
    would start one process only:

    \b
        accelerate launch --num_processes 2 -m lim_cli train lrm -o runs/lrm
        torchrun --nproc_per_node 2 -m lim_cli train lrm -o runs/lrm --device cpu
    """
    from lim_cli.cli.preflight import check_writable

    check_writable(output)
    options = given(
        preset=preset,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        workers=workers,
        teacher=_folder("--teacher", teacher),
        canonical_teacher=_folder("--canonical-teacher", canonical_teacher),
        initial=_folder("--initial", initial),
        assets=_folder("--assets", assets),
        seed=seed,
    )
    resolved = resolve(task, config, options, set_ or [])

    from lim_cli.core.device import choose_device
    from lim_cli.training.loop import train as run_training

    first = os.environ.get("RANK", "0") == "0"  # of several processes one reports
    sink = Output(as_json=json_, quiet=quiet or not first, verbose=verbose)
    result = run_training(resolved, output, device=choose_device(device), resume=resume, progress=sink)
    if first:
        from accelerate import PartialState

        processes = PartialState().num_processes
        sink.result({"output": str(output), "processes": processes, "evaluation": result}, [json.dumps(result)])


def resolve(task: str, file: Path | None, options: dict[str, Any], sets: list[str]) -> TrainConfig:
    """The run's configuration: the preset's recipe, then the file, then --set, then options.

    Raises:
        ConfigError: a key or value that does not fit; the nearest key is named.
    """
    from lim_cli.cli.option_layers import merge, parse_set, read_file
    from lim_cli.core.config import from_plain
    from lim_cli.training.config import TrainConfig, recipe

    asked: dict[str, Any] = {}
    for values in (read_file(file) if file is not None else {}, *map(parse_set, sets), {**options, "task": task}):
        merge(asked, values)
    whole: dict[str, Any] = {}
    merge(whole, recipe(str(asked.get("preset"))))
    merge(whole, asked)
    return from_plain(TrainConfig, whole)


def _folder(option: str, path: Path | None) -> str | None:
    from lim_cli.core.errors import InputError

    if path is not None and not path.exists():
        raise InputError(f"There is no {path}; {option} takes a folder.")
    return str(path) if path is not None else None
