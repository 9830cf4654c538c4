"""Compares our reading of GLB files with the Khronos validator, three.js and Blender.

    cd tests/viewers && npm install && cd ../..
    apt-get install -y chromium blender python3-numpy
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from lim_cli.export.glb_playback import AnimatedGlb

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-4
# Blender interpolates the four numbers of a quaternion one by one, which is not quite the arc between two rotations.
BLENDER_SKIN_TOLERANCE = 1e-3
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
VIEWERS = ("validator", "three", "blender")
SHARES = (0.0, 0.1, 0.31, 0.5, 0.77, 0.9, 1.0)


def is_available(viewer: str) -> bool:
    """Whether this machine has what the viewer needs."""
    if viewer == "blender":
        return shutil.which("blender") is not None
    modules = (HERE / "node_modules").is_dir() and shutil.which("node") is not None
    return modules and (viewer != "three" or Path(CHROMIUM).exists())


def validate(path: Path) -> dict[str, Any]:
    """The Khronos validator's counts and messages; `ok` when there is no error and no warning."""
    done = _run(["node", str(HERE / "validate_glb.mjs"), str(path)])
    report: dict[str, Any] = json.loads(done)
    return {"viewer": "validator", **report, "ok": report["errors"] == 0 and report["warnings"] == 0}


def compare(viewer: str, path: Path, shots: Path | None = None, *, shares: Sequence[float] = SHARES) -> dict[str, Any]:
    """Largest distance of the viewer's vertices from ours, in parts of the object's size.

    shares: the times, in parts of the animation's length.
    """
    glb = AnimatedGlb(path)
    times = [float(glb.key_times[-1]) * share for share in shares]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "positions.json"
        marks = [f"{time:.9f}" for time in times]
        if viewer == "three":
            prefix = [str(shots / path.stem)] if shots else []
            _run(["node", str(HERE / "three_positions.mjs"), str(path), str(output), *prefix, "--", *marks])
        else:
            script = [
                "--factory-startup",
                "--python-exit-code",
                "1",
                "--python",
                str(HERE / "blender_positions.py"),
            ]
            _run(["blender", "--background", *script, "--", str(path), str(output), *marks])
        result = json.loads(output.read_text())
    tolerance = BLENDER_SKIN_TOLERANCE if viewer == "blender" and glb.document.skins else TOLERANCE
    worst = 0.0
    for time, flat in zip(times, result["positions"], strict=True):
        ours, theirs = glb.vertices(time), np.asarray(flat).reshape(-1, 3)
        size = float(np.linalg.norm(np.ptp(ours, axis=0)))
        worst = max(worst, _distance(viewer, ours, theirs) / size)
    return {
        "viewer": viewer,
        "path": str(path),
        "largest_error": worst,
        "messages": result["messages"],
        "ok": worst <= tolerance,
    }


def _distance(viewer: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    if viewer == "three":  # keeps our order
        if ours.shape != theirs.shape:
            return float("inf")
        return float(np.linalg.norm(ours - theirs, axis=1).max())
    # Blender reorders and may merge seams: every vertex of either must have a partner in the other.
    there = cKDTree(theirs).query(ours)[0].max()
    back = cKDTree(ours).query(theirs)[0].max()
    return float(max(there, back))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
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
            report = validate(path) if viewer == "validator" else compare(viewer, path, options.shots)
            print(json.dumps(report))
            failed |= not report["ok"]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
