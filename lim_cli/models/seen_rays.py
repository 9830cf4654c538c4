"""The rays that views of one instant cast near an object: what each saw, where it may have met something, and how far a

triplane is from showing the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lim_cli.core.camera import Cameras
from lim_cli.core.rays import camera_rays, intersect_box
from lim_cli.models.triplane import FieldDecoder, density
from lim_cli.render.marching import march_between

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

    def __getitem__(self, index: Tensor | slice | None) -> SeenRays:
        return SeenRays(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    @staticmethod
    def padded(several: Sequence[SeenRays]) -> SeenRays:
        """Rays of several instants [instant, ray], those with fewer filled up with rays of weight 0."""
        fields = SeenRays.__dataclass_fields__
        return SeenRays(*(pad_sequence([getattr(rays, n) for rays in several], batch_first=True) for n in fields))


@dataclass(frozen=True)
class Room:
    """What a lattice of a field tells of where things are: full (not surely empty, with a margin) and solid (density),

    both [x, y, z].
    """

    full: Tensor
    solid: Tensor

    @staticmethod
    @torch.no_grad()
    def of(field: FieldDecoder, triplane: Tensor) -> Room:
        """Of a triplane [3, c, h, w]."""
        axis = torch.linspace(-1, 1, _GRID, device=triplane.device)
        if triplane.is_cuda:  # one large product is faster there than many that fit a cache
            places = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(1, -1, 3)
            logits = field(triplane[None], places)[0].view(1, 1, _GRID, _GRID, _GRID)
        else:
            logits = field.on_lattice(field.project(triplane), (axis, axis, axis)).float()[None, None]
        return Room(F.max_pool3d(logits, 5, 1, 2)[0, 0] > _EMPTY_LOGIT, density(logits)[0, 0])

    def passages(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ray lengths [ray] between which a ray meets what is not surely empty (between which it is in the box if it

        meets nothing), and whether it does.
        """
        start, end = intersect_box(origins, directions)
        step = (end - start) / PLACES
        place = torch.arange(PLACES, device=origins.device)
        lengths = start[:, None] + step[:, None] * (place + 0.5)
        cell = torch.zeros(lengths.shape, dtype=torch.int32, device=lengths.device)
        for axis in range(3):
            along = torch.addcmul(origins[:, axis, None], directions[:, axis, None], lengths)
            cell = cell * _GRID + ((along + 1) * (0.5 * (_GRID - 1))).round_().clamp_(0, _GRID - 1).int()
        cell = cell.flatten()
        inside = self.full.flatten()[cell].view(lengths.shape) & (step > 0)[:, None]
        opaque = torch.cumsum(self.solid.flatten()[cell].view(lengths.shape) * step[:, None], 1) > _OPAQUE
        first = torch.where(inside, place, PLACES).amin(1)
        last = torch.where(inside, place, -1).amax(1)
        shut = torch.where(opaque, place, PLACES).amin(1)
        near = start + step * first
        far = torch.minimum(start + step * (last + 1), start + step * (shut + 1) + _ROOM)
        met = inside.any(1)
        return torch.where(met, near, start), torch.where(met, torch.minimum(far, end), end), met


@torch.no_grad()
def seen_rays(
    room: Room, pictures: Tensor, cameras: Cameras, trust: Sequence[float], *, phase: tuple[int, int] | None = None
) -> SeenRays:
    """The rays of views [view, 4, h, w] (premultiplied, in [0, 1]) that meet what there is, or ought to: those that a

    matte calls opaque.

    Args:
        trust: weight of each view; views of weight 0 cast none.
        phase: row and column, each 0 or 1, of the only pixel in every square of two by two that casts one; None: all.
    """
    chosen = [view for view, weight in enumerate(trust) if weight > 0]
    row, column = phase or (0, 0)
    stride = 1 if phase is None else 2

    def picked(values: Tensor) -> Tensor:
        """[view, h, w, ...] -> [ray, ...]."""
        return values[:, row::stride, column::stride].flatten(0, 2)

    pictures = pictures[chosen]
    origins, directions = (picked(rays) for rays in camera_rays(cameras[torch.tensor(chosen)].to(pictures.device)))
    colours, mattes = picked(pictures[:, :3].movedim(1, -1)), picked(pictures[:, 3])
    near, far, met = room.passages(origins, directions)
    kept = ((met | (mattes > 0.5)) & (far > near)).nonzero()[:, 0]
    matte = pictures[:, 3:]
    around = F.max_pool2d(matte, OUTLINE, 1, OUTLINE // 2) + F.max_pool2d(-matte, OUTLINE, 1, OUTLINE // 2)
    weights = picked(torch.tensor([trust[v] for v in chosen], device=near.device).view(-1, 1, 1).expand_as(matte[:, 0]))
    chances = weights * (1 + (OUTLINE_SHARE - 1) * (picked(around[:, 0]) > 0.5))
    rays = SeenRays(origins, directions, near, far, colours, mattes, weights, chances)
    return rays[kept]


def disagreement(
    field: FieldDecoder, triplane: Tensor, rays: SeenRays, samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Between triplanes [batch, 3, c, h, w] and what their rays [batch, ray] saw: squared error of the premultiplied

    colour (channels' mean) and BCE of opacity and matte, both [batch, ray]. Or of one triplane [3, c, h, w] and its
    rays [ray]. Without a generator samples lie in the middles of their steps.
    """
    if triplane.ndim == 4:
        colour, outline = disagreement(field, triplane[None], rays[None], samples, generator)
        return colour[0], outline[0]

    def densities(points: Tensor) -> tuple[Tensor, Tensor]:
        logit, values = field(triplane, points)
        return density(logit), values

    rendered = march_between(
        densities, rays.origins, rays.directions, rays.near, rays.far, samples=samples, generator=generator
    )
    colour = (rendered.values - rays.colours).square().mean(-1)
    opacity = rendered.opacity.clamp(1e-3, 1 - 1e-3)
    outline = -(rays.mattes * opacity.log() + (1 - rays.mattes) * (1 - opacity).log())
    return colour, outline
