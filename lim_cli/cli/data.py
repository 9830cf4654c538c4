"""`lim data`: training objects as scene folders, and how fast they are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli.options import SeedOption, new_app
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = new_app()

AssetsOption = Annotated[
    Path | None,
    typer.Option(help="A folder of rigged .glb files, or a pack; needed by --kind assets.", show_default=False),
]


@app.callback()
def _root() -> None:
    """Draw training objects as scene folders, and measure how fast that is.

    Example: lim data sample -o scenes --count 16 --seed 0
    """


@app.command()
def sample(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    count: Annotated[int, typer.Option(help="How many objects.", min=1, max=100_000)] = 16,
    seed: SeedOption = 0,
    kind: Annotated[str, typer.Option(help="procedural, or assets (see --assets).")] = "procedural",
    assets: AssetsOption = None,
    split: Annotated[str, typer.Option(help="eval: objects never trained on; train.")] = "eval",
    times: Annotated[int, typer.Option(help="Time steps of each scene.", min=1, max=1000)] = 8,
    size: Annotated[int, typer.Option(help="Side of the pictures, pixels.", min=8, max=2048)] = 128,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write moving objects as scene folders 000, 001, ... of four views, with contact_sheet.png over all.

    Each row of the sheet shows the four views of the first time and the first view of the last.

    Example: lim data sample -o scenes --count 16 --seed 0
    """
    from lim_cli.cli.preflight import check_new_folder
    from lim_cli.core.errors import ConfigError

    check_new_folder(output)
    if kind not in ("procedural", "assets") or split not in ("eval", "train"):
        raise ConfigError("--kind must be procedural or assets, --split eval or train.")
    if (kind == "assets") != (assets is not None):
        raise ConfigError("--kind assets and --assets FOLDER go together.")

    from PIL import Image

    from lim_cli.cli.result_folder import describe, result_folder
    from lim_cli.data.object_source import ObjectSource
    from lim_cli.data.scene_drawing import contact_sheet, draw_scene
    from lim_cli.data.scene_folder import write_scene

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    objects = ObjectSource(seed, held_out=split == "eval", assets=assets)
    with result_folder(output, {"seed": seed, "kind": kind, "split": split}) as partial:
        drawn = []
        with sink.task("Drawing objects", count) as task:
            for number in range(count):
                source, rng = objects.draw(number)
                scene = draw_scene(source, rng, times=times, size=size, name=f"{number:03d}")
                write_scene(partial / scene.name, scene)
                drawn.append(scene)
                task.advance()
        Image.fromarray(contact_sheet(drawn)).save(partial / "contact_sheet.png")
    sink.result(*describe(output))


@app.command()
def speed(
    seconds: Annotated[float, typer.Option(help="How long to measure.", min=0.1, max=600)] = 5.0,
    size: Annotated[int, typer.Option(help="Side of the pictures, pixels.", min=8, max=2048)] = 128,
    assets: AssetsOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure how many pictures (with canonical XYZ) one process draws a second.

    Example: lim data speed --seconds 5
    """
    import time

    import numpy as np

    from lim_cli.data.object_source import ObjectSource
    from lim_cli.data.samples import SampleSpec, draw_sample

    spec = SampleSpec(size=size, rays=0, points=0, surface=0, canonical=True, labelled=())
    objects = ObjectSource(0, held_out=False, assets=assets)
    source, _ = objects.draw(0)
    draw_sample(source, np.random.default_rng(0), spec)  # compiles the kernels
    begun, begun_cpu, pictures, number = time.perf_counter(), time.process_time(), 0, 0
    while (passed := time.perf_counter() - begun) < seconds or pictures == 0:
        source, rng = objects.draw(number)
        pictures += draw_sample(source, rng, spec)["views"].shape[1]
        number += 1
    rate, rate_cpu = pictures / passed, pictures / (time.process_time() - begun_cpu)
    plain = {
        "images_per_second": round(rate, 1),
        "images_per_cpu_second": round(rate_cpu, 1),
        "size": size,
        "images": pictures,
        "seconds": round(passed, 2),
    }
    line = f"{rate:.0f} images/s ({rate_cpu:.0f} per CPU second) at {size}x{size}, one process, a new object every four"
    Output(as_json=json_).result(plain, [line])
