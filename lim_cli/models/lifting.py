"""Lifting view features into the planes (past the paper): a coarse grid sees the views, planes see the grid.

Every cell of a coarse grid over [-1, 1]^3 is projected into all views; mean and deviation of the features and
the least and mean matte are condensed to a few channels, and each plane reads its columns of cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.core.camera import Cameras, project
from lim_cli.models.triplane import bilinear_rows

CELLS_AT_ONCE = 9216  # of one sample on a CPU: what stays in its cache


@dataclass(frozen=True)
class LiftingConfig:
    """grid: cells a side; cell_channels: per cell; column_channels: per plane position."""

    grid: int = 48
    cell_channels: int = 16
    column_channels: int = 64


class Lifting(nn.Module):
    """Feature maps [batch, view, channel, h, w] -> plane maps [batch, 3, column_channels, grid, grid]."""

    def __init__(self, config: LiftingConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.cell = nn.Sequential(
            nn.Linear(2 * channels + 2, 32), nn.SiLU(), nn.Linear(32, config.cell_channels), nn.SiLU()
        )
        self.columns = nn.ModuleList(
            nn.Linear(config.grid * config.cell_channels, config.column_channels) for _ in range(3)
        )

    def forward(self, maps: Tensor, cameras: Cameras) -> Tensor:
        batch, view = maps.shape[:2]
        size = self.config.grid
        axis = (torch.arange(size, device=maps.device) + 0.5) / size * 2 - 1
        cells = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(1, 1, -1, 3)
        with torch.autocast(maps.device.type, enabled=False):
            pixels, depth = project(
                cells.expand(batch, view, -1, -1).float(), cameras.world_from_camera, cameras.intrinsics
            )
            scale = pixels.new_tensor([2 / cameras.size[1], 2 / cameras.size[0]])
            places = pixels * scale - 1  # [batch, view, cell, 2]
            seen = ((places.abs() < 1).all(-1) & (depth > 0))[..., None]
        table = maps.permute(0, 1, 3, 4, 2).contiguous()
        if maps.is_cuda:
            cell = self._cells(table, places, seen)
        else:
            samples = zip(table.split(1), places.split(1), seen.split(1), strict=True)
            cell = torch.cat([self._by_slabs(*sample) for sample in samples])
        cell = cell.view(batch, size, size, size, -1)  # x, y, z
        planes = []
        for linear, order in zip(self.columns, ((2, 1, 3), (3, 1, 2), (3, 2, 1)), strict=True):
            # height runs along the plane's second axis, width along its first, the column along its normal
            columns = cell.permute(0, *order, 4).flatten(3)
            planes.append(linear(columns).permute(0, 3, 1, 2))
        return torch.stack(planes, 1)

    def _by_slabs(self, table: Tensor, places: Tensor, seen: Tensor) -> Tensor:
        slabs = zip(places.split(CELLS_AT_ONCE, 2), seen.split(CELLS_AT_ONCE, 2), strict=True)
        return torch.cat([self._cells(table, *slab) for slab in slabs], 1)

    def _cells(self, table: Tensor, places: Tensor, seen: Tensor) -> Tensor:
        """Cells [batch, cell, cell_channels] at places [batch, view, cell, 2] of maps [batch, view, h, w, channel]."""
        batch, view = places.shape[:2]
        found = bilinear_rows(table.flatten(0, 1), places.flatten(0, 1)).unflatten(0, (batch, view)) * seen
        mean = found.mean(1)
        # not mean square less squared mean: in bfloat16 their difference is noise, and its root's slope without bound
        deviation = (found - mean[:, None]).square().mean(1).add(1e-5).sqrt()
        matte = torch.where(seen, found[..., 3:4], torch.ones_like(found[..., 3:4]))
        return self.cell(torch.cat([mean, deviation, matte.amin(1), matte.mean(1)], -1))


def resize_planes(planes: Tensor, size: int) -> Tensor:
    """Bilinear resize of [batch, 3, channel, h, w] to side `size`."""
    flat = F.interpolate(planes.flatten(0, 1), size=(size, size), mode="bilinear", align_corners=False)
    return flat.unflatten(0, planes.shape[:2])
