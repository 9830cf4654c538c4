"""CanonicalLIM with the flow head: where every point of the surface was at the source, told by true tracks."""

from __future__ import annotations

import torch
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.data.samples import SampleSpec
from lim_cli.models.lim import LIM, InterpolationGuide, state_of
from lim_cli.training.config import TrainConfig
from lim_cli.training.losses import mean_distance
from lim_cli.training.task import Batch, Task, degraded_instants, encode_instants, lim_to_train, rig_of, views_of

_PASSES = (("forth", 0, 1), ("back", 2, 1), ("there", 0, 2), ("home", 2, 0))
"""Name; which of the three instants is the source; which one is asked for."""


class OriginsTask(Task):
    """Both keyframes through the frozen LRM once, then two passes: from one end to the middle, and from either end to

    the other (all four when evaluated). The loss is the mean distance of origins from true tracks, model units.
    """

    model: LIM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        teacher = self.freeze(config.teacher, config.lim_blocks)
        self.model = lim_to_train(config, teacher)
        self.plain = to_plain(self.model.config)
        self.spec = SampleSpec(
            instants="triplet", size=teacher.config.encoder.image_size, tracks=config.surface, labelled=()
        )

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        views, count = views_of(batch)[:, [0, 2]], len(batch["views"])
        if self.training:
            views = degraded_instants(views, self.config.degrade, generator)
        with torch.no_grad():
            first, last = encode_instants(self._frozen[0], views, rig_of(batch)).split(count)
        draw = float(torch.rand((), generator=generator, device=views.device))
        asked = _PASSES if not self.training else _PASSES[::2] if draw < 0.5 else _PASSES[1::2]
        ends, tracks, middle = (first, last), batch["tracks"], batch["alpha"][:, 1]
        shares = torch.stack([torch.zeros_like(middle), middle, torch.ones_like(middle)])
        terms, still = {}, []
        for name, start, place in asked:
            source, target = ends[start // 2], ends[1 - start // 2]
            guide = InterpolationGuide(target.image_tokens, state_of(source), state_of(target))
            alpha = (shares[place] - shares[start]).abs()
            points, truth = tracks[:, place, place], tracks[:, place, start]
            terms[name] = mean_distance(self.model.origins(state_of(source), guide, alpha, points), truth)
            still.append(mean_distance(points, truth))
        loss = torch.stack(list(terms.values())).mean()
        metrics = {name: term.detach() for name, term in terms.items()}
        return loss, {**metrics, "still": torch.stack(still).mean()}
