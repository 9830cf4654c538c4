"""How pictures are judged, the same in every table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor

from lim_cli.core.errors import MissingError
from lim_cli.metrics.flip import flip
from lim_cli.metrics.image import mask_iou, psnr, psnr_foreground, ssim
from lim_cli.metrics.perceptual import Lpips

NO_BACKBONE = "no backbone"
NO_FOREGROUND = "no foreground"
EQUAL = 100.0
"""PSNR of equal pictures, and the most that any counts, in dB."""
Cell = float | str
"""A figure, or why there is none."""


def on_white(rgba: np.ndarray) -> tuple[Tensor, Tensor]:
    """Straight-alpha pictures [view, h, w, 4] uint8 -> rgb on white [view, 3, h, w] and mask [view, h, w] in [0, 1]."""
    picture = torch.from_numpy(rgba).float().movedim(-1, 1) / 255
    mask = picture[:, 3]
    return picture[:, :3] * mask[:, None] + 1 - mask[:, None], mask


def picture_scores(rendered: np.ndarray, truth: np.ndarray) -> dict[str, Cell]:
    """Means over the views of PSNR, PSNR_FG, SSIM, mask IoU, FLIP and LPIPS; pictures [view, h, w, 4] uint8, on white.

    Views in which the truth has no foreground do not count for PSNR_FG, which is text where none has. LPIPS is text
    where its backbone is absent.
    """
    (image, opacity), (true, mask) = on_white(rendered), on_white(truth)
    foreground = psnr_foreground(image, true, mask)
    seen = foreground[~foreground.isnan()].clamp(max=EQUAL)
    cells: dict[str, Cell] = {
        "psnr": float(psnr(image, true).clamp(max=EQUAL).mean()),
        "psnr_fg": float(seen.mean()) if len(seen) else NO_FOREGROUND,
        "ssim": float(ssim(image, true).mean()),
        "iou": float(mask_iou(opacity, mask).mean()),
        "flip": float(flip(image, true).mean()),
    }
    lpips = _lpips()
    cells["lpips"] = float(lpips(image, true).mean()) if lpips is not None else NO_BACKBONE
    return cells


def mean_scores(rows: Iterable[Mapping[str, Cell]]) -> dict[str, Cell]:
    """Column means over the figures, to four digits; a column of nothing but text stays as it is."""
    rows = list(rows)
    means: dict[str, Cell] = {}
    for name in rows[0]:
        figures = [value for row in rows if isinstance(value := row[name], float)]
        means[name] = round(float(np.mean(figures)), 4) if figures else rows[0][name]
    return means


Scores = dict[tuple[str, str], dict[str, list[dict[str, Cell]]]]
"""(set of cases, what the sets are told apart by beside, such as ", alpha 0.5") -> row -> one entry a case"""


def tables(scores: Scores) -> dict[str, dict[str, dict[str, Cell]]]:
    """Means per group; where there are several sets also the means over all their cases."""
    result = {group + beside: _means(by) for (group, beside), by in scores.items()}
    for beside in dict.fromkeys(beside for _, beside in scores):
        together = [by for (_, other), by in scores.items() if other == beside]
        if len(together) > 1:
            shared = [name for name in together[0] if all(name in by for by in together)]
            result["all" + beside] = _means({name: [r for by in together for r in by[name]] for name in shared})
    return result


def _means(by: Mapping[str, list[dict[str, Cell]]]) -> dict[str, dict[str, Cell]]:
    return {name: mean_scores(rows) for name, rows in by.items()}


@cache
def _lpips() -> Lpips | None:
    try:
        return Lpips()
    except MissingError:
        return None
