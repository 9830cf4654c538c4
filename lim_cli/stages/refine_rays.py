"""The rays that views of one instant cast near an object, each with what it saw and where it may have met something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.core.camera import Cameras
from lim_cli.core.rays import camera_rays, intersect_box
from lim_cli.models.lrm import premultiplied
from lim_cli.models.triplane import FieldDecoder, density

SIZE = 128
"""Pixels on a side to which views are shrunk before they are compared; LRM itself was shown no more."""
PLACES = 64
"""Places a ray at which a lattice says whether there is anything."""
OUTLINE = 5
"""Pixels across the band about a matte's outline."""
OUTLINE_SHARE = 3.0
"""A ray in that band is drawn as often as so many others."""
_GRID = 48
_EMPTY_LOGIT = -2.5  # as in `stages.render`
_OPAQUE = 6.0  # optical thickness behind which nothing shows
_ROOM = 0.15  # how far behind that the surface may yet recede, model units


@dataclass(frozen=True)
class SeenRays:
    """Rays [ray] in the model frame: origins and unit directions [ray, 3], bounds near and far [ray] (ray lengths),

    colours seen [ray, 3] (premultiplied) and mattes [ray], both in [0, 1], weights [ray] of the views they belong to,
    and how often to draw each, chances [ray] (not normalised).
    """

    origins: Tensor
    directions: Tensor
    near: Tensor
    far: Tensor
    colours: Tensor
    mattes: Tensor
    weights: Tensor
    chances: Tensor

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, index: Tensor) -> SeenRays:
        return SeenRays(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


@torch.no_grad()
def seen_rays(
    field: FieldDecoder, triplane: Tensor, rgba: np.ndarray, cameras: Cameras, trust: Sequence[float]
) -> SeenRays:
    """The rays of views [view, h, w, 4] (uint8, straight alpha) that meet what a triplane [3, c, h, w] holds, or ought

    to: those that a matte calls opaque. trust: weight of each view; views of weight 0 cast none.
    """
    device, side = triplane.device, min(SIZE, rgba.shape[1])
    chosen = [view for view, weight in enumerate(trust) if weight > 0]
    pictures = premultiplied(torch.from_numpy(rgba[chosen]).to(device).movedim(-1, 1).float() / 255)
    if pictures.shape[-2:] != (side, side):
        pictures = F.interpolate(pictures, size=(side, side), mode="bilinear", antialias=True)
    origins, directions = camera_rays(cameras[torch.tensor(chosen)].resized((side, side)).to(device))
    origins, directions = origins.reshape(-1, 3), directions.reshape(-1, 3)
    mattes = pictures[:, 3].flatten()
    near, far, met = _passages(field, triplane, origins, directions)
    start, end = intersect_box(origins, directions)
    opaque = mattes > 0.5
    near = torch.where(met, near, start)
    far = torch.where(met, far, end)
    kept = ((met | opaque) & (far > near)).nonzero()[:, 0]
    matte = pictures[:, 3:]
    around = F.max_pool2d(matte, OUTLINE, 1, OUTLINE // 2) + F.max_pool2d(-matte, OUTLINE, 1, OUTLINE // 2)
    weights = torch.tensor([trust[view] for view in chosen], device=device).repeat_interleave(side * side)
    chances = weights * (1 + (OUTLINE_SHARE - 1) * (around.flatten() > 0.5))
    rays = SeenRays(
        origins, directions, near, far, pictures[:, :3].movedim(1, -1).reshape(-1, 3), mattes, weights, chances
    )
    return rays[kept]


def _passages(
    field: FieldDecoder, triplane: Tensor, origins: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Ray lengths [ray] between which a ray meets what is not surely empty, and whether it does at all."""
    axis = torch.linspace(-1, 1, _GRID, device=triplane.device)
    logits = field.on_lattice(field.project(triplane), (axis, axis, axis)).float()[None, None]
    full = F.max_pool3d(logits, 5, 1, 2)[0, 0] > _EMPTY_LOGIT
    solid = density(logits)[0, 0]
    start, end = intersect_box(origins, directions)
    step = (end - start) / PLACES
    lengths = start[:, None] + step[:, None] * (torch.arange(PLACES, device=axis.device) + 0.5)
    points = origins[:, None] + directions[:, None] * lengths[..., None]
    cell = ((points + 1) * (0.5 * (_GRID - 1))).round().long().clamp(0, _GRID - 1).unbind(-1)
    inside = full[cell] & (step > 0)[:, None]
    opaque = torch.cumsum(solid[cell] * step[:, None], 1) > _OPAQUE
    place = torch.arange(PLACES, device=axis.device)
    first = torch.where(inside, place, PLACES).amin(1)
    last = torch.where(inside, place, -1).amax(1)
    shut = torch.where(opaque, place, PLACES).amin(1)
    near = start + step * first
    far = torch.minimum(start + step * (last + 1), start + step * (shut + 1) + _ROOM)
    return near, torch.minimum(far, end), inside.any(1)
