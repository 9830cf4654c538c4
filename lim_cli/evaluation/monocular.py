"""Tables 4 and 5 of the paper: one camera, sixteen frames, four unseen views, and surfaces against true tracks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lim_cli.core.errors import MissingError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.evaluation.monocular_cases import MonocularCase
from lim_cli.evaluation.monocular_methods import OURS, POINTS, SINGLE, Method, Reconstruction
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import NO_BACKBONE, Cell, Scores, mean_scores, on_white, picture_scores, tables
from lim_cli.evaluation.strips import Row
from lim_cli.evaluation.surface_points import random_points
from lim_cli.metrics.alignment import align_similarity
from lim_cli.metrics.chamfer import chamfer_3d, chamfer_motion, chamfer_sequence
from lim_cli.metrics.perceptual import Fvd, Lpips
from lim_cli.video.clip import resize_rgba

LESS = 0.30
"""The bar for CD-4D and CD-M: this much below single-view LRM per frame."""
LARGEST_MOTION_ERROR = 0.25
"""The bar for CD-M, parts of the object's size."""
TRUTH = "truth"
OPTIONAL_METRICS = ("lpips", "fvd")
_SHOWN_VIEWS = (1, 3)
_DISTANCES = ("cd_4d", "cd_motion")


@dataclass(frozen=True)
class Judged:
    """One case's figures by row, its strip, and films on white [view, frame, h, w, 3] by row and of the truth, where

    every frame's truth is known and they are asked for.
    """

    group: str
    name: str
    cells: Mapping[str, Mapping[str, Cell]]
    strip: Sequence[Row]
    films: Mapping[str, np.ndarray]


def compare_monocular(
    methods: Mapping[str, Method],
    cases: Iterable[MonocularCase],
    *,
    require: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Every method's scores by group of cases; notes say whether the bars are met.

    Pictures: unlit meshes from the four unseen views at every frame whose truth is known, on white. cd_3d, cd_4d,
    cd_motion: parts of the object's size after alignment (see `distances`). seconds, cpu_seconds: a frame, of
    everything a method does with the clip, meshes included; the latter does not count waiting for other processes.
    LPIPS and FVD where their backbones are; otherwise a note says so.

    Raises:
        MissingError: a metric of `require` cannot be had here.
    """
    progress = progress or SilentProgress()
    fvd, notes = _optional_metrics(require)
    judged = []
    with progress.task("Comparing single-camera reconstructions", None) as task:
        for case in cases:
            judged.append(judge(methods, case, films=fvd is not None, progress=progress))
            task.advance()
    return summary(judged, fvd=fvd, notes=notes)


def judge(methods: Mapping[str, Method], case: MonocularCase, *, films: bool, progress: Progress) -> Judged:
    """Runs every method on one case."""
    cells: dict[str, dict[str, Cell]] = {}
    shown: dict[str, np.ndarray] = {}
    for name, method in methods.items():
        began = time.perf_counter(), time.process_time()
        found = method(case, progress)
        ended = time.perf_counter(), time.process_time()
        wall, cpu = ((end - start) / len(case.clip.times) for start, end in zip(began, ended, strict=True))
        shown[name] = np.stack([found.draw(frame, case.novel) for frame in case.shown])
        pictures, truth = (p.reshape(-1, *p.shape[2:]) for p in (shown[name], case.truth))
        scores = {**picture_scores(pictures, truth), **distances(found, case), "seconds": wall, "cpu_seconds": cpu}
        cells[name] = {metric: value for metric, value in scores.items() if value != NO_BACKBONE}
    whole = films and len(case.shown) == len(case.clip.times)
    made = {name: _films(drawn) for name, drawn in {TRUTH: case.truth, **shown}.items()} if whole else {}
    return Judged(case.group, case.name, cells, _strip(case, shown), made)


def summary(judged: Sequence[Judged], *, fvd: Fvd | None, notes: Sequence[str]) -> Report:
    """Means by group, and FVD over the films of a group."""
    scores: Scores = {}
    for one in judged:
        group = scores.setdefault((one.group, ""), {name: [] for name in one.cells})
        for name, cells in one.cells.items():
            group[name].append(dict(cells))
    result = tables(scores)
    for group_name in result if fvd is not None else ():
        films = [one.films for one in judged if one.films and group_name in (one.group, "all")]
        for name, cells in result[group_name].items() if films else ():
            shown, true = (np.concatenate([f[key] for f in films]) for key in (name, TRUTH))
            cells["fvd"] = round(fvd(shown, true), 1) if fvd is not None else NO_BACKBONE
    rows = list(judged[0].cells) if judged else []
    singles = [{"case": one.name} | {row: mean_scores([cells]) for row, cells in one.cells.items()} for one in judged]
    return Report(
        result,
        notes=[*_bars(result), *notes, _timing_note()],
        cases=singles,
        columns=["input", TRUTH, *rows],
        strip=[one.strip[len(one.strip) // 2] for one in judged],
        strips={one.name: one.strip for one in judged},
    )


def distances(found: Reconstruction, case: MonocularCase) -> dict[str, Cell]:
    """CD-3D, CD-4D and CD-M, parts of the object's size, after ActionBench's alignment.

    A similarity (one scale, rotation, translation), found by ICP from the orientation that the input camera gives:
    of every frame by itself for CD-3D, of the first frame for the others. CD-3D and CD-4D take fresh points of every
    frame's surface, CD-M those of the first frame carried along.
    """
    truth = case.tracks / case.size
    points = np.stack([random_points(mesh, POINTS) for mesh in found.meshes]) / case.size
    tracks = found.tracks / case.size
    return {
        "cd_3d": chamfer_3d(points, truth, all_rotations=False),
        "cd_4d": chamfer_sequence(points, truth, align_similarity(points[0], truth[0], all_rotations=False)),
        "cd_motion": chamfer_motion(tracks, truth, align_similarity(tracks[0], truth[0], all_rotations=False)),
    }


def _optional_metrics(require: Sequence[str]) -> tuple[Fvd | None, list[str]]:
    """FVD if it can be had, and a sentence for every metric that cannot."""
    notes, fvd = [], None
    for name in OPTIONAL_METRICS:
        try:
            if name == "lpips":
                Lpips()
            else:
                fvd = Fvd()
        except MissingError as error:
            if name in require:
                raise
            notes.append(f"No {name.upper()} column: {error}")
    return fvd, notes


def _bars(result: Mapping[str, Mapping[str, Mapping[str, Cell]]]) -> list[str]:
    """Whether each group meets the bars."""
    notes = []
    for group, table in result.items():
        if OURS not in table:
            continue
        parts = []
        for metric, label in zip(_DISTANCES, ("CD-4D", "CD-M"), strict=True):
            ours = float(table[OURS][metric])
            if SINGLE in table:
                less = 1 - ours / float(table[SINGLE][metric])
                said = "met" if less >= LESS else "missed"
                parts.append(f"{label} {100 * less:.0f} % below {SINGLE} (bar {100 * LESS:.0f} %: {said})")
        motion = float(table[OURS]["cd_motion"])
        said = "met" if motion < LARGEST_MOTION_ERROR else "missed"
        parts.append(f"CD-M {motion:.3f} of the object's size (bar {LARGEST_MOTION_ERROR:g}: {said})")
        notes.append(f"{group}: {OURS} has {', '.join(parts)}.")
    return notes


def _timing_note() -> str:
    threads = torch.get_num_threads()
    plural = "s" if threads > 1 else ""
    return f"Seconds are those of a frame, {threads} CPU thread{plural}; cpu_seconds leave out what others took."


def _strip(case: MonocularCase, shown: Mapping[str, np.ndarray]) -> list[Row]:
    """First, middle and last frame known, from two unseen views in turn."""
    last = len(case.shown) - 1
    rows = []
    for number, n in enumerate(dict.fromkeys((0, last // 2, last))):
        view = _SHOWN_VIEWS[number % len(_SHOWN_VIEWS)]
        side = case.truth.shape[2]
        seen = resize_rgba(case.clip.rgba[case.shown[n]], (side, side))
        pictures = [seen, case.truth[n, view], *(drawn[n, view] for drawn in shown.values())]
        rows.append(Row(f"{case.name}, frame {case.shown[n] + 1}", pictures))
    return rows


def _films(drawn: np.ndarray) -> np.ndarray:
    """[frame, view, h, w, 4] -> films on white [view, frame, h, w, 3] uint8."""
    frames, views = drawn.shape[:2]
    rgb, _ = on_white(drawn.reshape(-1, *drawn.shape[2:]))
    pictures = (rgb.movedim(1, -1).numpy() * 255 + 0.5).astype(np.uint8)
    return pictures.reshape(frames, views, *pictures.shape[1:]).swapaxes(0, 1)
