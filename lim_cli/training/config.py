"""What a training run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from lim_cli.core.errors import ConfigError
from lim_cli.diffusion.loss import DenoisingLossConfig
from lim_cli.training.losses import FieldLossWeights

TaskName = Literal["lrm", "lim", "canonical_lrm", "canonical_lim", "views", "volume", "camera"]


@dataclass(frozen=True)
class LIMLossWeights:
    """L_T and L_causal are the paper's (sec. 3.3); the others are ours.

    motion: mean distance from how the surface truly moved: of points (match head), of flows in planes, seen along each
    plane's normal (match and warp heads).
    """

    triplane: float = 0.1
    causal: float = 1.0
    distil: float = 1.0
    distil_values: float = 4.0
    truth: float = 0.5
    features: float = 0.05
    motion: float = 10.0
    causal_share: float = 0.5


@dataclass(frozen=True)
class TrainConfig:
    """A run. steps: length of the schedule; minutes: if set, the schedule is followed by wall time instead

    (and is then not repeatable to the bit). teacher, canonical_teacher: folders of the frozen models.
    precision: of products; auto takes bfloat16 where a device has units for it (`core.device.fast_in_bfloat16`).
    pool: if set, only so many samples are drawn, kept in memory by every worker and gone round.
    lim_head: `match` (`models.matching_lim`; what is shipped), or one of the paper's interpolator, which
    `models.lim.LIMConfig` tells of; match and flow need no canonical_teacher. lim_blocks: its blocks, never more than
    its LRM has. lim_guided: False leaves the guide out.
    replays: how many earlier samples a step of lim_head=match, of feedback or of restoration learns from beside each
    new one, which costs no pass of LRM (a resumed run starts to remember anew, and is not repeatable to the bit).
    fresh_every: steps of lim_head=match until the next new one; those between learn from earlier samples alone.
    corrected: from how many samples of a step a LIM of lim_head=match learns to correct planes, too. painted: clips
    beside every new one whose true surfaces it learns from (`data.clip_samples`), which costs no pass of LRM either.
    lift_drop: share of an LRM's samples that learn without lifted image features; for a LIM of the paper's kind, which
    sees tokens. They share no direction with the others, and a twelfth of them is a third of the gradient.
    lifting: False trains an LRM without lifted image features. feedback: True trains nothing but the feedback
    (`models.feedback`) of the LRM in `initial`; joint: all of that LRM and its feedback, after every round.
    feedback_rounds: rounds that feedback or joint trains; as many as the LRM in `initial` has if not set.
    restoration: True trains nothing but the restoration (`models.plane_restoration`) of the LIM in `initial`.
    patch: 0, or the side in pixels of the squares that rays are drawn in, which field_loss.perceptual (LPIPS, on
    `perceptual_backbone`) and field_loss.edges look at.
    clip_length: frames of a view model's clip, of its whole window if not set; shorter clips show more objects for
    the same compute. denoising: the view model's loss.
    """

    task: TaskName = "lrm"
    preset: Literal["paper", "small", "tiny"] = "small"
    steps: int = 10_000
    minutes: float | None = None
    batch_size: int = 16
    optimizer: Literal["muon", "adam"] = "muon"
    learning_rate: float = 1e-3
    matrix_learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 100
    clip_norm: float = 1.0
    precision: Literal["auto", "no", "bf16"] = "auto"
    compile: bool = False
    seed: int = 0
    workers: int = 1
    pool: int | None = None
    rays: int = 384
    points: int = 2048
    surface: int = 768
    patch: int = 0
    perceptual_backbone: Literal["vgg", "alex", "squeeze"] = "vgg"
    lift_drop: float = 0.0
    degrade: float = 0.25
    assets: str | None = None
    asset_share: float = 0.25
    initial: str | None = None
    teacher: str | None = None
    canonical_teacher: str | None = None
    log_every: int = 50
    evaluate_every: int = 2000
    evaluate_samples: int = 64
    checkpoint_minutes: float = 10.0
    field_loss: FieldLossWeights = field(default_factory=FieldLossWeights)
    lim_loss: LIMLossWeights = field(default_factory=LIMLossWeights)
    denoising: DenoisingLossConfig = field(default_factory=DenoisingLossConfig)
    clip_length: int | None = None
    lifting: bool = True
    feedback: bool = False
    joint: bool = False
    feedback_rounds: int | None = None
    restoration: bool = False
    lim_blocks: int = 6
    lim_guided: bool = True
    replays: int = 0
    fresh_every: int = 1
    corrected: int = 1
    painted: int = 0
    lim_head: Literal["match", "warp", "residual", "flow"] = "match"

    def __post_init__(self) -> None:
        watched = ("log_every", "evaluate_every", "evaluate_samples")
        for name in ("steps", "batch_size", "lim_blocks", "fresh_every", *watched):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.clip_length is not None and self.clip_length < 1:
            raise ConfigError(f"clip_length must be at least 1, got {self.clip_length}.")
        if self.pool is not None and self.pool < self.batch_size:
            raise ConfigError(f"pool must hold at least a batch of {self.batch_size}, got {self.pool}.")
        if self.workers < 0 or (self.minutes is not None and self.minutes <= 0):
            raise ConfigError("workers must not be negative, and minutes must be positive.")
        if self.patch < 2 and (self.field_loss.perceptual > 0 or self.field_loss.edges > 0):
            raise ConfigError("field_loss.perceptual and field_loss.edges look at patches; set patch, as in patch=64.")
        if self.task in ("lim", "canonical_lim") and self.teacher is None:
            raise ConfigError(f"Training {self.task} needs --teacher FOLDER: the trained LRM it interpolates.")
        if self.lim_head == "flow" and self.task != "canonical_lim":
            raise ConfigError("lim_head=flow is canonical_lim's alone; lim takes warp or residual.")
        if self.restoration and (self.task != "lim" or self.initial is None):
            raise ConfigError("restoration=true is for lim alone, and needs --initial FOLDER: a trained LIM.")
        matching = self.task.endswith("lim") and self.lim_head == "match"
        if self.replays < 0 or (self.replays and not (matching or self.feedback)):
            raise ConfigError("replays must not be negative, and is for lim_head=match and feedback alone.")
        if self.fresh_every > 1 and not (matching and self.replays):
            raise ConfigError("fresh_every is for lim_head=match, and needs earlier samples to learn from: replays=N.")
        if min(self.corrected, self.painted) < 0:
            raise ConfigError(f"corrected and painted must not be negative, got {self.corrected} and {self.painted}.")
        for name in ("feedback", "joint"):
            if getattr(self, name) and (self.task != "lrm" or self.initial is None):
                raise ConfigError(f"{name}=true is for lrm alone, and needs --initial FOLDER: a trained LRM.")
        if self.feedback and self.joint:
            raise ConfigError("feedback=true trains the feedback alone, joint=true all of LRM with it; choose one.")
        if self.feedback_rounds is not None and not (self.feedback or self.joint):
            raise ConfigError("feedback_rounds is for feedback=true and joint=true alone.")
        if self.task == "canonical_lim" and self.lim_head in ("warp", "residual") and self.canonical_teacher is None:
            raise ConfigError(
                f"Training canonical_lim with lim_head={self.lim_head} needs --canonical-teacher FOLDER: the trained "
                "CanonicalLRM."
            )


# What the paper does where it differs from our defaults: Adam at 1e-4, rendering losses only for the LRMs, L_T and
# L_causal only for the LIMs, no warp head, nothing dropped or degraded. LPIPS sees patches, not whole pictures.
PAPER_RECIPE: Mapping[str, Any] = MappingProxyType(
    {
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "degrade": 0.0,
        "lim_head": "residual",
        "patch": 64,
        "rays": 4 * 64**2,
        "field_loss": {
            "occupancy": 0.0, "surface": 0.0, "ray_values": 1.0, "ray_opacity": 1.0, "ray_depth": 1.0,
            "perceptual": 1.0, "ray_samples": 96,
        },
        "lim_loss": {
            "triplane": 1.0, "causal": 1.0, "distil": 0.0, "distil_values": 0.0, "truth": 0.0, "features": 0.0,
            "causal_share": 1.0,
        },
    }
)  # fmt: skip


def recipe(preset: str) -> dict[str, Any]:
    """Settings a preset brings beside its model sizes: the paper's for `paper`, none for the others."""
    return dict(PAPER_RECIPE) if preset == "paper" else {}
