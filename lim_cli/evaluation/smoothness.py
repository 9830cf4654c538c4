"""How evenly a motion passes between two keyframes: many alphas rendered, and the steps between them compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.evaluation.cases import Case
from lim_cli.evaluation.methods import LINEAR, Ends, Method, interpolators, linear
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import Cell, Scores, on_white, tables
from lim_cli.evaluation.strips import Row
from lim_cli.stages.networks import Networks
from lim_cli.stages.render import render_view

ALPHAS = tuple(float(a) for a in np.linspace(0, 1, 33))
TRUTH = "truth"
_SHOWN = (0, 8, 16, 24, 32)


def compare_smoothness(
    networks: Networks, cases: Iterable[Case], *, more: Mapping[str, Path] | None = None, samples: int = 64,
    progress: Progress | None = None,
) -> Report:  # fmt: skip
    """Per group the mean over its cases of two figures of the steps between 33 equally spaced alphas.

    A step is the mean absolute difference of two successive pictures of the first novel view (on white); the ends are
    the keyframes' own triplanes, as in a reconstruction. unevenness: the largest step over the median step, 1 for an
    even motion. jump_at_keyframe: the larger of the first and the last step over the median step. A row of the true
    motion is there where the cases know it. Curves: the steps of every case, in hundredths of the brightness range.
    """
    progress = progress or SilentProgress()
    methods: dict[str, Method] = {LINEAR: linear, **interpolators(networks, more or {})}
    figures: Scores = {}
    curves: dict[str, dict[str, list[float]]] = {}
    rows = []
    with progress.task("Judging smoothness", None) as task:
        for case in cases:
            films = {name: _film(networks, Ends(networks, case), method, samples) for name, method in methods.items()}
            if len(case.middles) == len(ALPHAS):
                films[TRUTH] = np.stack([middle.truth[0] for middle in case.middles])
            group = figures.setdefault((case.group, ""), {name: [] for name in films})
            for name, film in films.items():
                steps = film_steps(film)
                group[name].append(evenness(steps))
                curves.setdefault(case.name, {})[name] = [round(100 * float(step), 4) for step in steps]
                rows.append(Row(f"{name}: {case.name}", list(film[list(_SHOWN)])))
            task.advance()
    columns = [f"alpha {ALPHAS[n]:g}" for n in _SHOWN]
    return Report(tables(figures), curves=curves, columns=columns, strip=rows)


def _film(networks: Networks, ends: Ends, method: Method, samples: int) -> np.ndarray:
    """The first novel view at all alphas: [alpha, h, w, 4] uint8."""
    camera = ends.case.novel[:1]
    pictures = []
    for alpha in ALPHAS:
        if alpha in (0.0, 1.0):
            triplane = (ends.source if alpha == 0.0 else ends.target).triplane[0]
        else:
            triplane = method(ends, alpha)
        pictures.append(render_view(networks.lrm.field, triplane, camera, samples=samples).rgba()[0])
    return np.stack(pictures)


def film_steps(film: np.ndarray) -> np.ndarray:
    """Mean absolute change from each picture to the next: [alpha - 1]."""
    shown, _ = on_white(film)
    return np.asarray(shown.diff(dim=0).abs().mean((1, 2, 3)).numpy())


def evenness(steps: np.ndarray) -> dict[str, Cell]:
    """The two figures of `compare_smoothness` for one film's steps."""
    typical = max(float(np.median(steps)), 1e-9)
    return {
        "unevenness": float(steps.max()) / typical,
        "jump_at_keyframe": float(max(steps[0], steps[-1])) / typical,
    }
