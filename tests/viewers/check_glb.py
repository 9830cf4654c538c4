"""Compares our reading of GLB files with the Khronos validator, three.js, Blender, Godot and trimesh.

    cd tests/viewers && npm install && cd ../..
    apt-get install -y chromium blender python3-numpy godot3-server
    PYTHONPATH=. python tests/viewers/check_glb.py out.glb [--shots FOLDER]

Prints one JSON line per file and viewer; exits with 1 when the validator finds an error or a warning, or a
viewer puts a vertex more than 1e-4 of the object's size (a skin in Blender: 1e-3) from where
`lim_cli.export.glb_playback` puts it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from lim_cli.export.glb_playback import AnimatedGlb

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-4
# Blender interpolates the four numbers of a quaternion one by one, which is not quite the arc between two rotations.
BLENDER_SKIN_TOLERANCE = 1e-3
GODOT = os.environ.get("GODOT", "godot3-server")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
VIEWERS = ("validator", "three", "blender", "godot", "trimesh")
SHARES = (0.0, 0.1, 0.31, 0.5, 0.77, 0.9, 1.0)


def is_available(viewer: str) -> bool:
    """Whether this machine has what the viewer needs."""
    if viewer == "trimesh":
        return True
    if viewer in ("blender", "godot"):
        return shutil.which({"blender": "blender", "godot": GODOT}[viewer]) is not None
    modules = (HERE / "node_modules").is_dir() and shutil.which("node") is not None
    return modules and (viewer != "three" or Path(CHROMIUM).exists())


def cannot_read(viewer: str, glb: AnimatedGlb) -> str | None:
    """What of a file the viewer is known not to read; None where it should read all."""
    document = glb.document
    compressed = "KHR_draco_mesh_compression" in (document.extensionsUsed or [])
    if viewer == "blender" and compressed:
        return "Debian's Blender and PyPI's bpy come without Blender's Draco library"
    if viewer == "godot":
        if compressed:
            return "Godot 3 knows no Draco"
        if "KHR_mesh_quantization" in (document.extensionsUsed or []):
            return "Godot 3 knows no KHR_mesh_quantization"
        if any(accessor.sparse is not None for accessor in document.accessors):
            return "Godot 3 refuses sparse accessors"
        if int(glb.notes.get("parts", 1)) > 1:
            return "Godot 3 blends meshes that play one after the other for one of its frames"
    if viewer == "trimesh":
        if document.skins:
            return "trimesh knows no skins"
        if "KHR_mesh_quantization" in (document.extensionsUsed or []):
            return "trimesh takes normalized integers as they are"
    return None


def validate(path: Path) -> dict[str, Any]:
    """The Khronos validator's counts and messages; `ok` when there is no error and no warning."""
    return validate_all([path])[0]


def validate_all(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """`validate` of several files."""
    done = _run(["node", str(HERE / "validate_glb.mjs"), *map(str, paths)])
    reports = [json.loads(line) for line in done.splitlines()]
    return [{"viewer": "validator", **r, "ok": r["errors"] == 0 and r["warnings"] == 0} for r in reports]


def compare(viewer: str, path: Path, shots: Path | None = None, *, shares: Sequence[float] = SHARES) -> dict[str, Any]:
    """`compare_all` of one file."""
    return compare_all(viewer, [path], shots, shares=shares)[0]


def compare_all(
    viewer: str, paths: Sequence[Path], shots: Path | None = None, *, shares: Sequence[float] = SHARES
) -> list[dict[str, Any]]:
    """Largest distance of the viewer's vertices from ours, in parts of the object's size, for each file.

    shares: the times, in parts of the animation's length; trimesh shows the first only, as it plays nothing.
    """
    files = [AnimatedGlb(path) for path in paths]
    times = [[float(glb.key_times[-1]) * share for share in shares] for glb in files]
    reports = []
    for path, glb, marks, shown in zip(
        paths, files, times, positions(viewer, list(zip(paths, times, strict=True)), shots), strict=True
    ):
        tolerance = BLENDER_SKIN_TOLERANCE if viewer == "blender" and glb.document.skins else TOLERANCE
        worst = 0.0
        for moment, theirs in zip(marks, shown["positions"], strict=viewer != "trimesh"):
            ours = glb.vertices(moment)
            size = float(np.linalg.norm(np.ptp(ours, axis=0)))
            worst = max(worst, _distance(viewer, ours, np.asarray(theirs).reshape(-1, 3)) / size)
        reports.append(
            {
                "viewer": viewer,
                "path": str(path),
                "largest_error": worst,
                "messages": shown["messages"],
                "ok": worst <= tolerance,
            }
        )
    return reports


def positions(
    viewer: str, jobs: Sequence[tuple[Path, Sequence[float]]], shots: Path | None = None
) -> list[dict[str, Any]]:
    """What one process of the viewer shows of files at times: {"positions": [[x, y, z, x, ...] per time], "messages"}.

    Blender and Godot have an order of vertices of their own.
    """
    if viewer == "trimesh":
        return [{"positions": [_at_rest(path)], "messages": []} for path, _ in jobs]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = []
        for number, (path, times) in enumerate(jobs):
            entry = {"model": str(path.resolve()), "output": str(folder / f"out_{number}.json"), "times": list(times)}
            if viewer == "godot":
                shutil.copy(path, folder / f"{number}.glb")
                entry["model"] = f"res://{number}.glb"
            plan.append(entry | {"shots": str(shots / path.stem) if shots else None})
        list_file = folder / "jobs.json"
        list_file.write_text(json.dumps(plan))
        if viewer == "three":
            _run(["node", str(HERE / "three_positions.mjs"), str(list_file)])
        elif viewer == "blender":
            script = ["--factory-startup", "--python-exit-code", "1", "--python", str(HERE / "blender_positions.py")]
            _run(["blender", "--background", *script, "--", str(list_file)])
        else:
            shutil.copy(HERE / "godot_project.godot", folder / "project.godot")
            shutil.copy(HERE / "godot_positions.gd", folder)
            home = folder / "home"
            home.mkdir()
            apart = os.environ | {"HOME": str(home)}  # its settings and caches
            _import_in_godot(folder, len(jobs), apart)
            _run([GODOT, "--path", str(folder), "--script", "godot_positions.gd"], apart)
        return [json.loads(Path(entry["output"]).read_text()) for entry in plan]


def _import_in_godot(folder: Path, count: int, environment: dict[str, str]) -> None:
    """Starts the editor, which imports what it finds, and ends it then: by itself it stays, whatever it is told."""
    ends = time.monotonic() + 600
    with subprocess.Popen(
        [GODOT, "--path", str(folder), "--editor", "--quit"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as editor:
        while editor.poll() is None and time.monotonic() < ends:
            if len(list((folder / ".import").glob("*.md5"))) == count:  # written last
                break
            time.sleep(0.2)
        editor.kill()


def _at_rest(path: Path) -> np.ndarray:
    scene = trimesh.load_scene(path, process=False, maintain_order=True)
    placed = []
    for node in scene.graph.nodes_geometry:
        matrix, geometry = scene.graph[node]
        placed.append(trimesh.transform_points(scene.geometry[geometry].vertices, matrix))
    return max(placed, key=lambda points: float(np.ptp(points)))  # parts that are not shown are shrunk to a point


def _distance(viewer: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    if viewer == "three":  # keeps our order
        if ours.shape != theirs.shape:
            return float("inf")
        return float(np.linalg.norm(ours - theirs, axis=1).max())
    if len(theirs) == 0:
        return float("inf")
    # The others reorder and may merge seams: every vertex of either must have a partner in the other.
    there = cKDTree(theirs).query(ours)[0].max()
    back = cKDTree(ours).query(theirs)[0].max()
    return float(max(there, back))


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=3600, check=False, env=environment, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glb", nargs="+", type=Path)
    parser.add_argument("--shots", type=Path, help="folder for three.js screenshots")
    options = parser.parse_args()
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    failed = False
    for path in options.glb:
        for viewer in VIEWERS:
            if not is_available(viewer):
                print(json.dumps({"viewer": viewer, "path": str(path), "skipped": "not installed"}))
                continue
            why = cannot_read(viewer, AnimatedGlb(path))
            if why is not None:
                print(json.dumps({"viewer": viewer, "path": str(path), "cannot_read": why}))
                continue
            report = validate(path) if viewer == "validator" else compare(viewer, path, options.shots)
            print(json.dumps(report))
            failed |= not report["ok"]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
