"""Table 1 of the paper: ways to interpolate judged on novel views of the true instants between two keyframes.

Further LIMs as further rows make Tables 2 (causal loss) and 6 (blocks).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.core.threads import as_they_come, thread_count
from lim_cli.evaluation.cases import Case
from lim_cli.evaluation.methods import (
    FLOW,
    IN_A_CLIP,
    LINEAR,
    ORACLE,
    SMOOTH,
    STRAIGHT,
    TRUE_MOTION,
    Ends,
    Interpolator,
    Method,
    flow_and_lrm,
    interpolators,
    linear,
    oracle,
    smooth,
    straight,
    true_motion,
)
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import Cell, Scores, mean_scores, picture_scores, tables
from lim_cli.evaluation.strips import Row
from lim_cli.stages.networks import Networks
from lim_cli.stages.render import render_view

SAMPLES = 96
LEAST_GAP = 0.5
"""dB from Linear to the Oracle below which a share of the way would say nothing."""


def compare(
    networks: Networks,
    cases: Iterable[Case],
    *,
    more: Mapping[str, Path] | None = None,
    ceilings: bool = False,
    neighbours: bool = False,
    samples: int = SAMPLES,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Every method's picture scores by group of cases and alpha; one strip row per case and alpha.

    more: names and folders of further LIMs. ceilings: rows of what moving planes could reach, too. neighbours: a row of
    LIM that is also shown the keyframes beyond both ends. jobs: cases at a time, which share the cores.

    Notes: how far LIM comes from Linear to the Oracle, and how long one more frame takes each method (both keyframes
    encoded already, rendering left out).
    """
    progress = progress or SilentProgress()
    lims = interpolators(networks, more or {})
    methods: dict[str, Method] = {LINEAR: linear, FLOW: flow_and_lrm, **lims}
    methods |= {IN_A_CLIP: Interpolator(networks.lim, neighbours=True)} if neighbours else {}
    if ceilings:
        methods |= {STRAIGHT: straight, SMOOTH: smooth, TRUE_MOTION: true_motion}
    methods[ORACLE] = oracle
    scores: Scores = {}
    found: list[_Judged] = []

    def judge(case: Case) -> list[_Judged]:
        return _judged(networks, methods, case, neighbours=neighbours, samples=samples)

    threads = max(1, thread_count() // jobs) if jobs > 1 else torch.get_num_threads()
    with progress.task("Comparing interpolations", None) as task:
        for judged in as_they_come(judge, cases, jobs, ready=partial(torch.set_num_threads, threads)):
            for one in judged:
                group = scores.setdefault((one.group, f", alpha {one.alpha:g}"), {name: [] for name in methods})
                for name, cells in one.scores.items():
                    group[name].append(cells)
            found += judged
            task.advance()
    result = tables(scores)
    notes = [
        *_closed(result, [name for name in methods if name not in (LINEAR, FLOW, ORACLE)]),
        *_speed([one.seconds for one in found], list(lims), threads, jobs),
    ]
    singles = [
        {"case": one.name, "alpha": one.alpha} | {name: mean_scores([cells]) for name, cells in one.scores.items()}
        for one in found
    ]
    rows = [Row(f"{one.name}, alpha {one.alpha:g}", one.pictures) for one in found]
    return Report(result, notes=notes, cases=singles, columns=["truth", *methods], strip=rows)


@dataclass(frozen=True)
class _Judged:
    """One instant between two keyframes: of every method its scores and how long it took, and the truth and all

    methods in the first novel view.
    """

    group: str
    name: str
    alpha: float
    scores: dict[str, dict[str, Cell]]
    seconds: dict[str, float]
    pictures: list[np.ndarray]


@torch.no_grad()
def _judged(
    networks: Networks, methods: Mapping[str, Method], case: Case, *, neighbours: bool, samples: int
) -> list[_Judged]:
    ends = Ends(networks, case)
    _ = ends.source, ends.target  # before any clock starts
    if neighbours:
        _ = ends.before, ends.after
    found = []
    for middle in case.middles:
        one = _Judged(case.group, case.name, middle.alpha, {}, {}, [middle.truth[0]])
        for name, method in methods.items():
            began = time.perf_counter()
            triplane = method(ends, middle.alpha)
            _wait_for(networks.device)
            one.seconds[name] = time.perf_counter() - began
            rendered = render_view(networks.lrm.field, triplane, case.novel, samples=samples).rgba()
            one.scores[name] = picture_scores(rendered, middle.truth)
            one.pictures.append(rendered[0])
        found.append(one)
    return found


def _closed(result: Mapping[str, Mapping[str, Mapping[str, Cell]]], names: list[str]) -> list[str]:
    """How much of the way from Linear to the Oracle each of them comes."""
    notes = []
    for group, table in result.items():
        for name in names:
            parts = []
            for metric, label in (("psnr", "PSNR"), ("psnr_fg", "PSNR_FG")):
                low, here, high = (table[row][metric] for row in (LINEAR, name, ORACLE))
                if isinstance(low, str) or isinstance(here, str) or isinstance(high, str):
                    continue
                if high - low > LEAST_GAP:
                    parts.append(f"{100 * (here - low) / (high - low):.0f} % in {label}")
            if parts:
                notes.append(f"{group}: {name} closes {' and '.join(parts)} of the way from Linear to the Oracle.")
    return notes


def _speed(seconds: Sequence[Mapping[str, float]], lims: list[str], threads: int, jobs: int) -> list[str]:
    """Medians without the first frame, which warms up."""
    warm = seconds[1:] or seconds
    typical = {name: float(np.median([taken[name] for taken in warm])) for name in (FLOW, *lims)}
    beside = f", {jobs} at a time" if jobs > 1 else ""
    return [
        f"One more frame: {name} {typical[name]:.2f} s, {FLOW} {typical[FLOW]:.2f} s, "
        f"{typical[FLOW] / typical[name]:.1f} times as long (median of {len(seconds)}, "
        f"{threads} CPU thread{'s' if threads > 1 else ''}{beside})."
        for name in lims
    ]


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
