"""LIM and CanonicalLIM by matching: what moved where between two keyframes, told by true tracks, over a frozen LRM."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.data.samples import SampleSpec
from lim_cli.models.matching_lim import MatchingLIM
from lim_cli.models.triplane import PLANE_AXES
from lim_cli.training.config import TrainConfig
from lim_cli.training.losses import mean_distance
from lim_cli.training.motion import motion_losses, plane_motion
from lim_cli.training.replays import Replays, stacked
from lim_cli.training.task import (
    Batch,
    Task,
    degraded_instants,
    encode_instants,
    instant,
    matching_to_train,
    rig_of,
    views_of,
)

_REMEMBERED = 512
"""Samples of 2 MB each."""
_AT_THE_END = {"lim": 0.25, "canonical_lim": 0.5}
"""Share of the steps that ask how far all went from one keyframe to the other, as tracing does."""
_PLACES = ("tracks", "origins", "directions", "points", "surface")


class MatchingTask(Task):
    """Both keyframes through the frozen LRM. LIM: flows against true motion, and the triplane against the truth at

    alpha. CanonicalLIM: mean distance of the origins of the surface's points from the true ones, model units; some of
    its keyframes are blurred as generated views are. Triplanes are remembered and learned from again: mirrored along
    any of the axes, and backwards in time.
    """

    model: MatchingLIM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        teacher = self.freeze(config.teacher, 1)
        self.model = matching_to_train(config, teacher)
        self.plain = to_plain(self.model.config)
        self.canonical = config.task == "canonical_lim"
        self.spec = SampleSpec(
            instants="triplet",
            size=teacher.config.encoder.image_size,
            rays=config.rays,
            points=config.points,
            surface=config.surface,
            labelled=() if self.canonical else (1,),
            tracks=config.surface,
        )
        self._replays = Replays(config.replays, _REMEMBERED)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        known, at_the_end = self._known(batch, generator), False
        if self.training:
            known = self._varied(self._replays.joined(known, generator), generator)
            draw = torch.rand((), generator=generator, device=generator.device)
            at_the_end = float(draw) < _AT_THE_END[self.config.task]
        # of the points of one instant, where they are at the source, at that instant and at the target
        asked, alpha = (2, torch.ones_like(known["alpha"])) if at_the_end else (1, known["alpha"])
        tracks = known["tracks"][:, asked, [0, asked, 2]].float()
        source, target = known["source"].float(), known["target"].float()
        if self.canonical:
            origins, points, _ = tracks.unbind(1)
            error = mean_distance(self.model.origins_between(source, target, alpha, points), origins)
            return error, {"there" if at_the_end else "forth": error.detach(), "still": mean_distance(points, origins)}
        triplane, flows = self.model.with_flows(source, target, alpha)
        errors = motion_losses(flows, plane_motion(tracks, *source.shape[-2:]))
        metrics = {f"motion_{n}": error.detach() for n, error in enumerate(errors)}
        loss = self.config.lim_loss.motion * errors.mean()
        if not at_the_end:
            truth, found = self.field_losses(self._frozen[0].field, triplane, known, generator)
            loss, metrics = loss + self.config.lim_loss.truth * truth, metrics | found
        return loss, metrics

    @torch.no_grad()
    def _known(self, batch: Batch, generator: torch.Generator) -> Batch:
        """All that a step needs of a batch, triplanes in half precision."""
        views, count = views_of(batch)[:, [0, 2]], len(batch["views"])
        if self.canonical and self.training:
            views = degraded_instants(views, self.config.degrade, generator)
        source, target = encode_instants(self._frozen[0], views, rig_of(batch)).split(count)
        planes = {"source": source.triplane.half(), "target": target.triplane.half()}
        labels = {} if self.canonical else instant(batch, 0)
        return {**planes, "alpha": batch["alpha"][:, 1], "tracks": batch["tracks"], **labels}

    def _varied(self, known: Batch, generator: torch.Generator) -> Batch:
        """Every sample mirrored along each axis or not, and as it is or backwards in time."""
        draws = torch.rand(len(known["alpha"]), 4, generator=generator, device=generator.device) < 0.5
        varied = []
        for n, (backwards, *mirrored) in enumerate(draws.tolist()):
            sample = {name: value[n] for name, value in known.items()}
            if backwards:
                sample |= {"source": sample["target"], "target": sample["source"], "alpha": 1 - sample["alpha"]}
                sample["tracks"] = sample["tracks"].flip(0, 1)
            varied.append(in_a_mirror(sample, [axis for axis, chosen in enumerate(mirrored) if chosen]))
        return stacked(varied)


def in_a_mirror(sample: Batch, axes: Collection[int]) -> Batch:
    """One sample as it is with the space turned over along `axes`: triplanes [3, channel, h, w], and all that lies in

    space.
    """
    sides = torch.tensor([-1.0 if axis in axes else 1.0 for axis in range(3)], device=sample["tracks"].device)
    found = dict(sample) | {name: sample[name] * sides for name in _PLACES if name in sample}
    for name in ("source", "target"):
        found[name] = sample[name].clone()
        for plane, (across, down) in zip(found[name], PLANE_AXES, strict=True):
            plane.copy_(plane.flip([d for d, axis in ((-1, across), (-2, down)) if axis in axes]))
    return found
