"""Table 1 of the paper: Linear, LIM and Oracle at alpha 0.5, judged on novel views of the true middle frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.evaluation.triplets import Triplet
from lim_cli.metrics.image import mask_iou, psnr, psnr_foreground, ssim
from lim_cli.models.lrm import LRMOutput
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks
from lim_cli.stages.render import render_view

Method = Callable[[Networks, tuple[LRMOutput, LRMOutput, LRMOutput], float], Tensor]
"""(networks, LRM's outputs at src, mid, tgt, alpha) -> triplane [3, channel, h, w] at alpha."""


def linear(_: Networks, outputs: tuple[LRMOutput, LRMOutput, LRMOutput], alpha: float) -> Tensor:
    """The blend of both ends' triplanes."""
    return torch.lerp(outputs[0].triplane[0], outputs[2].triplane[0], alpha)


def interpolator(networks: Networks, outputs: tuple[LRMOutput, LRMOutput, LRMOutput], alpha: float) -> Tensor:
    """LIM."""
    return Interval(networks, outputs[0], outputs[2]).triplane(alpha)


def oracle(_: Networks, outputs: tuple[LRMOutput, LRMOutput, LRMOutput], alpha: float) -> Tensor:
    """LRM on the true middle frame, which nobody else sees."""
    return outputs[1].triplane[0]


METHODS: dict[str, Method] = {"Linear": linear, "LIM": interpolator, "Oracle (LRM)": oracle}


def compare(
    networks: Networks,
    triplets: Iterable[Triplet],
    *,
    samples: int = 96,
    strips: list[np.ndarray] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, float]]:
    """Mean PSNR, PSNR_FG, SSIM and mask IoU of every method over the triplets' novel views, white background.

    strips: if given, collects one picture row per triplet: truth, then every method, first novel view.
    """
    progress = progress or SilentProgress()
    scores: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    with progress.task("Comparing interpolations", None) as task:
        for triplet in triplets:
            outputs = tuple(networks.encode(rgba, triplet.cameras) for rgba in triplet.rgba)
            truth, mask = _on_white(triplet.truth)
            row = [truth[0]]
            for name, method in METHODS.items():
                triplane = method(networks, outputs, triplet.alpha)  # type: ignore[arg-type]
                rendered, opacity = _render(networks, triplane, triplet, samples)
                values = [psnr(rendered, truth), psnr_foreground(rendered, truth, mask), ssim(rendered, truth),
                          mask_iou(opacity, mask)]  # fmt: skip
                scores[name].append([float(v.mean()) for v in values])
                row.append(rendered[0])
            if strips is not None:
                strips.append((torch.cat(row, -1).movedim(0, -1).clamp(0, 1) * 255).byte().numpy())
            task.advance()
    names = ("psnr", "psnr_fg", "ssim", "iou")
    return {
        method: {n: round(float(np.mean([r[i] for r in rows])), 4) for i, n in enumerate(names)}
        for method, rows in scores.items()
    }


def _render(networks: Networks, triplane: Tensor, triplet: Triplet, samples: int) -> tuple[Tensor, Tensor]:
    """Novel views of a triplane: rgb on white [view, 3, h, w], opacity [view, h, w]."""
    views = render_view(networks.lrm.field, triplane, triplet.truth_cameras, samples=samples)
    return _on_white(views.rgba())


def _on_white(rgba: np.ndarray) -> tuple[Tensor, Tensor]:
    picture = torch.from_numpy(rgba).float().movedim(-1, 1) / 255
    mask = picture[:, 3]
    return picture[:, :3] * mask[:, None] + 1 - mask[:, None], mask
