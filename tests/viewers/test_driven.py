"""Other people's readers take a model that was driven. Needs node, chromium and blender.

`pytest -m slow tests/viewers`; what to install stands in check_glb.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from bending_bar import LENGTH, curvature_at
from scipy.spatial import cKDTree
from user_models import bar_model, tracked_bar

from lim_cli.artifacts.store import TrackArtifact, ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.stages.drive import DriveConfig, run

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))
POSED_AT = 2
TIMES = (0.0, 0.2, 0.5, 0.7)


@pytest.mark.slow
def test_viewers_show_the_driven_model(tmp_path: Path) -> None:
    import check_glb

    cameras = orbit_cameras([0.0], elevation=0, field_of_view=40, distance=4, size=(8, 8))
    views = ViewsArtifact(np.zeros((1, 1, 8, 8, 4), np.uint8), cameras, np.zeros(1), "posed", np.eye(4))
    model = bar_model(tmp_path / "user.glb", curvature_at(0.1 * POSED_AT))
    glb = tmp_path / "out.glb"
    run(TrackArtifact(tracked_bar()), views, DriveConfig(model.path, "yaw", POSED_AT), glb)
    missing = [viewer for viewer in ("validator", "three", "blender") if not check_glb.is_available(viewer)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    report = check_glb.validate(glb)
    assert (report["errors"], report["warnings"]) == (0, 0), report

    # All show one of the file's meshes where the bar truly is.
    for viewer in ("three", "blender"):
        [shown] = check_glb.positions(viewer, [(glb, TIMES)])
        for time, flat in zip(TIMES, shown["positions"], strict=True):
            points = np.asarray(flat).reshape(-1, 3)
            away = cKDTree(model.truth(curvature_at(time))).query(points)[0].max()
            assert away < 0.02 * model.scale * LENGTH, viewer
