"""Table 3 of the paper: the first keyframe's mesh traced through a sequence, judged by its renders and its points."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.pieces import Pieces
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.evaluation.drawing import draw_coloured
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import Cell, Scores, mean_scores, picture_scores, tables
from lim_cli.evaluation.sequences import TracedCase
from lim_cli.evaluation.strips import Row
from lim_cli.evaluation.surface_points import carried_points
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.metrics.alignment import Similarity
from lim_cli.metrics.chamfer import chamfer_3d, chamfer_motion, chamfer_sequence
from lim_cli.stages import keyframes as keyframes_stage
from lim_cli.stages import refine, track
from lim_cli.stages.config import RefinementConfig
from lim_cli.stages.networks import Networks
from lim_cli.stages.surface import FieldQuery, agreeing_level, triplane_surface

OURS, NEAREST, STILL = "ours", "nearest neighbour", "standing still"
SHOWN_STEPS = (4, 6, 8)
"""Counted from 1, as the paper does; of a shorter sequence the last step is shown instead."""
POINTS = 4096
VERTICES = 6000


def compare_tracking(
    networks: Networks, cases: Iterable[TracedCase], *, refine_seconds: float = 0.0, progress: Progress | None = None
) -> Report:
    """Three ways to carry one mesh through time: ours, the paper's nearest neighbours, and standing still.

    All start from the same mesh with the same colours (the first triplane's, at the vertices), and see the same
    triplanes, brought closer to the pictures for `refine_seconds` (nominal, a clip) first. Pictures: novel views
    at SHOWN_STEPS. cd_3d, cd_4d, cd_motion: over all steps, fractions of the object's size; only cd_3d is aligned
    (step by step), since the input is posed.
    """
    progress = progress or SilentProgress()
    scores: Scores = {}
    rows, singles = [], []
    with progress.task("Comparing ways to trace", None) as task:
        for case in cases:
            tracks, colours = trace(networks, case, refine_seconds=refine_seconds, progress=progress)
            steps = [min(step, len(case.truth)) - 1 for step in SHOWN_STEPS]
            group = scores.setdefault((case.group, ""), {name: [] for name in tracks})
            drawn = {
                name: np.stack([draw_coloured(found.at(step), colours, case.novel) for step in steps])
                for name, found in tracks.items()
            }
            for name, pictures in drawn.items():
                truth = case.truth[steps]
                cells = picture_scores(pictures.reshape(-1, *pictures.shape[2:]), truth.reshape(-1, *truth.shape[2:]))
                group[name].append({**cells, **distances(tracks[name], case)})
            singles.append({"case": case.name} | {name: mean_scores([group[name][-1]]) for name in tracks})
            rows += [
                Row(f"{case.name}, step {step + 1}", [case.truth[step, 0], *(drawn[name][n, 0] for name in drawn)])
                for n, step in enumerate(steps)
            ]
            task.advance()
    notes = [
        f"Pictures are those of steps {', '.join(map(str, SHOWN_STEPS))}; all rows share first mesh and colours.",
        f"'{OURS}' also follows the input's pixels and mattes, which '{NEAREST}' does not use after step 1.",
    ]
    if refine_seconds > 0:
        notes.append(f"All rows use triplanes that were refined for {refine_seconds:g} nominal seconds a clip.")
    return Report(tables(scores), notes=notes, cases=singles, columns=["truth", OURS, NEAREST, STILL], strip=rows)


def trace(
    networks: Networks, case: TracedCase, *, refine_seconds: float = 0.0, progress: Progress | None = None
) -> tuple[dict[str, TrackedMesh], np.ndarray]:
    """Row -> the traced mesh at every keyframe (model frame), and the vertices' colours [vertex, 3] in [0, 1]."""
    with tempfile.TemporaryDirectory(prefix="lim-") as temporary:
        folder, refined = Path(temporary, "keyframes"), Path(temporary, "refined")
        keyframes_stage.run(case.views, networks, Pieces(folder), progress=progress)
        keyframes = KeyframesArtifact.load(folder)
        if refine_seconds > 0:
            seconds = RefinementConfig(seconds=refine_seconds)
            refine.run(keyframes, case.views, seconds, networks, Pieces(refined), progress=progress)
            keyframes = KeyframesArtifact.load(folder, refined)
        config = track.TrackConfig(vertices=VERTICES)
        ours = track.run(keyframes, case.views, None, keyframes.times, config, networks, progress=progress).track
        first = keyframes.output(0, networks.device).triplane[0]
        colours = FieldQuery(networks.lrm.field, first).values(ours.vertices[0])
        nearest = _nearest_neighbours(networks, keyframes, case, ours.at(0), colours)
    still = np.repeat(ours.vertices[:1], len(ours.vertices), 0)
    rows = {OURS: ours.vertices, NEAREST: nearest, STILL: still}
    return {name: TrackedMesh(vertices, ours.faces, ours.times) for name, vertices in rows.items()}, colours


def _nearest_neighbours(
    networks: Networks, keyframes: KeyframesArtifact, case: TracedCase, first: Mesh, colours: np.ndarray
) -> np.ndarray:
    """The paper's baseline: each vertex goes to the nearest surface point in position and colour."""
    field = networks.lrm.field
    mattes = case.views.rgba[0, ..., 3] > 127
    vertices, result = first.vertices, [first.vertices]
    level = 0.0
    for k in range(len(keyframes)):
        triplane = keyframes.output(k, networks.device).triplane[0]
        if k == 0:
            level = agreeing_level(field, triplane, case.views.cameras_at(0), mattes)
            continue
        surface = triplane_surface(field, triplane, resolution=96, level=level).vertices
        seen = FieldQuery(field, triplane).values(surface)
        _, index = cKDTree(np.concatenate([surface, seen], 1)).query(np.concatenate([vertices, colours], 1))
        vertices = surface[index]
        result.append(vertices)
    return np.stack(result)


def distances(traced: TrackedMesh, case: TracedCase) -> dict[str, Cell]:
    """CD-3D, CD-4D and CD-M in the world frame, fractions of the object's size.

    Points drawn by area on the first mesh are carried along and compared with the true tracks.
    """
    world = case.views.world_from_model
    points = (carried_points(traced, POINTS) @ world[:3, :3].T + world[:3, 3]) / case.size
    truth = case.tracks / case.size
    posed = Similarity(1.0, np.eye(3), np.zeros(3))
    return {
        "cd_3d": chamfer_3d(points, truth, all_rotations=False),
        "cd_4d": chamfer_sequence(points, truth, posed),
        "cd_motion": chamfer_motion(points, truth, posed),
    }
