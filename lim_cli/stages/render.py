"""Pictures of a triplane from chosen cameras: colour, depth and opacity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.rays import camera_rays
from lim_cli.models.triplane import FieldDecoder, density
from lim_cli.render.marching import march_rays
from lim_cli.stages.views import camera_distance

SAMPLES = 128
RAYS_AT_ONCE = 4096
_GRID = 48
_EMPTY_LOGIT = -2.5  # below it a whole unit of length lets 95 % of the light through


@dataclass(frozen=True)
class RenderedViews:
    """rgb [view, h, w, 3] float32 in [0, 1], straight (0 where empty); opacity [view, h, w] in [0, 1];

    depth [view, h, w]: camera z in model units, 0 where nothing was met.
    """

    rgb: np.ndarray
    depth: np.ndarray
    opacity: np.ndarray

    def rgba(self) -> np.ndarray:
        """Straight-alpha RGBA [view, h, w, 4] uint8."""
        stacked = np.concatenate([self.rgb, self.opacity[..., None]], -1)
        return np.asarray((stacked * 255 + 0.5).clip(0, 255), np.uint8)


def orbit(azimuths: list[float], *, elevation: float, field_of_view: float, size: int) -> Cameras:
    """Cameras around the model, as far away as the unit ball just fits; angles in degrees."""
    distance = camera_distance(field_of_view)
    return orbit_cameras(
        azimuths, elevation=elevation, field_of_view=field_of_view, distance=distance, size=(size, size)
    )


@torch.no_grad()
def render_view(field: FieldDecoder, triplane: Tensor, cameras: Cameras, *, samples: int = SAMPLES) -> RenderedViews:
    """Renders a triplane [3, c, h, w] from cameras [view] by ray marching (sec. 3.1).

    Rays are cut into `samples` steps inside the cube around what is not empty, and the field is asked only in
    lattice cells that are not; memory is bounded by `RAYS_AT_ONCE`.
    """
    space = _Occupied(field, triplane)
    device, (height, width) = triplane.device, cameras.size
    origins, directions = camera_rays(cameras.to(device))  # [view, h, w, 3]
    forward = cameras.world_from_camera[:, None, None, :3, 2].to(device)
    depth_of_length = (directions * forward).sum(-1)  # cosine between ray and optical axis
    shifted = (origins - space.centre).reshape(1, -1, 3)
    flat = directions.reshape(1, -1, 3)
    parts = [
        march_rays(space, o, d, samples=samples, half_size=space.half_size)
        for o, d in zip(shifted.split(RAYS_AT_ONCE, 1), flat.split(RAYS_AT_ONCE, 1), strict=True)
    ]
    shape = (len(cameras), height, width)
    opacity = torch.cat([p.opacity for p in parts], 1).view(shape)
    values = torch.cat([p.values for p in parts], 1).view(*shape, 3)
    length = torch.cat([p.ray_length for p in parts], 1).view(shape)
    rgb = values / opacity[..., None].clamp_min(1e-4)
    return RenderedViews(
        rgb.clamp(0, 1).cpu().numpy(), (length * depth_of_length).cpu().numpy(), opacity.clamp(0, 1).cpu().numpy()
    )


class _Occupied:
    """A triplane's field about `centre`, which answers from a coarse lattice where space is surely empty."""

    def __init__(self, field: FieldDecoder, triplane: Tensor) -> None:
        self._field, self._projected = field, field.project(triplane)
        axis = torch.linspace(-1, 1, _GRID, device=triplane.device)
        logits = field.on_lattice(self._projected, (axis, axis, axis))
        # a lattice point speaks for the cells around it: thin parts between points are met by its neighbours
        near = torch.nn.functional.max_pool3d(logits[None, None].float(), 5, 1, 2)[0, 0]
        self._full = near > _EMPTY_LOGIT
        found = axis[self._full.nonzero()]  # [n, 3]
        step = 2.0 / (_GRID - 1)
        low = (found.amin(0) - step).clamp(min=-1) if len(found) else axis.new_zeros(3)
        high = (found.amax(0) + step).clamp(max=1) if len(found) else axis.new_zeros(3)
        self.centre = (low + high) / 2
        self.half_size = float((high - low).max() / 2) if len(found) else 1e-3

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points [1, point, 3] relative to `centre` -> density [1, point], colour [1, point, 3]."""
        places = points[0] + self.centre
        cell = ((places + 1) * (0.5 * (_GRID - 1))).round().long().clamp(0, _GRID - 1)
        inside = (places.abs() <= 1).all(-1) & self._full[cell[:, 0], cell[:, 1], cell[:, 2]]
        index = inside.nonzero()[:, 0]
        sigma, values = places.new_zeros(len(places)), places.new_zeros(len(places), 3)
        if len(index):
            logit, colour = self._field.at_points(self._projected, places[index])
            sigma[index], values[index] = density(logit), colour
        return sigma[None], values[None]
