"""One task per model: what it learns from, and its loss."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.core.errors import WeightsError
from lim_cli.data.camera_samples import CameraSpec
from lim_cli.data.samples import SampleSpec
from lim_cli.models.camera import CameraEstimator, Odds
from lim_cli.models.checkpoints import read_tensors
from lim_cli.models.lim import LIM, InterpolationGuide, InterpolationState, state_of
from lim_cli.models.lrm import LRM, encode_canonical, premultiplied
from lim_cli.models.presets import Kind, camera_config, load_camera, load_lrm, lrm_config
from lim_cli.training.config import TrainConfig
from lim_cli.training.feedback import FeedbackTask, with_feedback
from lim_cli.training.losses import distillation_loss
from lim_cli.training.matching import MatchingTask
from lim_cli.training.motion import motion_losses, plane_motion
from lim_cli.training.origins import OriginsTask
from lim_cli.training.restoration import RestorationTask
from lim_cli.training.task import Batch, Task, degrade, encode_instants, instant, lim_to_train, rig_of, views_of
from lim_cli.training.volume import VolumeTask


def canonical_of(batch: Batch) -> Tensor:
    """Canonical views [batch, time, view, 4, h, w] as CanonicalLRM reads them."""
    canonical = batch["canonical"].float()
    # a pixel half covered by the object may have missed it at its centre, where canonical XYZ is taken
    met = (canonical != 0).any(-3, keepdim=True)
    mask = ((batch["views"][..., 3:, :, :] > 127) & met).float()
    return encode_canonical(canonical, mask)


class LRMTask(Task):
    """LRM on RGB, or CanonicalLRM on canonical XYZ (sec. 3.1, 3.4)."""

    model: LRM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.canonical = config.task == "canonical_lrm"
        kind: Kind = "canonical" if self.canonical else "rgb"
        lrm = lrm_config(config.preset, kind)
        if not config.lifting:
            lrm = replace(lrm, lifting=None)
        self.model = LRM(lrm)
        if config.joint:
            self.model = with_feedback(load_lrm(Path(str(config.initial))), config.feedback_rounds)
            self.model.requires_grad_(True)
            lrm = self.model.config
        elif config.initial is not None:
            source = load_lrm(Path(config.initial))
            same = source.config.field.kind == kind
            # feedback is learned last, for the LRM as it then is; a canonical last layer means something else
            left_out = ("feedback.",) if same else ("feedback.", "field.output")
            tensors = {k: v for k, v in source.state_dict().items() if not k.startswith(left_out)}
            self.model.load_state_dict(tensors, strict=same)
        self.plain = to_plain(lrm)
        self.spec = SampleSpec(
            size=lrm.encoder.image_size,
            rays=config.rays,
            points=config.points,
            surface=config.surface,
            patch=config.patch,
            canonical=self.canonical,
        )

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        views = (canonical_of(batch) if self.canonical else views_of(batch))[:, 0]
        kept = None
        if self.training:
            draw = torch.rand(len(views), generator=generator, device=views.device)
            kept = (draw >= self.config.lift_drop).to(views.dtype)
            views = degrade(views, self.config.degrade, generator)
        rig, labels, field = rig_of(batch), instant(batch, 0), self.model.field
        first = self.model.first_pass(views, rig, lift_kept=kept).triplane
        loss, metrics = self.field_losses(field, first, labels, generator)
        if self.model.feedback is None:
            return loss, metrics
        losses = [loss]
        for found in self.model.feedback(field, first, views, rig):
            loss, metrics = self.field_losses(field, found, labels, generator)
            losses.append(loss)
        return torch.stack(losses).mean(), {"before": losses[0].detach(), "after": loss.detach(), **metrics}


class LIMTask(Task):
    """LIM, or CanonicalLIM (sec. 3.2-3.4, eq. 1-5), over frozen LRMs."""

    model: LIM

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.canonical = config.task == "canonical_lim"
        teacher = self.freeze(config.teacher, config.lim_blocks)
        if self.canonical:
            teacher = self.freeze(config.canonical_teacher, config.lim_blocks)
        self.model = lim_to_train(config, teacher)
        self.plain = to_plain(self.model.config)
        self._moves = config.task == "lim" and config.lim_head == "warp" and config.lim_loss.motion > 0
        self.spec = SampleSpec(
            instants="triplet",
            size=self._frozen[0].config.encoder.image_size,
            rays=config.rays,
            points=config.points,
            surface=config.surface,
            patch=config.patch,
            canonical=self.canonical,
            labelled=(0, 1, 2) if not self.canonical else (1,),
            tracks=config.surface if self._moves else 0,
        )

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            state, guide, teacher = self._interval(batch)
        lrm = self._frozen[-1]
        lim, weights = self.model, self.config.lim_loss
        alpha = batch["alpha"][:, 1]

        # 1. L_T (eq. 2): the triplane at alpha_mid against LRM's at the true keyframe; and how the warp moves things
        mid, flows = lim.with_flows(state, guide, alpha) if self._moves else (lim(state, guide, alpha), None)
        points = self._points(batch, generator)
        terms = self._matching(lrm, mid, teacher, points)
        if flows is not None:
            (error,) = motion_losses([flows], plane_motion(batch["tracks"][:, 1], *mid.triplane.shape[-2:]))
            terms["motion"] = weights.motion * error
        metrics = {k: v.detach() for k, v in terms.items()}
        loss = torch.stack(list(terms.values())).sum()

        # 2. the truth at alpha_mid
        if weights.truth > 0:
            labels = instant(batch, batch["points"].shape[1] // 2)
            truth, found = self.field_losses(lrm.field, mid.triplane, labels, generator)
            loss = loss + weights.truth * truth
            metrics |= found

        # 3. L_causal (eq. 3): to alpha_rand, then on from LIM's own features, against the direct pass to delta
        if weights.causal > 0:
            some = slice(0, max(1, int(len(alpha) * weights.causal_share)))
            delta = alpha[some]
            alpha_rand = delta * torch.rand(delta.shape, generator=generator, device=delta.device)
            guide_some = _guide_slice(guide, some)
            first = lim(_state_slice(state, some), guide_some, alpha_rand)
            # erratum: eq. 3 prints the images at k_src + delta, which need not exist; the fraction
            # (delta - alpha_rand) / (1 - alpha_rand) shows that the pass is conditioned on images(k_tgt)
            onward = guide_some
            if not self.canonical:
                onward = InterpolationGuide(guide_some.image_tokens, first, guide_some.target)
            second = lim(first, onward, (delta - alpha_rand) / (1 - alpha_rand))
            direct = InterpolationState(mid.triplane[some].detach(), tuple(f[some].detach() for f in mid.features))
            causal = torch.stack(list(self._matching(lrm, second, direct, points[some]).values())).sum()
            loss = loss + weights.causal * causal
            metrics["causal"] = causal.detach()
        return loss, metrics

    def _interval(self, batch: Batch) -> tuple[InterpolationState, InterpolationGuide, InterpolationState]:
        """Source state, guide and the teacher's state at the middle."""
        rgb_lrm = self._frozen[0]
        count = len(batch["views"])
        rig = rig_of(batch)
        views = views_of(batch)
        chosen = (0, 2) if self.canonical else (0, 1, 2)
        output = encode_instants(rgb_lrm, views[:, list(chosen)], rig)
        source, target = output[slice(0, count)], output[slice(-count, None)]
        if not self.canonical:
            middle = output[slice(count, 2 * count)]
            guide = InterpolationGuide(target.image_tokens, state_of(source), state_of(target))
            return state_of(source), guide, state_of(middle)
        guide = InterpolationGuide(
            torch.cat([source.image_tokens, target.image_tokens], 1), state_of(source), state_of(target)
        )
        canonical = encode_instants(self._frozen[1], canonical_of(batch)[:, [0, 1]], rig)
        return state_of(canonical[slice(0, count)]), guide, state_of(canonical[slice(count, None)])

    def _points(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Where fields are compared: near the surfaces of all labelled instants, and everywhere."""
        points = batch["points"].flatten(1, 2)
        pick = torch.randperm(points.shape[1], generator=generator, device=points.device)[:2048]
        return points[:, pick].float()

    def _matching(
        self, lrm: LRM, found: InterpolationState, wanted: InterpolationState, points: Tensor
    ) -> dict[str, Tensor]:
        weights = self.config.lim_loss
        scale = wanted.triplane.square().mean().clamp_min(1e-6)
        terms = {"triplane": weights.triplane * F.mse_loss(found.triplane, wanted.triplane) / scale}
        if weights.distil > 0:
            shape, values = distillation_loss(lrm.field, found.triplane, wanted.triplane, points)
            terms |= {"distil": weights.distil * shape, "values": weights.distil_values * values}
        if weights.features > 0:
            pairs = list(zip(found.features, wanted.features[-len(found.features) :], strict=True))
            errors = [F.mse_loss(a.float(), b.float()) / b.float().square().mean() for a, b in pairs]
            terms["features"] = weights.features * torch.stack(errors).mean()
        return terms


def _state_slice(state: InterpolationState, index: slice) -> InterpolationState:
    return InterpolationState(state.triplane[index], tuple(f[index] for f in state.features))


def _guide_slice(guide: InterpolationGuide, index: slice) -> InterpolationGuide:
    return InterpolationGuide(
        guide.image_tokens[index], _state_slice(guide.source, index), _state_slice(guide.target, index)
    )


class ViewsTask(Task):
    """The multi-view video denoiser (sec. 3.3)."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        from lim_cli.diffusion.configs import PRESETS
        from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser

        options = PRESETS[config.preset]
        self.model = MultiviewVideoDenoiser(options)
        if config.initial is not None:
            self.model.load_state_dict(_denoiser_tensors(Path(config.initial)))
        self.plain = to_plain(options)
        frames = min(config.clip_length or options.frames, options.frames)
        self.spec = SampleSpec(instants="clip", size=options.image_size, clip_length=frames, labelled=(), mono=True)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        from lim_cli.diffusion.loss import denoising_loss

        renamed = {**batch, "images": batch["views"]}
        options = self.config.denoising
        return denoising_loss(self.model, renamed, generator, options=options)  # type: ignore[arg-type]


def _denoiser_tensors(folder: Path) -> dict[str, Tensor]:
    """Of a training run's model folder, or of a diffusers pipeline folder such as a release holds."""
    if not (folder / "model_index.json").is_file():
        return read_tensors(folder)

    from lim_cli.diffusion.adapter import load_views_pipeline
    from lim_cli.diffusion.pipeline import MultiviewVideoPipeline

    pipeline = load_views_pipeline(folder, "cpu")
    if not isinstance(pipeline, MultiviewVideoPipeline):
        raise WeightsError(f"{folder} holds another kind of view model than the one trained here.")
    return {name: tensor.float() for name, tensor in pipeline.denoiser.state_dict().items()}


_CAMERA_WEIGHTS = {"elevation": 1.0, "field_of_view": 0.3}
"""The field of view hardly shows in a picture; it must not use up the trunk."""


class CameraTask(Task):
    """The camera estimator: the elevation and field of view of a clip's camera."""

    model: CameraEstimator

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        options = camera_config(config.preset)
        self.model = CameraEstimator(options)
        if config.initial is not None:
            self.model.load_state_dict(load_camera(Path(config.initial)).state_dict())
        self.plain = to_plain(options)
        self.spec = CameraSpec(size=options.image_size)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        pictures = premultiplied(batch["pictures"].flatten(0, 1).float() / 255)
        if self.training:
            pictures = varied(pictures, generator)
        loss, metrics = pictures.new_zeros(()), {}
        for name, head, odds in zip(("elevation", "field_of_view"), self._heads(), self.model(pictures), strict=True):
            truth = batch[name].flatten()
            loss = loss + _CAMERA_WEIGHTS[name] * head.loss(odds, truth)
            metrics[f"{name}_error"] = (head.moments(odds)[0] - truth).abs().mean().detach()
        return loss, metrics

    def _heads(self) -> tuple[Odds, Odds]:
        return self.model.elevation, self.model.field_of_view


def varied(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures [batch, 4, h, w], premultiplied, some mirrored, in other tints, blurred: what real clips bring.

    None of it changes the camera's elevation or field of view.
    """

    def draw(channels: int = 1) -> Tensor:
        return torch.rand(len(pictures), channels, 1, 1, generator=generator, device=pictures.device)

    size = pictures.shape[-1]
    mirrored = torch.where(draw() < 0.5, pictures.flip(-1), pictures)
    matte = mirrored[:, 3:]
    colour = torch.minimum(mirrored[:, :3] * (0.6 + 0.7 * draw(3)), matte)
    tinted = torch.cat([colour, matte], 1)
    small = F.interpolate(tinted, scale_factor=0.5, mode="bilinear", antialias=True)
    blurred = F.interpolate(small, size=(size, size), mode="bilinear")
    return torch.lerp(tinted, blurred, draw() * (draw() < 0.3))


def build_task(config: TrainConfig) -> Task:
    if config.task in ("lrm", "canonical_lrm"):
        return FeedbackTask(config) if config.feedback else LRMTask(config)
    if config.task in ("lim", "canonical_lim"):
        if config.restoration:
            return RestorationTask(config)
        if config.lim_head == "match":
            return MatchingTask(config)
        return OriginsTask(config) if config.lim_head == "flow" else LIMTask(config)
    if config.task == "camera":
        return CameraTask(config)
    if config.task == "volume":
        return VolumeTask(config)
    return ViewsTask(config)


def generator_for(seed: int, step: int, device: torch.device | str, process: int = 0) -> torch.Generator:
    """The random numbers of one step, independent of what ran before: a resumed run draws the same."""
    digest = hashlib.sha256(f"{seed}/{step}/{process}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:7], "little"))
