"""Other people's readers agree with ours. Needs node, chromium, blender and godot3-server.

`pytest -m slow tests/viewers`; what to install stands in check_glb.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bending_bar import bar_mesh, bending_bar

from lim_cli.export.gltf import write_glb
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.uv_atlas import unwrap

HERE = Path(__file__).resolve().parent


def half_resting(textured: TexturedTrack) -> TexturedTrack:
    vertices = textured.track.vertices.copy()
    rest = vertices[0][:, 1] < 0.4
    vertices[:, rest] = vertices[0][rest]
    track = TrackedMesh(vertices, textured.track.faces, textured.track.times)
    return TexturedTrack(track, textured.uv, textured.texture)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("glb")
    bar = bending_bar(*unwrap(bar_mesh(), 256))
    long = bending_bar(*unwrap(bar_mesh(), 256), frames=300, fps=60)
    still = TrackedMesh(np.repeat(bar.track.vertices[:1], 3, axis=0), bar.track.faces, bar.track.times[:3])
    write_glb(folder / "plain.glb", bar)
    write_glb(folder / "unlit_jpeg.glb", bar, unlit=True, texture_format="jpeg")
    write_glb(folder / "quantized.glb", bar, quantize=True)
    write_glb(folder / "sparse.glb", half_resting(bar), sparse=True)
    write_glb(folder / "quantized_sparse.glb", half_resting(bar), quantize=True, sparse=True)
    write_glb(folder / "still_sparse.glb", TexturedTrack(still, bar.uv, bar.texture), sparse=True)
    write_glb(folder / "one_frame.glb", bending_bar(*unwrap(bar_mesh(), 256), frames=1))
    write_glb(folder / "thinned.glb", long)
    write_glb(folder / "parts.glb", bar, max_targets=4)
    write_glb(folder / "parts_quantized_sparse.glb", half_resting(bar), max_targets=4, quantize=True, sparse=True)
    write_glb(folder / "skin.glb", bar, motion="skin", bones=8)
    write_glb(folder / "skin_quantized.glb", bar, motion="skin", bones=8, quantize=True)
    write_glb(folder / "skin_draco.glb", bar, motion="skin", bones=8, draco=True)
    write_glb(folder / "skin_one_frame.glb", bending_bar(*unwrap(bar_mesh(), 256), frames=1), motion="skin")
    files = [str(path) for path in sorted(folder.glob("*.glb"))]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent)}
    command = [sys.executable, str(HERE / "check_glb.py"), *files]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("viewer", "files"), [("validator", 14), ("three", 14), ("blender", 13), ("godot", 6), ("trimesh", 7)]
)
def test_viewer_agrees(reports: list[dict[str, object]], viewer: str, files: int) -> None:
    mine = [report for report in reports if report["viewer"] == viewer]
    if any("skipped" in report for report in mine):
        pytest.skip(f"{viewer} is not installed")
    read = [report for report in mine if "cannot_read" not in report]
    assert len(mine) == 14
    assert len(read) == files
    assert [report for report in read if not report["ok"]] == []
