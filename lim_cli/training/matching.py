"""LIM and CanonicalLIM by matching: what moved where between two keyframes, told by true tracks, over a frozen LRM."""

from __future__ import annotations

import torch
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.data.clip_samples import ClipSpec
from lim_cli.data.samples import SampleSpec
from lim_cli.models.matching_lim import MatchingLIM
from lim_cli.models.surface_points import SurfacePoints
from lim_cli.training.config import TrainConfig
from lim_cli.training.losses import distillation_loss, mean_distance
from lim_cli.training.motion import motion_losses, plane_motion
from lim_cli.training.point_pairs import SAID, Pair, any_pair, both_ends, painted_clips, varied
from lim_cli.training.replays import Replays
from lim_cli.training.task import (
    LABELS,
    Batch,
    Task,
    degraded_instants,
    encode_instants,
    instant,
    matching_to_train,
    rig_of,
    views_of,
)

_KEYFRAMES, _PASSED = 4, 5
_BETWEEN = tuple(range(1, _KEYFRAMES - 1))
_REMEMBERED = 512
"""Samples of 4.5 MB each."""
_POINTS = 1536
"""Points of a keyframe's surface that are remembered; a step sees some of them."""
_TRUSTED = 0.1
"""Model units; points farther from the true surface are LRM's mistakes, and nobody knows how they should move."""
_MOVING = (*SAID, "moves", "trusted", "alpha")


class MatchingTask(Task):
    """Several keyframes of an object through the frozen LRM, and points of their surfaces; samples are remembered and

    learned from again. Any two keyframes make a pair: how far every point goes from either to the other, and where it
    is between, against true tracks (mean distance, model units), turned about the vertical axis, tilted, mirrored,
    stretched and backwards in time. Painted clips (`data.clip_samples`) make one pair each, once. LIM's corrections
    learn from `corrected` samples of a step, at a keyframe between two: from the motion that planes should see, the
    truth there, and the field of LRM's own triplane.
    """

    model: MatchingLIM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        teacher = self.freeze(config.teacher, 1)
        self.model = matching_to_train(config, teacher)
        self.plain = to_plain(self.model.config)
        seen = SampleSpec(
            instants="keyframes",
            size=teacher.config.encoder.image_size,
            rays=config.rays,
            points=config.points,
            surface=config.points,
            labelled=() if config.task == "canonical_lim" else _BETWEEN,
            clip_length=_KEYFRAMES,
            passed=_PASSED,
            tracks=config.surface,
        )
        self.spec = ClipSpec(seen, config.painted, config.points, self.source)
        self._replays = Replays(config.replays, _REMEMBERED, every=config.fresh_every)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        known = self._samples(batch, generator)
        clips = [{name: known[name][n] for name in _MOVING} for n in range(len(known["alpha"]))]
        if self.training:
            clips += painted_clips(batch, known["features"].shape[-1], generator)
        loss, metrics = self._scene_flow(clips, generator)
        count = min(self.config.corrected, len(known["alpha"])) if self.training else len(clips)
        if self.model.config.kind == "rgb" and count:
            some = {name: value[:count] for name, value in known.items()}
            corrected, found = self._corrections(some, generator)
            loss, metrics = loss + corrected, metrics | found
        return loss, metrics

    def _scene_flow(self, clips: list[Batch], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        count, drawn = self.config.points, []
        for clip in clips:
            pair = any_pair(_KEYFRAMES, generator) if self.training else Pair(0, _KEYFRAMES - 1)
            ends = both_ends(clip, pair, count, generator)
            drawn.append(varied(ends, generator) if self.training else ends)
        ends = [{name: torch.stack([d[end][name] for d in drawn]) for name in drawn[0][end]} for end in (0, 1)]
        source, target = (SurfacePoints(*(end[name] for name in SAID)) for end in ends)
        first, way, bend = self.model.scene_flow(source, target)
        truth, passing, share, trusted = (
            torch.stack([e[n] for e in ends]) for n in ("way", "passing", "share", "trusted")
        )
        share = share[..., None, None]
        found = {"first": first, "there": way, "between": share * way + share * (1 - share) * bend}
        wanted = {"first": truth, "there": truth, "between": passing}
        errors = {name: mean_distance(found[name], wanted[name], trusted) for name in found}
        loss = self.config.lim_loss.motion * (0.5 * errors["first"] + errors["there"] + 2 * errors["between"])
        errors["still"] = mean_distance(0 * truth, truth, trusted)
        return loss, {name: error.detach() for name, error in errors.items()}

    def _corrections(self, known: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """From the first keyframe to the last, at one between."""
        field, weights = self._frozen[0].field, self.config.lim_loss
        between = int(torch.randint(len(_BETWEEN), (), generator=generator, device=generator.device))
        middle, last = _BETWEEN[between], _KEYFRAMES - 1
        planes, alpha = known["planes"], known["alpha"][:, middle]
        source, teacher, target = (planes[:, n].float() for n in (0, middle, last))
        with torch.no_grad():
            motion = self.model.motion(source, target)
        triplane, flows = self.model.with_flows(source, target, alpha, motion)
        there = known["positions"][:, middle].float()
        tracks = torch.stack([there + known["moves"][:, middle, n].float() for n in (0, middle, last)], 1)
        errors = motion_losses(flows, plane_motion(tracks, *source.shape[-2:]))
        labels = instant(known, between)
        near = torch.cat([labels["points"], labels["surface"]], 1)
        logits, values = distillation_loss(field, triplane, teacher, near)
        truth, metrics = self.field_losses(field, triplane, labels, generator)
        loss = weights.motion * errors[1:].mean() + weights.truth * truth
        loss = loss + weights.distil * logits + weights.distil_values * values
        named = {f"planes_{n}": error.detach() for n, error in enumerate(errors)}
        return loss, {**metrics, **named, "distil": logits.detach(), "distil_values": values.detach()}

    def _samples(self, batch: Batch, generator: torch.Generator) -> Batch:
        if not self.training:
            return self._known(batch, generator)
        if not self._replays.due():
            return self._replays.again(len(batch["views"]), generator)
        return self._replays.joined(self._known(batch, generator), generator)

    @torch.no_grad()
    def _known(self, batch: Batch, generator: torch.Generator) -> Batch:
        """All that a step needs of a batch, the most of it in half precision."""
        views, count = views_of(batch), len(batch["views"])
        if self.training:
            views = degraded_instants(views, self.config.degrade, generator)
        planes = encode_instants(self._frozen[0], views, rig_of(batch)).triplane
        with torch.autocast(planes.device.type, enabled=False):
            points = self.model.surface(planes, _POINTS, generator)
            said = {name: getattr(points, name).unflatten(0, (-1, count)).transpose(0, 1) for name in SAID}
            # the motion of the nearest point that is tracked: [batch, keyframe, time, point, 3]
            tracks = batch["tracks"].float()
            here = torch.stack([tracks[:, n, n] for n in range(_KEYFRAMES)], 1)
            away, nearest = torch.cdist(said["positions"], here).min(-1)
            index = nearest[:, :, None, :, None].expand(-1, -1, tracks.shape[2], -1, 3)
            moves = (tracks - here[:, :, None]).gather(3, index)
            found = {name: value.half() for name, value in {**said, "moves": moves}.items()}
            found |= {"trusted": away < _TRUSTED, "alpha": batch["alpha"]}
            if self.model.config.kind == "rgb":
                found["planes"] = planes.half().unflatten(0, (-1, count)).transpose(0, 1)
                found |= {name: batch[name] for name in LABELS}
        return found
