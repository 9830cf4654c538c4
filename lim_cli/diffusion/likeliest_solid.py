"""One solid out of odds: what a picture's volume holds possible, decided place by place.

What is in doubt is fog in a volume of odds, and smears in its views; LRM makes lumps of them, since no single object
looks like that from all sides. An object is somewhere. So odds are decided where they are, in space, before views are
rendered: the views then show one object, and edges where it ends (`weights/TRAINING_LOG.md`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.core.camera import Cameras, project
from lim_cli.core.rays import camera_rays
from lim_cli.diffusion.frustum_volume import THICKNESS, density_of, march

LEVEL = 0.3
"""Odds from which a place counts as filled: below one half, for of a thin part every single place is doubtful."""
LEAST = 0.9
"""Of a column's largest odds: there it counts in any case, since what the picture shows is somewhere; but no column is
filled deeper for that than all its odds add up to."""
STEADINESS = 0.8
"""Share of what all times of a window say of a place: depth is guessed anew in every picture."""
_HARDNESS = 40.0
_FULL, _EMPTY = 6.0, -27.0
_KERNEL = (0.25, 0.5, 0.25)
_TILE = 4
"""Pixels a side: so coarsely is told which rays are worth marching."""


def likeliest_solids(volumes: Tensor, signed_mattes: Tensor) -> Tensor:
    """Volumes [time, 4, plane, h, w] whose densities are decided: next to nothing, or opaque.

    signed_mattes [time, height, width] in [-1, 1]: of the pictures they were made from.
    """
    # 1. Odds of every cell that it is filled.
    told = 1 - torch.exp(-density_of(volumes) * THICKNESS)

    # 2. Neighbours within the picture's matte agree, in space and with what other times say of the same place.
    inside = F.avg_pool2d((signed_mattes[:, None] + 1) / 2, signed_mattes.shape[-1] // volumes.shape[-1])
    inside = inside.expand_as(told).contiguous()
    told = _smoothed(told * inside) / _smoothed(inside).clamp_min(1e-3)
    usual = (told * inside).sum(0, keepdim=True) / inside.sum(0, keepdim=True).clamp_min(1e-3)
    told = torch.lerp(told, usual, STEADINESS)

    # 3. The decision, column by column.
    largest = told.amax(1, keepdim=True)
    deepest = told.sum(1, keepdim=True).long().clamp(1, told.shape[1] - 1)
    level = torch.maximum(LEAST * largest, told.sort(1, descending=True)[0].gather(1, deepest)).clamp_max(LEVEL)
    decided = (_HARDNESS * (told - level)).clamp(max=_FULL)
    decided = torch.where(decided < 0, 3 * decided, decided).clamp_min(_EMPTY)
    return torch.cat([decided[:, None], volumes[:, 1:]], 1)


def solid_views(volume: Tensor, signed_matte: Tensor, cameras: Cameras) -> Tensor:
    """What cameras 1.. of `cameras` [view] see of such a volume [1, 4, plane, h, w] of a picture with signed_matte

    [1, height, width]: pixels [view - 1, 4, height, width] (`encode_pixels`).
    """
    others = cameras[1:]
    height, width = cameras.size
    origins, directions = camera_rays(others)
    worth = _rays_that_meet(volume, cameras)  # [view - 1, height, width]
    drawn = torch.zeros(*worth.shape, 4, device=volume.device)
    drawn[..., 3] = -1
    colour, opacity = march(volume, signed_matte, cameras[:1], origins[worth][None], directions[worth][None])
    drawn[worth] = torch.cat([colour[0], 2 * opacity[0, :, None] - 1], -1)
    return drawn.view(len(others), height, width, 4).movedim(-1, 1)


def _cell_centres(shape: torch.Size, camera: Cameras) -> Tensor:
    """Centres [1, plane * h * w, 3], in the world, of the cells of a volume that `camera` [1] looks through."""
    planes, rows, columns = shape
    pose, intrinsics = camera.world_from_camera, camera.intrinsics[0]
    device = pose.device
    middle = project(torch.zeros(1, 1, 3, device=device), pose, camera.intrinsics)[1][0, 0]
    depth = middle - 1 + 2 * (torch.arange(planes, device=device) + 0.5) / planes
    y = (torch.arange(rows, device=device) + 0.5) * (camera.size[0] / rows)
    x = (torch.arange(columns, device=device) + 0.5) * (camera.size[1] / columns)
    y, x = (y - intrinsics[3]) / intrinsics[1], (x - intrinsics[2]) / intrinsics[0]
    z, y, x = torch.meshgrid(depth, y, x, indexing="ij")
    local = torch.stack([x * z, y * z, z], -1).view(1, -1, 3)
    return local @ pose[:, :3, :3].mT + pose[:, None, :3, 3]


def _smoothed(cells: Tensor) -> Tensor:
    """Cells [1, plane, h, w] and their neighbours in all directions."""
    kernel = cells.new_tensor(_KERNEL)
    cells = cells[:, None]
    for axis in range(3):
        shape, padding = [1] * 3, [0] * 3
        shape[axis], padding[axis] = 3, 1
        cells = F.conv3d(cells, kernel.view(1, 1, *shape), padding=padding)
    return cells[:, 0]


def _rays_that_meet(volume: Tensor, cameras: Cameras) -> Tensor:
    """Which pixels [view - 1, height, width] of cameras 1.. may show something of a decided volume."""
    height, width = cameras.size
    others = cameras[1:]
    filled = _cell_centres(volume.shape[2:], cameras[:1])[:, volume[0, 0].flatten() > _EMPTY / 2]
    pixels, _ = project(filled.expand(len(others), -1, -1), others.world_from_camera, others.intrinsics)
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    column, row = (pixels / _TILE).long().unbind(-1)
    known = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    tiles = torch.zeros(len(others), rows, columns, device=volume.device)
    view = torch.arange(len(others), device=volume.device)[:, None].expand_as(row)
    tiles[view[known], row[known], column[known]] = 1
    tiles = F.max_pool2d(tiles[:, None], 3, 1, 1)
    return F.interpolate(tiles, scale_factor=float(_TILE))[:, 0, :height, :width] > 0
