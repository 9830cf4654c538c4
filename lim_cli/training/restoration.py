"""The restoration of a trained LIM: what LRM's planes lose when they are moved and blended, over a frozen LRM."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.data.samples import SampleSpec
from lim_cli.models.lim import LIM
from lim_cli.models.matching_lim import MatchingLIM
from lim_cli.models.plane_flows import for_planes, warp
from lim_cli.models.point_reading import on_planes
from lim_cli.models.presets import load_lim
from lim_cli.training.config import TrainConfig
from lim_cli.training.losses import distillation_loss
from lim_cli.training.replays import Replays, stacked
from lim_cli.training.task import LABELS, Batch, Task, degraded_instants, encode_instants, rig_of, views_of

_KEYFRAMES = 4
_REMEMBERED = 256
"""Clips of some 5 MB each."""
_BETWEEN = (1, 2)
_TRIPLES = tuple(t for t in combinations(range(_KEYFRAMES), 3) if t[1] in _BETWEEN)
_FIXED = (0, 2, 3)


class RestorationTask(Task):
    """The planes of two of an object's keyframes, moved to a third between them as the surface truly moved, against the

    truth there and LRM's own triplane; all else of LIM stays as it is. How LIM finds motion has no say, since planes
    that are moved wrongly teach no more than to make objects fat. Clips are remembered and learned from again, at
    other keyframes.
    """

    model: MatchingLIM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        teacher = self.freeze(config.teacher, 1)
        self.model = with_restoration(load_lim(Path(str(config.initial))))
        self.plain = to_plain(self.model.config)
        self.spec = SampleSpec(
            instants="keyframes",
            size=teacher.config.encoder.image_size,
            rays=config.rays,
            points=config.points,
            surface=config.surface,
            labelled=_BETWEEN,
            clip_length=_KEYFRAMES,
            tracks=config.surface,
        )
        self._replays = Replays(config.replays, _REMEMBERED)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        known = self._known(batch, generator)
        if self.training:
            known = self._replays.joined(known, generator)
        field, weights = self._frozen[0].field, self.config.lim_loss
        source, target, alpha, teacher, labels = _triples(known, generator if self.training else None)
        with torch.no_grad():
            blend = torch.lerp(source, target, alpha).unflatten(0, (-1, 3))
            before, _ = self.field_losses(field, blend, labels, generator)
        triplane = self.model.joined(source, target, alpha).unflatten(0, (-1, 3))
        near = torch.cat([labels["points"], labels["surface"]], 1)
        logits, values = distillation_loss(field, triplane, teacher, near)
        truth, metrics = self.field_losses(field, triplane, labels, generator)
        loss = weights.truth * truth + weights.distil * logits + weights.distil_values * values
        distilled = {"distil": logits.detach(), "distil_values": values.detach()}
        return loss, {"before": before, "after": truth.detach(), **metrics, **distilled}

    @torch.no_grad()
    def _known(self, batch: Batch, generator: torch.Generator) -> Batch:
        """All that a step needs of a batch, planes in half precision."""
        views, count = views_of(batch), len(batch["views"])
        if self.training:
            views = degraded_instants(views, self.config.degrade, generator)
        planes = encode_instants(self._frozen[0], views, rig_of(batch)).triplane.half()
        planes = planes.unflatten(0, (-1, count)).transpose(0, 1)
        return {"planes": planes, **{name: batch[name] for name in ("alpha", "tracks", *LABELS)}}


@torch.no_grad()
def _triples(known: Batch, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Batch]:
    """Of each clip three keyframes, chosen at random or, without a generator, always the same: the planes of the outer

    two, moved to the middle [batch * 3, c, h, w], its alpha [batch * 3, 1, 1, 1], LRM's triplane there and its labels.
    """
    drawn = []
    for n, alphas in enumerate(known["alpha"]):
        first, middle, last = _FIXED
        if generator is not None:
            chosen = torch.randint(len(_TRIPLES), (), generator=generator, device=generator.device)
            first, middle, last = _TRIPLES[int(chosen)]
        planes = known["planes"][n].float()
        past, here, future = (known["tracks"][n, middle, time].float() for time in (first, middle, last))
        flows = on_planes(here[None], torch.stack([past - here, future - here], 1)[None], *planes.shape[-2:])[:, 0]
        alpha = (alphas[middle] - alphas[first]) / (alphas[last] - alphas[first]).clamp_min(1e-4)
        moved = {"source": warp(planes[first], flows[0]), "target": warp(planes[last], flows[1])}
        labels = {name: known[name][n, _BETWEEN.index(middle)] for name in LABELS}
        drawn.append({**moved, "alpha": alpha, "teacher": planes[middle], **labels})
    batch = stacked(drawn)
    labels = {name: batch[name] for name in LABELS}
    source, target = batch["source"].flatten(0, 1), batch["target"].flatten(0, 1)
    return source, target, for_planes(batch["alpha"]), batch["teacher"], labels


def with_restoration(lim: LIM | MatchingLIM) -> MatchingLIM:
    """A LIM with restoration, which alone learns; it starts without effect where the LIM has none yet.

    Raises:
        ConfigError: not one that matches surfaces and makes triplanes.
    """
    if not isinstance(lim, MatchingLIM) or lim.config.kind != "rgb":
        raise ConfigError("Restoration is for a LIM that matches surfaces and makes triplanes; give one as --initial.")
    found = MatchingLIM(replace(lim.config, restored=True))
    found.load_state_dict({**found.state_dict(), **lim.state_dict()})
    found.requires_grad_(False)
    assert found.restoration is not None
    found.restoration.requires_grad_(True)
    return found
