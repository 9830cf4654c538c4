"""`lim bench`: what every stage of a reconstruction costs on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

app = options.new_app()

CLIP_NAME = "walker.mp4"
MODELS = ("lrm", "lim", "canonical_lrm", "canonical_lim")
SAME = ("device", "threads", "clip", "settings", "weights")
"""What must agree for two reports to be comparable figure by figure."""


@app.command()
def bench(
    input_path: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="A clip or scene folder, not the shipped clip.", show_default=False),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier report; adds ratios, below 1 is less.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the report here too, as JSON.", show_default=False)
    ] = None,
    end: options.EndOption = None,
    fps: options.FpsOption = 30.0,
    vertices: options.VerticesOption = 6_000,
    texture_size: options.TextureSizeOption = 1024,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Measure seconds, peak memory and floating-point operations of every stage of one reconstruction.

    The rate reached is compared with the device's own: square matrix products, measured first. Operations are those
    of the networks (matrix products, attention, convolutions; two per multiply-add); seconds are of everything.

    Example: lim bench -o today.json --compare yesterday.json
    """
    from lim_cli.cli.preflight import check_input, check_writable, is_posed
    from lim_cli.models.releases import find_release, weight_hash

    earlier = None if compare is None else read_report(compare)
    clip = input_path or shipped_clip()
    check_input(clip)
    if output is not None:
        check_writable(output)
    needs = MODELS if is_posed(clip) else (*MODELS, "views")
    chosen = find_release(weights, release, needs=needs)

    import torch

    from lim_cli.core.device import choose_device
    from lim_cli.core.files import atomic_path, hash_tree
    from lim_cli.core.matmul import matmul_rates
    from lim_cli.evaluation import stage_costs
    from lim_cli.stages.config import IngestConfig, ReconstructConfig, TextureConfig, TrackConfig
    from lim_cli.stages.networks import Networks

    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    settings = {"end": end, "fps": fps, "vertices": vertices, "texture_size": texture_size}
    config = ReconstructConfig(
        fps=fps,
        ingest=IngestConfig(end=end),
        track=TrackConfig(vertices=vertices),
        texture=TextureConfig(size=texture_size),
    )
    where = choose_device(device)
    networks = Networks(where, weights=weights, release=release, needs=needs)
    with sink.task("Measuring matrix products"):
        rates = matmul_rates(where)
    costs = stage_costs.measure_stages(clip, config, networks, matmul=rates["float32"], progress=sink)
    plain: dict[str, Any] = {
        "device": device_name(where),
        "threads": torch.get_num_threads(),
        "clip": {"name": clip.name, "sha256": hash_tree(clip)},
        "settings": settings,
        "weights": weight_hash(chosen),
        "matmul_gflops": rates,
        "stages": stage_costs.to_plain(costs),
    }
    if earlier is not None:
        plain["compared"] = {
            "with": str(compare),
            "differing": [key for key in SAME if earlier.get(key) != plain[key]],
            "ratios": stage_costs.compare(plain["stages"], earlier["stages"]),
        }
    if output is not None:
        with atomic_path(output) as partial:
            partial.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    sink.result(plain, lines(plain))


def shipped_clip() -> Path:
    """The example clip: in the installed package, or beside it in a checkout.

    Raises:
        MissingError: it is in neither.
    """
    from lim_cli.core.errors import MissingError

    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_examples", package.parent / "examples"):
        if (folder / CLIP_NAME).is_file():
            return folder / CLIP_NAME
    raise MissingError(f"The shipped clip {CLIP_NAME} is not in this installation; give --input CLIP.")


def device_name(device: Any) -> str:
    """What stands behind `cpu`, `cuda:0` or `mps`."""
    import platform

    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type} {platform.processor() or platform.machine()}"


def read_report(path: Path) -> dict[str, Any]:
    """A report that `lim bench` wrote.

    Raises:
        InputError: the file is not there or is something else.
    """
    from lim_cli.core.errors import InputError

    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as a report; write one with lim bench -o {path}.") from error
    stages = plain.get("stages") if isinstance(plain, dict) else None
    figures = (
        [v for s in stages.values() if isinstance(s, dict) for v in s.values()] if isinstance(stages, dict) else []
    )
    if not figures or not all(isinstance(v, int | float) for v in figures):
        raise InputError(f"{path} is no report of lim bench; write one with lim bench -o {path}.")
    return dict(plain)


def lines(plain: Mapping[str, Any]) -> list[str]:
    """The report as a table."""
    rates = ", ".join(f"{name} {rate} GFLOP/s" for name, rate in plain["matmul_gflops"].items() if rate)
    text = [f"{plain['device']}, {plain['threads']} threads; matrix products: {rates}", ""]
    ratios = plain.get("compared", {}).get("ratios", {})
    head = f"{'stage':<10}{'seconds':>9}{'CPU s':>9}{'peak GB':>9}{'GFLOP':>10}{'GFLOP/s':>9}{'of fp32':>9}"
    text.append(head + (f"{'x seconds':>11}{'x peak':>8}" if ratios else ""))
    for name, cost in plain["stages"].items():
        share = f"{100 * cost['share_of_float32']:.1f} %" if "share_of_float32" in cost else "?"
        row = f"{name:<10}{cost['seconds']:>9.2f}{cost['cpu_seconds']:>9.2f}{cost['peak_gb']:>9.2f}"
        row += f"{cost['gflop']:>10.1f}{cost['gflops']:>9.1f}{share:>9}"
        if ratio := ratios.get(name):
            row += f"{ratio.get('seconds', float('nan')):>11.2f}{ratio.get('peak_gb', float('nan')):>8.2f}"
        text.append(row)
    if differing := plain.get("compared", {}).get("differing"):
        text += ["", f"The earlier report was made with another {', '.join(differing)}."]
    return text
