"""`lim doctor`: whether this machine can run the program, and how fast it is."""

from __future__ import annotations

import os
import platform
import time
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
OPTIONAL = {
    "rembg": "better mattes for clips without one (--matte rembg)",
    "lpips": "the perceptual metric and loss",
    "usd-core": "USD export",
}


@app.command()
def doctor(
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Weights to check, not the installed ones.", show_default=False),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Check this machine: versions, devices, speed, memory, weights, optional tools.

    Exit code 0 if a reconstruction can run, 3 if a library or the weights are missing or changed.

    Example: lim doctor --json
    """
    plain = examine(weights)
    Output(as_json=json_).result(plain, _lines(plain))
    if plain["problems"]:
        raise typer.Exit(3)


def examine(weights: Path | None) -> dict[str, Any]:
    """Everything `lim doctor` prints; `problems` is empty if a reconstruction can run."""
    libraries = {name: _version(name) for name in REQUIRED}
    absent = [name for name, version in libraries.items() if version is None]
    problems = [f"The library {name} is not installed; reinstall lim-cli." for name in absent]
    found = _weights(weights)
    problems += found.pop("problems")
    return {
        "lim": _version("lim-cli"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": libraries,
        "optional": {name: _version(name) for name in OPTIONAL},
        "memory": _memory(),
        "devices": _devices() if libraries["torch"] else [],
        "weights": found,
        "problems": problems,
    }


def _version(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _memory() -> dict[str, float]:
    import psutil

    memory = psutil.virtual_memory()
    return {"total_gb": round(memory.total / 1e9, 1), "available_gb": round(memory.available / 1e9, 1)}


def _devices() -> list[dict[str, Any]]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices: list[dict[str, Any]] = [
        {"device": "cpu", "name": platform.processor() or platform.machine(), "cores": cores}
    ]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = round(properties.total_memory / 1e9, 1)
        devices.append({"device": f"cuda:{index}", "name": properties.name, "memory_gb": memory})
    if torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": platform.machine()})
    for entry in devices:
        entry["gflops"] = round(measure_matmul(str(entry["device"])), 1)
    return devices


def measure_matmul(device: str, *, size: int = 1024, seconds: float = 0.3) -> float:
    """Measured float32 matrix product rate in GFLOP/s."""
    import torch

    a = torch.ones(size, size, device=device)

    def multiply() -> None:
        (a @ a)[0, 0].item()  # item() waits for the device

    multiply()
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds or count == 0:
        multiply()
        count += 1
    return 2 * size**3 * count / elapsed / 1e9


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
    for entry in plain["devices"]:
        extra = f"{entry['cores']} cores" if "cores" in entry else f"{entry.get('memory_gb', '?')} GB"
        rate = f"{entry['gflops']} GFLOP/s float32"
        lines.append(f"device     {entry['device']}: {entry['name']}, {extra}, {rate}")
    lines += [f"library    {name} {version or 'MISSING'}" for name, version in plain["libraries"].items()]
    for name, version in plain["optional"].items():
        lines.append(f"optional   {name} {version or 'absent'} ({OPTIONAL[name]})")
    if "path" in weights:
        state = "verified" if weights["verified"] else "NOT VERIFIED"
        lines.append(f"weights    {weights['path']}: {', '.join(weights['models'])}; {state}")
    lines += [f"problem    {text}" for text in plain["problems"]] or ["all well"]
    return lines
