"""A tiny analytic scene: coloured balls on orbits, drawn from four views by projecting their centres."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lim_cli.core.camera import orbit_cameras, project
from lim_cli.core.rays import pixel_grid
from lim_cli.diffusion.configs import TINY
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser


def _moving_balls(*, batch: int, time: int, size: int, seed: int = 0, step: float = 0.15) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    cameras = orbit_cameras(
        [0.0, 90.0, 180.0, 270.0], elevation=10.0, field_of_view=40.0, distance=3.0, size=(size, size)
    )
    grid = pixel_grid((size, size))
    images = torch.zeros(batch, time, 4, 4, size, size)
    for b in range(batch):
        colours = torch.rand(3, 3, generator=random)
        phase, radius = torch.rand(3, generator=random) * 6.283, 0.2 + 0.5 * torch.rand(3, generator=random)
        heights = torch.rand(3, generator=random) - 0.5
        for t in range(time):
            angle = phase + step * t
            centres = torch.stack([radius * angle.sin(), heights, radius * angle.cos()], -1)
            for v in range(4):
                xy, depth = project(centres, cameras.world_from_camera[v], cameras.intrinsics[v])
                for ball in depth.argsort(descending=True):  # the nearest is drawn last
                    reach = 0.3 * cameras.intrinsics[v, 0] / depth[ball]
                    inside = (grid - xy[ball]).norm(dim=-1) < reach
                    images[b, t, v, :3, inside] = colours[ball, :, None]
                    images[b, t, v, 3, inside] = 1.0
    return {
        "images": (images * 255).round().to(torch.uint8),
        "world_from_camera": cameras.world_from_camera.expand(batch, 4, 4, 4).contiguous(),
        "intrinsics": cameras.intrinsics.expand(batch, 4, 4).contiguous(),
    }


@pytest.fixture
def moving_balls() -> Callable[..., dict[str, Tensor]]:
    """Makes a batch as `denoising_loss` takes it; three balls a clip."""
    return _moving_balls


@pytest.fixture
def denoiser() -> MultiviewVideoDenoiser:
    """An untrained denoiser with the same weights in every test."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MultiviewVideoDenoiser(TINY).eval()
