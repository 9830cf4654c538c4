"""Real models at `tiny` size, and views of nothing in particular for them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.models.lim import LIM, InterpolationGuide, InterpolationState, LIMConfig, state_of
from lim_cli.models.lrm import LRM
from lim_cli.models.matching_lim import MatchingLIM
from lim_cli.models.presets import Kind, lrm_config, matching_config


def tiny_lrm(kind: Kind = "rgb", seed: int = 0) -> LRM:
    torch.manual_seed(seed)
    return LRM(lrm_config("tiny", kind)).eval()


def tiny_matching(kind: Kind = "rgb") -> MatchingLIM:
    """Of either kind; what it matches are the surfaces of LRM's triplanes."""
    lim = MatchingLIM(matching_config("tiny", kind)).eval()
    lim.field.load_state_dict(tiny_lrm().field.state_dict())
    return lim


def tiny_rig(batch: int = 1) -> Cameras:
    cameras = orbit_cameras([0, 90, 180, 270], elevation=10, field_of_view=40, distance=3.2, size=(32, 32))
    return Cameras(cameras.world_from_camera.repeat(batch, 1, 1, 1), cameras.intrinsics.repeat(batch, 1, 1), (32, 32))


def tiny_views(batch: int = 1, seed: int = 0) -> Tensor:
    return torch.rand(batch, 4, 4, 32, 32, generator=torch.Generator().manual_seed(seed))


def tiny_interval(config: LIMConfig, batch: int = 2) -> tuple[LIM, InterpolationState, InterpolationGuide]:
    """A LIM started from its LRM, and an interval between two sets of random views."""
    rgb = tiny_lrm()
    own = tiny_lrm("canonical", 1) if config.kind == "canonical" else rgb
    with torch.no_grad():
        source, target = (rgb(tiny_views(batch, seed), tiny_rig(batch)) for seed in (1, 2))
        state = own(tiny_views(batch, 1), tiny_rig(batch))
    tokens = target.image_tokens
    if config.kind == "canonical":
        tokens = torch.cat([source.image_tokens, tokens], 1)
    lim = LIM(config).eval()
    lim.start_from(own)
    return lim, state_of(state), InterpolationGuide(tokens, state_of(source), state_of(target))


def textured_planes(size: int, planes: int = 3) -> Tensor:
    """Smooth and different everywhere: [plane, 8, size, size]."""
    generator = torch.Generator().manual_seed(0)
    return F.interpolate(torch.randn(planes, 8, size // 8, size // 8, generator=generator), size=size, mode="bicubic")
