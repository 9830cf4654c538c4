"""Held-out figures of the view generator, and of what tells its errors without the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

from lim_cli.core.device import generator
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import Rig, mono_rig, random_light
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import Cell
from lim_cli.evaluation.strips import Row
from lim_cli.geometry.view_agreement import view_agreement
from lim_cli.metrics.image import mask_iou, psnr_foreground
from lim_cli.stages.harmony import harmonised
from lim_cli.stages.networks import Networks
from lim_cli.stages.views import agreement_score, as_bytes, matte_certainty, steps_of

SIZE = 128
FEWEST_RANKED = 8
"""Cases below which a rank correlation is not worth saying."""


@torch.no_grad()
def view_quality(
    networks: Networks,
    count: int,
    *,
    frames: int = 8,
    steps: int | None = None,
    tries: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Generated views of held-out procedural clips against the truth; strip: truth over generated.

    iou, psnr_fg: means over the three views as generated; harmonised_iou: as the chain uses them. change: mean
    frame-to-frame difference of the generated views over that of the true ones. agreement, and certainty of a generator
    that leaves doubts open: what the chain says of them without the truth. With several tries (seeds) the rows are the
    first, the one that agrees best, which the chain would keep, and the one that is truly best. A note ranks the
    measures against the true IoU.
    """
    progress = progress or SilentProgress()
    steps = steps_of(networks.views, steps)
    tries = tries if steps > 0 else 1  # without steps all would be the same
    cases: list[dict[str, Any]] = []
    pictures = []
    with progress.task("Judging generated views", count * tries) as task:
        for number in range(count):
            name, truth, rig = _clip(number, frames)
            for seed in range(tries):
                made = _generated(networks, truth[:, 0], rig, steps, number if tries == 1 else seed)
                cases.append({"case": name, "seed": seed, **_scores(made, truth, rig, decided=steps == 0)})
                task.advance()
                if seed == 0:
                    pictures.append(Row(name, [_strip(truth, made, frames)]))
    chosen = {"generated": [c for c in cases if c["seed"] == 0]}
    if tries > 1:
        by_clip = [cases[n : n + tries] for n in range(0, len(cases), tries)]
        chosen["best by agreement"] = [max(group, key=lambda case: case["agreement"]) for group in by_clip]
        chosen["truly best"] = [max(group, key=lambda case: case["harmonised_iou"]) for group in by_clip]
    columns = ["four views at the first and the middle time: truth above, generated below"]
    table = {row: _means(group) for row, group in chosen.items()}
    shown = [{k: round(v, 4) if isinstance(v, float) else v for k, v in case.items()} for case in cases]
    return Report({f"{steps} steps": table}, _notes(chosen["generated"]), shown, columns=columns, strip=pictures)


def _clip(number: int, frames: int) -> tuple[str, Tensor, Rig]:
    """Name, truth [time, view, 4, h, w] in [0, 1] and cameras of a clip that training never takes."""
    rng = np.random.default_rng([2, 0, 9, number])
    drawn = ProceduralObject.draw(rng)
    gap = rng.uniform(0.3, 0.8)
    phases = rng.uniform(0, 1 - gap) + gap * np.linspace(0, 1, frames)
    poses = drawn.normalised(phases, 0.92).poses(phases)
    light, rig = random_light(rng), mono_rig(rng, SIZE)
    truth = np.stack([
        [p.render(rig.world_from_camera[v], rig.intrinsics[v], rig.size, light, p)[0] for v in range(4)]
        for p in poses
    ])  # fmt: skip
    return f"{drawn.plan} {number}", torch.from_numpy(truth).movedim(-1, 2).float().clamp(0, 1), rig


def _generated(networks: Networks, clip: Tensor, rig: Rig, steps: int, seed: int) -> Tensor:
    """Views [time, view, 4, h, w] in [0, 1] of the clip [time, 4, h, w]."""
    position = rig.world_from_camera[0, :3, 3]
    made = networks.views(
        clip,
        elevation=float(np.degrees(np.arcsin(position[1] / np.linalg.norm(position)))),
        field_of_view=float(2 * np.degrees(np.arctan(SIZE / 2 / rig.intrinsics[0, 0]))),
        num_inference_steps=steps,
        generator=generator(seed),
    ).images.clamp(0, 1)
    if made.shape[-1] != SIZE:
        resized = F.interpolate(made.flatten(0, 1), size=(SIZE, SIZE), mode="bilinear", antialias=True)
        made = resized.unflatten(0, made.shape[:2])
    return made


def _scores(made: Tensor, truth: Tensor, rig: Rig, *, decided: bool) -> dict[str, float | None]:
    """decided: the views are of one object, and leave no doubts open."""
    used = harmonised(made.numpy(), of_one_object=decided)
    agreements = [view_agreement(rgba, rig.world_from_camera, rig.intrinsics) for rgba in as_bytes(used)]
    white = [x[:, :, :3] * x[:, :, 3:] + 1 - x[:, :, 3:] for x in (truth, made)]
    inside = psnr_foreground(white[1][:, 1:], white[0][:, 1:], truth[:, 1:, 3])
    return {
        "iou": float(mask_iou(made[:, 1:, 3], truth[:, 1:, 3]).mean()),
        "psnr_fg": float(inside[torch.isfinite(inside)].mean()),
        "change": float(white[1][:, 1:].diff(dim=0).abs().mean()),
        "true_change": float(white[0][:, 1:].diff(dim=0).abs().mean()),
        "harmonised_iou": float(mask_iou(torch.from_numpy(used)[:, 1:, 3], truth[:, 1:, 3]).mean()),
        "agreement": agreement_score(agreements),
        "certainty": None if decided else float(matte_certainty(made.numpy()).mean()),
    }


def _means(cases: list[dict[str, Any]]) -> dict[str, Cell]:
    def mean(name: str) -> float:
        return float(np.mean([case[name] for case in cases]))

    return {
        "iou": round(mean("iou"), 4),
        "psnr_fg": round(mean("psnr_fg"), 3),
        "change": round(mean("change") / max(mean("true_change"), 1e-9), 3),
        **{name: round(mean(name), 4) for name in ("harmonised_iou", *_judges(cases))},
    }


def _judges(cases: list[dict[str, Any]]) -> list[str]:
    """What tells of errors without the truth."""
    return ["agreement"] if cases[0]["certainty"] is None else ["agreement", "certainty"]


def _notes(cases: list[dict[str, Any]]) -> list[str]:
    if len(cases) < FEWEST_RANKED:
        return []
    truth = [case["harmonised_iou"] for case in cases]
    ranks = {name: spearmanr([case[name] for case in cases], truth)[0] for name in _judges(cases)}
    told = ", ".join(f"{name} {value:.2f}" for name, value in ranks.items())
    return [f"Rank correlation with the true harmonised_iou over {len(cases)} clips: {told}."]


def _strip(truth: Tensor, made: Tensor, frames: int) -> np.ndarray:
    white = [x[:, :, :3] * x[:, :, 3:] + 1 - x[:, :, 3:] for x in (truth, made)]
    rows = [torch.cat([w[t, v] for t in (0, frames // 2) for v in range(4)], -1) for w in white]
    return np.asarray((torch.cat(rows, -2).movedim(0, -1).clamp(0, 1) * 255).byte().numpy())
