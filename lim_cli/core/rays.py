"""Rays through pixel centres, their Pluecker coordinates, and their passage through the unit box."""

from __future__ import annotations

import torch
from torch import Tensor

from lim_cli.core.camera import Cameras


def pixel_grid(size: tuple[int, int], device: torch.device | str = "cpu") -> Tensor:
    """Pixel centres xy [height, width, 2]; the first is (0.5, 0.5)."""
    ys, xs = torch.meshgrid(
        torch.arange(size[0], device=device) + 0.5, torch.arange(size[1], device=device) + 0.5, indexing="ij"
    )
    return torch.stack([xs, ys], -1)


def rays_through(pixels: Tensor, world_from_camera: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels xy [..., N, 2] of cameras [..., 4, 4], [..., 4] -> world origins and unit directions [..., N, 3]."""
    focal, centre = intrinsics[..., None, :2], intrinsics[..., None, 2:]
    xy = (pixels - centre) / focal
    local = torch.nn.functional.normalize(torch.cat([xy, torch.ones_like(xy[..., :1])], -1), dim=-1)
    directions = local @ world_from_camera[..., :3, :3].transpose(-1, -2)
    return world_from_camera[..., None, :3, 3].expand_as(directions), directions


def camera_rays(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """World origins and unit directions [..., height, width, 3] through every pixel centre."""
    lead = cameras.intrinsics.shape[:-1]
    height, width = cameras.size
    grid = pixel_grid(cameras.size, cameras.intrinsics.device).reshape(-1, 2)
    pixels = grid.expand(*lead, height * width, 2)
    origins, directions = rays_through(pixels, cameras.world_from_camera, cameras.intrinsics)
    return origins.reshape(*lead, height, width, 3), directions.reshape(*lead, height, width, 3)


def plucker_rays(cameras: Cameras) -> Tensor:
    """Pluecker coordinates [..., 6, height, width]: moment (origin x direction), then unit direction."""
    origins, directions = camera_rays(cameras)
    moment = torch.linalg.cross(origins, directions)
    return torch.cat([moment, directions], -1).movedim(-1, -3)


def intersect_box(origins: Tensor, directions: Tensor, half_size: float = 1.0) -> tuple[Tensor, Tensor]:
    """Ray lengths [...] where rays enter and leave the cube [-half_size, half_size]^3.

    A ray that misses gets near == far, so that it marches no distance.
    """
    safe = torch.where(directions.abs() < 1e-8, torch.full_like(directions, 1e-8), directions)
    first, second = (-half_size - origins) / safe, (half_size - origins) / safe
    near = torch.minimum(first, second).amax(-1).clamp_min(0.0)
    far = torch.maximum(first, second).amin(-1)
    return near, torch.maximum(far, near)
