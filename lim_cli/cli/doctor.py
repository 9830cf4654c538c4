"""`lim doctor`: whether this machine can run the program, and how fast it is."""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from lim_cli.cli.options import new_app
from lim_cli.cli.output import JsonOption, Output

app = new_app()

REQUIRED = (
    *("torch", "numpy", "scipy", "numba", "av", "imageio", "opencv-python-headless", "pillow"),
    *("diffusers", "transformers", "accelerate", "safetensors", "huggingface_hub"),
    *("PyMCubes", "trimesh", "embreex", "xatlas", "fast-simplification", "pygltflib"),
)
USUAL_MEMORY = 2_000_000_000
"""Bytes that one reconstruction stays below at the usual settings."""


@app.command()
def doctor(
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Weights to check, not the installed ones.", show_default=False),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Check this machine: versions, devices, speed, memory, disk, weights, optional tools.

    Exit code 0 if a reconstruction can run, 3 if a library or the weights are missing or changed, or the disk is full.
    Speed is that of matrix products, measured. Optional tools that are absent are listed with what brings them.

    Example: lim doctor --json
    """
    plain = examine(weights)
    Output(as_json=json_).result(plain, _lines(plain))
    if plain["problems"]:
        raise typer.Exit(3)


def examine(weights: Path | None) -> dict[str, Any]:
    """Everything `lim doctor` prints; `problems` is empty if a reconstruction can run."""
    from lim_cli.cli.features import FEATURES, installed

    libraries = {name: installed(name) for name in REQUIRED}
    problems = [
        f"The library {name} is not installed; pip install {name}." for name, v in libraries.items() if v is None
    ]
    found, memory, disk = _weights(weights), _memory(), _disk()
    problems += found.pop("problems")
    problems += [
        f"Only {d['free_gb']} GB are free in {d['path']}; free some space." for d in disk if not d.pop("enough")
    ]
    warnings = []
    if memory["available_gb"] * 1e9 < USUAL_MEMORY:
        warnings.append(f"A reconstruction takes up to {USUAL_MEMORY / 1e9:.0f} GB; close other programs.")
    features = [
        {"name": f.name, "gives": f.gives, "version": installed(f.library), "needs": f.missing()}
        for f in FEATURES
        if libraries["torch"]
    ]
    return {
        "usable": not problems,
        "lim": installed("lim-cli"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": libraries,
        "optional": features,
        "memory": memory,
        "disk": disk,
        "devices": _devices() if libraries["torch"] else [],
        "weights": found,
        "warnings": warnings,
        "problems": problems,
    }


def _memory() -> dict[str, float]:
    import psutil

    memory = psutil.virtual_memory()
    return {"total_gb": round(memory.total / 1e9, 1), "available_gb": round(memory.available / 1e9, 1)}


def _disk() -> list[dict[str, Any]]:
    """Free space where results and temporary run folders go."""
    from lim_cli.cli.preflight import MINIMUM_FREE_BYTES

    places = {"results": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    free = {use: shutil.disk_usage(path).free for use, path in places.items()}
    return [
        {"use": use, "path": str(path), "free_gb": round(free[use] / 1e9, 1), "enough": free[use] >= MINIMUM_FREE_BYTES}
        for use, path in places.items()
    ]


def _devices() -> list[dict[str, Any]]:
    import torch

    from lim_cli.core.matmul import matmul_rates
    from lim_cli.core.threads import core_count

    devices: list[dict[str, Any]] = [
        {"device": "cpu", "name": platform.processor() or platform.machine(), "cores": core_count()}
    ]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = round(properties.total_memory / 1e9, 1)
        devices.append({"device": f"cuda:{index}", "name": properties.name, "memory_gb": memory})
    if torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": platform.machine()})
    for entry in devices:
        entry["gflops"] = matmul_rates(str(entry["device"]))
    return devices


def _weights(weights: Path | None) -> dict[str, Any]:
    from lim_cli.core.errors import WeightsError
    from lim_cli.models.releases import find_release, list_models, verify

    try:
        release = find_release(weights)
        checks = verify(release)
    except WeightsError as error:
        return {"problems": [str(error)]}
    differing = [check for check in checks if check.status != "ok"]
    wrong = [f"Weight file {check.name} is {check.status}; reinstall the weights." for check in differing]
    return {
        "path": str(release),
        "models": [m.name for m in list_models(release)],
        "verified": not wrong,
        "problems": wrong,
    }


def _lines(plain: dict[str, Any]) -> list[str]:
    memory, weights = plain["memory"], plain["weights"]
    lines = [f"lim {plain['lim'] or '(not installed)'}, Python {plain['python']}, {plain['platform']}"]
    lines.append(f"memory     {memory['available_gb']} of {memory['total_gb']} GB free")
    lines += [f"disk       {d['free_gb']} GB free for {d['use']} in {d['path']}" for d in plain["disk"]]
    for entry in plain["devices"]:
        extra = f"{entry['cores']} cores" if "cores" in entry else f"{entry.get('memory_gb', '?')} GB"
        rates = ", ".join(f"{rate} GFLOP/s {name}" for name, rate in entry["gflops"].items() if rate)
        lines.append(f"device     {entry['device']}: {entry['name']}, {extra}, {rates}")
    lines += [f"library    {name} {version or 'MISSING'}" for name, version in plain["libraries"].items()]
    for feature in plain["optional"]:
        state = f"needs: {feature['needs']}" if feature["needs"] else f"there ({feature['version']})"
        lines.append(f"optional   {feature['name']}, {feature['gives']}; {state}")
    if "path" in weights:
        state = "verified" if weights["verified"] else "NOT VERIFIED"
        lines.append(f"weights    {weights['path']}: {', '.join(weights['models'])}; {state}")
    lines += [f"warning    {text}" for text in plain["warnings"]]
    lines += [f"problem    {text}" for text in plain["problems"]] or ["all well: a reconstruction can run"]
    return lines
