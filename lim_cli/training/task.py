"""What a task is, and what tasks share: reading a batch, and frozen LRMs on several of its instants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import ConfigError
from lim_cli.data.camera_samples import CameraSpec
from lim_cli.data.clip_samples import ClipSpec
from lim_cli.data.frustum_samples import FrustumSpec
from lim_cli.data.object_source import Mixture
from lim_cli.data.samples import SampleSpec
from lim_cli.metrics.perceptual import Lpips
from lim_cli.models.lim import LIM
from lim_cli.models.lrm import LRM, LRMOutput, premultiplied
from lim_cli.models.matching_lim import MatchingLIM
from lim_cli.models.presets import Kind, lim_config, load_lim, load_lrm, matching_config
from lim_cli.models.triplane import FieldDecoder
from lim_cli.training.config import TrainConfig
from lim_cli.training.losses import field_losses

Batch = dict[str, Tensor]

LABELS = (
    "origins", "directions", "ray_rgb", "ray_canonical", "ray_mask", "ray_length", "points", "sdf", "surface",
    "surface_rgb", "surface_canonical",
)  # fmt: skip


class Task(nn.Module):
    """forward(batch, generator) -> (loss, metrics); `model` is what is saved, `plain` its configuration, `source` what

    is trained on.
    """

    model: nn.Module
    spec: SampleSpec | CameraSpec | FrustumSpec | ClipSpec
    plain: dict[str, Any]

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.source = Mixture(Path(config.assets) if config.assets else None, config.asset_share)
        # in tuples, so that they are no part of what is saved or optimised
        self._perceptual: tuple[Lpips, ...] = ()
        self._frozen: tuple[LRM, ...] = ()
        if config.field_loss.perceptual > 0 and config.task in ("lrm", "lim"):
            self._perceptual = (Lpips(backbone=config.perceptual_backbone),)

    def freeze(self, folder: str | None, blocks: int) -> LRM:
        """The trained LRM in `folder`: it goes where the task goes, gives the features of its last `blocks` blocks (of

        all, if it has fewer), and learns nothing.
        """
        lrm = load_lrm(Path(str(folder)))
        lrm.requires_grad_(False)
        lrm.keep_features(max(min(blocks, len(lrm.blocks)), lrm.config.kept_features))
        self._frozen = (*self._frozen, lrm)
        return lrm

    def blocks(self) -> list[nn.Module]:
        """Modules worth compiling."""
        models = (self.model, *self._frozen)
        parts = [getattr(model, name) for model in models for name in ("encoder", "scene_flow") if hasattr(model, name)]
        lifting = [model.lifting for model in models if hasattr(model, "lifting")]
        return [*lifting, *(block for part in (*models, *parts) for block in getattr(part, "blocks", ()))]

    def field_losses(
        self, field: FieldDecoder, triplane: Tensor, labels: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses of a triplane against the truth, as configured."""
        perceptual = self._perceptual[0] if self._perceptual else None
        weights, patch = self.config.field_loss, self.config.patch
        return field_losses(field, triplane, labels, weights, generator, patch=patch, perceptual=perceptual)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        for perceptual in self._perceptual:
            perceptual.network._apply(fn, recurse)
        for lrm in self._frozen:
            lrm._apply(fn, recurse)
        return super()._apply(fn, recurse)


def instant(batch: Batch, index: int) -> Batch:
    """Labels of the index-th labelled instant, without the time axis."""
    return {name: batch[name][:, index] for name in LABELS}


def lim_to_train(config: TrainConfig, teacher: LRM) -> LIM:
    """The LIM or CanonicalLIM that `config` asks for, as it starts over its LRM (supplement B) or --initial."""
    kind: Kind = "canonical" if config.task == "canonical_lim" else "rgb"
    blocks = min(config.lim_blocks, len(teacher.blocks))
    assert config.lim_head != "match"
    options = lim_config(config.preset, kind, blocks=blocks, head=config.lim_head)
    lim = LIM(replace(options, guided=options.guided and config.lim_guided))
    lim.start_from(teacher)
    if config.initial is not None:
        initial = load_lim(Path(config.initial))
        if isinstance(initial, MatchingLIM):
            raise ConfigError(f"{config.initial} holds a LIM that matches surfaces; train with lim_head=match.")
        lim.start_from_lim(initial)
    return lim


def matching_to_train(config: TrainConfig, teacher: LRM) -> MatchingLIM:
    """The same of one that matches surfaces; --initial may be LIM or CanonicalLIM for either."""
    kind: Kind = "canonical" if config.task == "canonical_lim" else "rgb"
    lim = MatchingLIM(replace(matching_config(config.preset, kind), field=teacher.config.field))
    if config.initial is not None:
        initial = load_lim(Path(config.initial))
        if not isinstance(initial, MatchingLIM) or initial.config.field != teacher.config.field:
            raise ConfigError(f"{config.initial} holds no LIM that matches this LRM's surfaces; leave --initial out.")
        # restoration is learned last, for the planes as they then are
        lim = MatchingLIM(replace(initial.config, kind=kind, restored=False))
        lim.load_state_dict({**lim.state_dict(), **_shared(initial, lim)})
    lim.field.load_state_dict(teacher.field.state_dict())
    return lim


def _shared(initial: MatchingLIM, lim: MatchingLIM) -> dict[str, Tensor]:
    """What a LIM has of another one's: CanonicalLIM lacks the corrections of planes."""
    own = lim.state_dict()
    return {name: tensor for name, tensor in initial.state_dict().items() if name in own}


def rig_of(batch: Batch) -> Cameras:
    size = batch["views"].shape[-2:]
    return Cameras(batch["world_from_camera"], batch["intrinsics"], (size[0], size[1]))


def views_of(batch: Batch) -> Tensor:
    """[batch, time, view, 4, h, w] premultiplied, in [0, 1]."""
    return premultiplied(batch["views"].float() / 255)


def degrade(views: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Blurs views 1 to 3 of some samples, as generated views are: [batch, view, 4, h, w]."""
    batch, view = views.shape[:2]
    blurred = views.flatten(0, 1)
    side = views.shape[-1]
    small = F.interpolate(blurred, scale_factor=0.34, mode="bilinear", antialias=True)
    blurred = F.interpolate(small, size=(side, side), mode="bilinear").unflatten(0, (batch, view))
    chosen = torch.rand(batch, 1, 1, 1, 1, generator=generator, device=views.device) < share
    amount = torch.rand(batch, 1, 1, 1, 1, generator=generator, device=views.device)
    amount = amount * chosen * (torch.arange(view, device=views.device) > 0).view(1, -1, 1, 1, 1)
    return torch.lerp(views, blurred, amount.to(views.dtype))


def degraded_instants(views: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """The same for views [batch, time, view, 4, h, w]: view 0 of no instant is blurred, the others of all instants of

    a sample are blurred alike.
    """
    time = views.shape[1]
    blurred = degrade(views.flatten(1, 2), share, generator).unflatten(1, (time, -1))
    return torch.cat([views[:, :, :1], blurred[:, :, 1:]], 2)


def encode_instants(lrm: LRM, views: Tensor, rig: Cameras) -> LRMOutput:
    """LRM on views [batch, time, ...] of one rig; the result's batch runs over time first: [time * batch]."""
    time = views.shape[1]
    cameras = Cameras(rig.world_from_camera.repeat(time, 1, 1, 1), rig.intrinsics.repeat(time, 1, 1), rig.size)
    output: LRMOutput = lrm(views.transpose(0, 1).flatten(0, 1), cameras)
    return output.detach()
