"""LIM's matching of planes alone, over a LIM and an LRM that stay as they are."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.data.samples import SampleSpec
from lim_cli.models.lim import LIM, InterpolationGuide, state_of
from lim_cli.models.presets import load_lim
from lim_cli.training.config import TrainConfig
from lim_cli.training.motion import motion_losses, plane_motion
from lim_cli.training.task import Batch, Task, encode_instants, instant, rig_of, views_of

_REMEMBERED = 512
"""Samples of 4 MB each."""


class MatchingTask(Task):
    """Both keyframes through the frozen LRM, LIM's trunk once, and its matching learns from true motion and from the

    truth at alpha. All that goes into the matching is remembered, so that it can be learned from again.
    """

    model: LIM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        initial = load_lim(Path(str(config.initial)))
        teacher = self.freeze(config.teacher, initial.config.blocks)
        lim = replace(initial.config, matched=True)
        self.model = LIM(lim)
        self.model.start_from_lim(initial)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith("matching."))
        self.plain = to_plain(lim)
        self.spec = SampleSpec(
            instants="triplet",
            size=teacher.config.encoder.image_size,
            rays=config.rays,
            points=config.points,
            surface=config.surface,
            labelled=(1,),
            tracks=config.surface,
        )
        self._memory: deque[Batch] = deque(maxlen=_REMEMBERED)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        known = self._known(batch)
        if self.training and self.config.replays:
            known = self._with_replays(known, generator)
        triplane, flows = self.model.with_flows(
            known["motion"].flatten(0, 1).float(), known["source"].float(), known["target"].float(), known["alpha"]
        )
        errors = motion_losses(flows, (known["counts"], known["to_source"], known["to_target"]))
        truth, metrics = self.field_losses(self._frozen[0].field, triplane, known, generator)
        weights = self.config.lim_loss
        metrics |= {f"motion_{n}": error.detach() for n, error in enumerate(errors)}
        return weights.motion * errors[1:].mean() + weights.truth * truth, metrics

    @torch.no_grad()
    def _known(self, batch: Batch) -> Batch:
        """All that the matching and its losses need of a batch, in half precision where that is much."""
        views, count = views_of(batch)[:, [0, 2]], len(batch["views"])
        source, target = encode_instants(self._frozen[0], views, rig_of(batch)).split(count)
        guide = InterpolationGuide(target.image_tokens, state_of(source), state_of(target))
        alpha = batch["alpha"][:, 1]
        motion, _ = self.model.motion_of(state_of(source), guide, alpha)
        planes = {"motion": motion.unflatten(0, (-1, 3)), "source": source.triplane, "target": target.triplane}
        true = plane_motion(batch["tracks"][:, 1], *source.triplane.shape[-2:])
        planes |= zip(("counts", "to_source", "to_target"), true, strict=True)
        return {**{name: value.half() for name, value in planes.items()}, "alpha": alpha, **instant(batch, 0)}

    def _with_replays(self, known: Batch, generator: torch.Generator) -> Batch:
        new = [{name: value[n] for name, value in known.items()} for n in range(len(known["alpha"]))]
        again = []
        if self._memory:
            count = self.config.replays * len(new)
            chosen = torch.randint(len(self._memory), (count,), generator=generator, device=generator.device)
            again = [self._memory[n] for n in chosen.tolist()]
        self._memory.extend(new)
        return {name: torch.stack([sample[name] for sample in (*new, *again)]) for name in known}
