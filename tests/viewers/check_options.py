"""Exports finished runs with every option of `lim export`, and `lim drive`, and has every file read by others.

    PYTHONPATH=. python tests/viewers/check_options.py RUN... [--viewers validator three blender godot trimesh]

Prints a Markdown table, a row per run and option: the validator's errors and warnings, how far each viewer's vertices
are from `lim_cli.export.glb_playback` at five times, and how far those are from the traced mesh at all frames (parts of
the object's size). Exits with 1 where a figure is beyond its bound. Viewers: see check_glb.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

sys.path.append(str(Path(__file__).resolve().parent))

from check_glb import VIEWERS, cannot_read, compare_all, is_available, validate_all

from lim_cli.cli.main import run as lim
from lim_cli.export.glb_playback import AnimatedGlb
from lim_cli.export.gltf import write_glb
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.skinning import object_size
from lim_cli.stages.config import skin_path
from lim_cli.stages.export import in_world
from lim_cli.stages.steps import Steps, existing_run

SHARES = (0.0, 0.23, 0.5, 0.77, 1.0)
OPTIONS = {
    "morph": [],
    "morph --quantize": ["--quantize"],
    "morph --sparse": ["--sparse"],
    "morph --quantize --sparse": ["--quantize", "--sparse"],
    "skin": ["--anim", "skin"],
    "skin --quantize": ["--anim", "skin", "--quantize"],
    "skin --draco": ["--anim", "skin", "--draco"],
}
MOST = {"morph": 1e-4, "quantize": 1e-3, "skin": 5e-3}
"""Of playback against the traced mesh: the largest distance; of a skin the root mean square."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--viewers", nargs="+", choices=VIEWERS, default=[v for v in VIEWERS if is_available(v)])
    chosen = parser.parse_args()
    others = [viewer for viewer in chosen.viewers if viewer != "validator"]
    print(f"| run | option | bytes | errors, warnings | {' | '.join(others)} | from the traced mesh |")
    print("|" + "---|" * (5 + len(others)))
    failed = False
    for folder in chosen.runs:
        with tempfile.TemporaryDirectory() as name:
            failed |= check_run(folder, Path(name), chosen.viewers, others)
    return int(failed)


def check_run(folder: Path, out: Path, viewers: list[str], others: list[str]) -> bool:
    """Prints the rows of one run; whether a figure is beyond its bound."""
    track = traced(folder)
    files = export_all(folder, track, out)
    paths = list(files.values())
    verdicts = validate_all(paths) if "validator" in viewers else []
    shown: dict[tuple[str, Path], str] = {}
    failed = any(not verdict["ok"] for verdict in verdicts)
    for viewer in others:
        readable = [path for path in paths if cannot_read(viewer, AnimatedGlb(path)) is None]
        for path, report in zip(readable, compare_all(viewer, readable, shares=SHARES), strict=True):
            shown[viewer, path] = f"{report['largest_error']:.0e}" + ("" if report["ok"] else " **no**")
            failed |= not report["ok"]
    for number, (option, path) in enumerate(files.items()):
        counts = f"{verdicts[number]['errors']}, {verdicts[number]['warnings']}" if verdicts else "-"
        cells = [shown.get((viewer, path), "-") for viewer in others]
        distance, kept = from_track(option, path, track)
        failed |= not kept
        print(
            f"| {folder.name} | {option} | {path.stat().st_size:,} | {counts} | {' | '.join(cells)} | {distance} |",
            flush=True,
        )
    return failed


def traced(folder: Path) -> TexturedTrack:
    with existing_run(folder) as run:
        steps = Steps(run)
        return in_world(steps.load_texture().textured, steps.load_views().world_from_model)


def export_all(folder: Path, track: TexturedTrack, out: Path) -> dict[str, Path]:
    """A file for every option, by the command that writes it."""
    files = {option: out / f"{option.replace(' ', '_')}.glb" for option in OPTIONS}
    for option, path in files.items():
        call("export", folder, "-o", path, *OPTIONS[option])
    both = out / "both.glb"
    call("export", folder, "-o", both, "--anim", "both")
    files |= {"both: morph": both, "both: skin": skin_path(both)}
    # No option makes clips short: as it is done beyond 240 targets.
    files["in parts"], files["in parts, quantized"] = out / "parts.glb", out / "parts_quantized.glb"
    most = max(1, len(track.track.times) // 3)
    write_glb(files["in parts"], track, max_targets=most)
    write_glb(files["in parts, quantized"], track, max_targets=most, quantize=True)
    # The first frame as somebody's model.
    call("export", folder, "-o", out / "frames", "--format", "obj")
    files["--mesh"] = out / "driven.glb"
    model = min((out / "frames").glob("*.obj"))
    call("drive", folder, "--mesh", model, "-o", files["--mesh"], "--mesh-frame", "0", "--mesh-align", "none")
    return files


def call(*arguments: object) -> None:
    held, sys.stdout = sys.stdout, sys.stderr  # the table alone goes to stdout
    try:
        if lim([*map(str, arguments), "-q"]) != 0:
            raise RuntimeError(f"lim {' '.join(map(str, arguments))} failed")
    finally:
        sys.stdout = held


def from_track(option: str, path: Path, track: TexturedTrack) -> tuple[str, bool]:
    """The distance of playback from the traced mesh over all frames, in words, and whether it is within its bound."""
    if option == "--mesh":
        return "-", True
    glb, vertices = AnimatedGlb(path), track.track.vertices
    if "draco" in option:  # in an order of its own
        uv = glb.array(glb.document.meshes[0].primitives[0].attributes.TEXCOORD_0)
        vertices = vertices[:, cKDTree(track.uv).query(uv)[1]]
    size = object_size(vertices)
    times = track.track.times - track.track.times[0]
    # A key's time is float32: just before it, the last part is still shown.
    squares = [
        np.sum((glb.vertices(float(np.float32(time))) - truth) ** 2, axis=1)
        for time, truth in zip(times, vertices, strict=True)
    ]
    largest, rms = float(np.sqrt(np.max(squares))) / size, float(np.sqrt(np.mean(squares))) / size
    if "skin" in option:
        return f"{rms:.2%} RMS, {largest:.1%} at most", rms <= MOST["skin"]
    return f"{largest:.0e}", largest <= MOST["quantize" if "quantize" in option else "morph"]


if __name__ == "__main__":
    sys.exit(main())
