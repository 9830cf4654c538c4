"""The camera estimator on clips it never saw, beside the best constant guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.animated_object import AnimatedObject
from lim_cli.data.asset_library import LibraryItem, motion_figures
from lim_cli.data.camera_samples import HIGHEST, LOWEST, camera_of_crop, random_field_of_view, random_pose
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigged_object import RiggedObject
from lim_cli.data.rigs import random_light
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import Cell
from lim_cli.models.camera import CameraEstimator
from lim_cli.stages.input_camera import estimate
from lim_cli.video.clip import Clip
from lim_cli.video.cropping import square_crop

FRAMES = 8
DRAWN = 160
"""Pixels on a side of the pictures that clips are cut from."""
ANGLES = ("elevation", "field_of_view")


def camera_errors(
    estimator: CameraEstimator, count: int, assets: Sequence[Path] = (), *, progress: Progress | None = None
) -> Report:
    """Mean absolute errors, degrees, on `count` clips of every group: procedural objects, and all assets together.

    Elevations from -10 to 45 and focal lengths from 25 to 90 mm, all equally likely. Rows: the estimator; the constant
    that is best in hindsight, the median of what is true. `within`: share of the clips whose true elevation lies within
    the estimator's own standard deviation; where the odds are right, about two thirds do.

    Raises:
        InputError: an asset cannot be read, or nothing in it moves.
    """
    progress = progress or SilentProgress()
    procedural: list[AnimatedObject] = [ProceduralObject.draw(_rng(11, n)) for n in range(count)]
    groups = [("procedural", procedural)]
    if assets:
        groups.append(("assets", list(_asset_objects(assets, count))))
    result: dict[str, dict[str, dict[str, Cell]]] = {}
    cases: list[dict[str, Any]] = []
    with progress.task("Judging the camera estimator", count * len(groups)) as task:
        for group, objects in groups:
            mine = []
            for number, source in enumerate(objects):
                rgba, elevation, field_of_view = drawn_clip(source, _rng(12, number))
                found = estimate(rgba, estimator)
                mine.append(
                    {
                        "group": group,
                        "elevation": elevation,
                        "field_of_view": field_of_view,
                        "estimated_elevation": found.elevation,
                        "estimated_field_of_view": found.field_of_view,
                        "elevation_spread": found.elevation_spread,
                    }
                )
                task.advance()
            result[group] = _table(mine)
            cases += [{k: round(v, 2) if isinstance(v, float) else v for k, v in case.items()} for case in mine]
    return Report(result, cases=cases)


def drawn_clip(source: AnimatedObject, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """A clip as the stages have it after the crop [time, size, size, 4] uint8, its elevation and field of view."""
    gap = rng.uniform(0.2, 0.8)
    phases = rng.uniform(0, 1 - gap) + gap * np.linspace(0, 1, FRAMES)
    poses = source.normalised(phases, 0.95).poses(phases)
    field_of_view = random_field_of_view(rng)
    pose = random_pose(rng, float(rng.uniform(LOWEST, HIGHEST)), field_of_view)
    focal = 0.5 * DRAWN / np.tan(np.radians(field_of_view) / 2)
    intrinsics = np.array([focal, focal, DRAWN / 2, DRAWN / 2], np.float32)
    light = random_light(rng)
    pictures = [p.render(pose, intrinsics, (DRAWN, DRAWN), light, p)[0] for p in poses]
    rgba = (np.clip(np.stack(pictures), 0, 1) * 255 + 0.5).astype(np.uint8)
    clip = Clip(rgba, np.arange(FRAMES, dtype=np.float64), True, "drawn", np.arange(FRAMES))
    cropped, crop = square_crop(clip, size=128)
    return cropped.rgba, *camera_of_crop(pose, float(focal), crop)


def _table(cases: Sequence[dict[str, Any]]) -> dict[str, dict[str, Cell]]:
    estimated: dict[str, Cell] = {}
    constant: dict[str, Cell] = {}
    for angle in ANGLES:
        truth = np.array([case[angle] for case in cases])
        found = np.array([case[f"estimated_{angle}"] for case in cases])
        estimated[f"{angle}_error"] = round(float(np.abs(found - truth).mean()), 2)
        constant[f"{angle}_error"] = round(float(np.abs(np.median(truth) - truth).mean()), 2)
    inside = [abs(c["estimated_elevation"] - c["elevation"]) <= c["elevation_spread"] for c in cases]
    estimated["within"] = round(float(np.mean(inside)), 2)
    constant["within"] = "no spread"
    return {"estimated": estimated, "best constant": constant}


def _asset_objects(files: Sequence[Path], count: int) -> Iterator[AnimatedObject]:
    """`count` moving animations, the files taking turns."""
    from lim_cli.data.gltf_reading import read_rig

    items = []
    for file in files:
        rig = read_rig(file, texture_size=256)
        item = LibraryItem(rig, motion_figures(rig))
        if not item.moving:
            raise InputError(f"Nothing moves in {file}; give a .glb file with an animation.")
        items.append(item)
    for number in range(count):
        item, rng = items[number % len(items)], _rng(13, number)
        yield RiggedObject(item.rig, item.moving[int(rng.integers(len(item.moving)))], yaw=float(rng.uniform(0, 360)))


def _rng(kind: int, number: int) -> np.random.Generator:
    """Seeds that training never takes."""
    return np.random.default_rng([2, 0, kind, number])
