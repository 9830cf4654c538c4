"""The feedback of a trained LRM: what to make of the difference between its triplane's pictures and the views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.data.samples import SampleSpec
from lim_cli.models.feedback import Feedback, FeedbackConfig
from lim_cli.models.lrm import LRM
from lim_cli.models.presets import load_lrm
from lim_cli.training.config import TrainConfig
from lim_cli.training.replays import Replays
from lim_cli.training.task import Batch, Task, degrade, instant, rig_of, views_of

_REMEMBERED = 512
"""Samples of 1.5 MB each."""


class FeedbackTask(Task):
    """The triplane after every round against the truth; all else of LRM stays as it is. First passes are remembered and

    learned from again.
    """

    model: LRM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.model = with_feedback(load_lrm(Path(str(config.initial))), config.feedback_rounds)
        self.plain = to_plain(self.model.config)
        self.spec = SampleSpec(
            size=self.model.config.encoder.image_size,
            rays=config.rays,
            points=config.points,
            surface=config.surface,
            patch=config.patch,
        )
        self._replays = Replays(config.replays, _REMEMBERED)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        known = self._known(batch, generator)
        if self.training:
            known = self._replays.joined(known, generator)
        triplane, field = known["triplane"].float(), self.model.field
        with torch.no_grad():
            before, _ = self.field_losses(field, triplane, known, generator)
        assert self.model.feedback is not None
        rounds = self.model.feedback(field, triplane, known["views"].float(), rig_of(known))
        losses = []
        for found in rounds:
            loss, metrics = self.field_losses(field, found, known, generator)
            losses.append(loss)
        return torch.stack(losses).mean(), {"before": before, "after": losses[-1].detach(), **metrics}

    @torch.no_grad()
    def _known(self, batch: Batch, generator: torch.Generator) -> Batch:
        """All that a step needs of a batch, pictures and triplanes in half precision."""
        views = views_of(batch)[:, 0]
        if self.training:
            views = degrade(views, self.config.degrade, generator)
        triplane = self.model.first_pass(views, rig_of(batch)).triplane
        rig = {name: batch[name] for name in ("world_from_camera", "intrinsics")}
        return {"triplane": triplane.half(), "views": views.half(), **rig, **instant(batch, 0)}


def with_feedback(lrm: LRM, rounds: int | None = None) -> LRM:
    """An LRM with feedback, which alone learns; it starts without effect where the LRM has none yet.

    rounds: of the feedback, whose rounds share their weights; as many as the LRM has if None.
    """
    options = lrm.config.feedback or FeedbackConfig()
    if rounds is not None:
        options = replace(options, rounds=rounds)
    found = LRM(replace(lrm.config, feedback=options))
    found.load_state_dict({**found.state_dict(), **lrm.state_dict()})
    found.requires_grad_(False)
    assert isinstance(found.feedback, Feedback)
    found.feedback.requires_grad_(True)
    return found
