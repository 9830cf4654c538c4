"""Table 1 of the paper: ways to interpolate judged on novel views of the true instants between two keyframes.

Further LIMs as further rows make Tables 2 (causal loss) and 6 (blocks).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from lim_cli.core.progress import Progress, SilentProgress
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
    progress: Progress | None = None,
) -> Report:
    """Every method's picture scores by group of cases and alpha; one strip row per case and alpha.

    more: names and folders of further LIMs. ceilings: rows of what moving planes could reach, too. neighbours: a row of
    LIM that is also shown the keyframes beyond both ends.

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
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    rows, singles = [], []
    with progress.task("Comparing interpolations", None) as task:
        for case in cases:
            ends = Ends(networks, case)
            _ = ends.source, ends.target  # before any clock starts
            if neighbours:
                _ = ends.before, ends.after
            for middle in case.middles:
                group = scores.setdefault((case.group, f", alpha {middle.alpha:g}"), {name: [] for name in methods})
                pictures = [middle.truth[0]]
                for name, method in methods.items():
                    began = time.perf_counter()
                    triplane = method(ends, middle.alpha)
                    _wait_for(networks.device)
                    seconds[name].append(time.perf_counter() - began)
                    rendered = render_view(networks.lrm.field, triplane, case.novel, samples=samples).rgba()
                    group[name].append(picture_scores(rendered, middle.truth))
                    pictures.append(rendered[0])
                singles.append(
                    {"case": case.name, "alpha": middle.alpha}
                    | {name: mean_scores(group[name][-1:]) for name in methods}
                )
                rows.append(Row(f"{case.name}, alpha {middle.alpha:g}", pictures))
            task.advance()
    result = tables(scores)
    notes = [
        *_closed(result, [name for name in methods if name not in (LINEAR, FLOW, ORACLE)]),
        *_speed(seconds, list(lims)),
    ]
    return Report(result, notes=notes, cases=singles, columns=["truth", *methods], strip=rows)


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


def _speed(seconds: Mapping[str, list[float]], lims: list[str]) -> list[str]:
    """Medians without the first frame, which warms up."""
    typical = {name: float(np.median(taken[1:] or taken)) for name, taken in seconds.items()}
    return [
        f"One more frame: {name} {typical[name]:.2f} s, {FLOW} {typical[FLOW]:.2f} s, "
        f"{typical[FLOW] / typical[name]:.1f} times as long (median of {len(seconds[name])}, "
        f"{torch.get_num_threads()} CPU thread{'s' if torch.get_num_threads() > 1 else ''})."
        for name in lims
    ]


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
