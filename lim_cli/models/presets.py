"""Sizes: `paper` (the paper's), `small` (what is shipped), `tiny` (tests). Building models from plain configs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from lim_cli.core.config import from_plain
from lim_cli.models.camera import CameraEstimator, CameraEstimatorConfig
from lim_cli.models.checkpoints import load_model
from lim_cli.models.image_encoder import EncoderConfig
from lim_cli.models.lifting import LiftingConfig
from lim_cli.models.lim import LIM, LIMConfig
from lim_cli.models.lrm import LRM, LRMConfig
from lim_cli.models.matching_lim import MatchingConfig, MatchingLIM
from lim_cli.models.triplane import FieldConfig

Preset = Literal["paper", "small", "tiny"]
Kind = Literal["rgb", "canonical"]


def lrm_config(preset: Preset, kind: Kind = "rgb") -> LRMConfig:
    """LRM's configuration; `paper` has 12 blocks, no lifting and 32x32 plane tokens."""
    field = FieldConfig(kind=kind)
    if preset == "paper":
        encoder = EncoderConfig(image_size=512, patch=16, width=1024, heads=16, blocks=12)
        return LRMConfig(encoder, None, FieldConfig(channels=80, kind=kind), 12, 16, 32, 2, 80)
    if preset == "tiny":
        encoder = EncoderConfig(image_size=32, patch=8, width=64, heads=2, blocks=1, feature_channels=12)
        lifting = LiftingConfig(grid=16, cell_channels=8, column_channels=16)
        return LRMConfig(encoder, lifting, FieldConfig(8, 16, kind), 3, 2, 4, 4, 12, 2)
    return LRMConfig(field=field)


def lim_config(
    preset: Preset,
    kind: Kind = "rgb",
    *,
    blocks: int | None = None,
    head: Literal["warp", "residual", "flow"] | None = None,
) -> LIMConfig:
    """LIM's configuration; `paper` is the residual form with the paper's inputs only."""
    lrm = lrm_config(preset, kind)
    config = LIMConfig(
        kind=kind,
        width=lrm.width,
        heads=lrm.heads,
        plane_tokens=lrm.plane_tokens,
        upsample=lrm.upsample,
        token_channels=lrm.token_channels,
        field=lrm.field,
        time_width=64 if preset != "paper" else lrm.width,
        head="residual" if preset == "paper" else "warp",
        guided=preset != "paper",
        blocks=min(6, lrm.kept_features),
        correlation_radius=2 if preset == "tiny" else 4,
        correlation_channels=8 if preset == "tiny" else 16,
    )
    if blocks is not None:
        config = replace(config, blocks=blocks)
    if head is not None:
        config = replace(config, head=head)
    return config


def matching_config(preset: Preset, kind: Kind = "rgb") -> MatchingConfig:
    """Of the LIM that matches surfaces; it is ours, so `paper` is what is shipped, over its LRM."""
    config = MatchingConfig(kind=kind, field=replace(lrm_config(preset).field, kind="rgb"))
    if preset == "tiny":
        return replace(
            config, points=48, lattice=16, width=64, heads=2, within_blocks=1, across_blocks=1, moved_blocks=1
        )
    return config


def camera_config(preset: Preset) -> CameraEstimatorConfig:
    """The camera estimator's; it is ours, so `paper` is what is shipped."""
    if preset == "tiny":
        return CameraEstimatorConfig(image_size=32, widths=(8, 16, 16), hidden=16)
    return CameraEstimatorConfig()


def build_lrm(plain: dict[str, Any]) -> LRM:
    return LRM(from_plain(LRMConfig, plain))


def build_lim(plain: dict[str, Any]) -> LIM | MatchingLIM:
    if plain.get("head") == "match":
        return MatchingLIM(from_plain(MatchingConfig, plain))
    return LIM(from_plain(LIMConfig, plain))


def build_camera(plain: dict[str, Any]) -> CameraEstimator:
    return CameraEstimator(from_plain(CameraEstimatorConfig, plain))


def load_lrm(folder: Path, device: torch.device | str = "cpu") -> LRM:
    """A trained LRM or CanonicalLRM, in evaluation mode.

    Raises:
        WeightsError: absent, incomplete or not matching its configuration.
    """
    return load_model(folder, build_lrm, device).eval()


def load_lim(folder: Path, device: torch.device | str = "cpu") -> LIM | MatchingLIM:
    """A trained LIM or CanonicalLIM, in evaluation mode."""
    return load_model(folder, build_lim, device).eval()


def load_camera(folder: Path, device: torch.device | str = "cpu") -> CameraEstimator:
    """A trained camera estimator, in evaluation mode.

    Raises:
        WeightsError: absent, incomplete or not matching its configuration.
    """
    return load_model(folder, build_camera, device).eval()
