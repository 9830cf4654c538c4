"""The surface inside a triplane: a mesh of the level set, and what the fields say on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError
from lim_cli.geometry.inflation import Balls
from lim_cli.geometry.marching_cubes import UNIT_BOX, Bounds, EmptySurfaceError, surface_from_lattice
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.mesh_cleanup import keep_components
from lim_cli.geometry.rasterize import rasterize
from lim_cli.geometry.silhouettes import Silhouette, room_inside
from lim_cli.models.triplane import FieldDecoder
from lim_cli.stages.failures import require_finite

POINTS_AT_ONCE = 1 << 16
LEVELS = (0.0, -0.25, -0.5, -0.75, -1.0, -1.25, -1.5, -1.75, -2.0)
LOGIT_PER_PIXEL = 0.5


class NoObjectError(InputError):
    """The triplane holds no surface at the level."""


@dataclass(frozen=True)
class Lattice:
    """Density logits [x, y, z] of a triplane on the points of a lattice, the ends of which are at `bounds`."""

    logits: np.ndarray
    bounds: Bounds

    @staticmethod
    @torch.no_grad()
    def of(field: FieldDecoder, triplane: Tensor, *, resolution: int, bounds: Bounds = UNIT_BOX) -> Lattice:
        """Of a triplane [3, c, h, w], `resolution` points along each axis."""
        # a whole lattice is cheaper than a sparse one here: its plane features are interpolated once per plane
        axes = tuple(
            torch.linspace(low, high, resolution, device=triplane.device) for low, high in zip(*bounds, strict=True)
        )
        return Lattice(field.on_lattice(field.project(triplane), axes).cpu().numpy(), bounds)  # type: ignore[arg-type]

    def surface(
        self,
        level: float,
        *,
        silhouettes: Sequence[Silhouette] = (),
        added: Balls | None = None,
        min_fraction: float = 0.02,
    ) -> Mesh:
        """Mesh where the logit is `level`, without floaters below `min_fraction`.

        silhouettes: space outside any of them is cut away, to a fraction of a pixel. added: is solid all the same.

        Raises:
            NoObjectError: there is no surface at all.
            NumericalError: the field is NaN somewhere.
        """
        logits = carved(self.logits, level, silhouettes, self.bounds)
        if added is not None:
            logits = added.raise_lattice(logits, self.bounds, level, LOGIT_PER_PIXEL)
        try:
            mesh = surface_from_lattice(logits, level, self.bounds)
        except EmptySurfaceError as error:
            raise NoObjectError(
                "No object was found in the views; check the matte (--matte) and that the object is in the picture."
            ) from error
        return keep_components(mesh, min_fraction)


def triplane_surface(
    field: FieldDecoder, triplane: Tensor, *, resolution: int, bounds: Bounds = UNIT_BOX, level: float = 0.0
) -> Mesh:
    """`Lattice.surface` of a triplane [3, c, h, w].

    Raises:
        NoObjectError: there is no surface at all.
        NumericalError: the field is NaN somewhere.
    """
    return Lattice.of(field, triplane, resolution=resolution, bounds=bounds).surface(level)


def carved(logits: np.ndarray, level: float, silhouettes: Sequence[Silhouette], bounds: Bounds) -> np.ndarray:
    """Logits [x, y, z] cut off at the silhouettes: below `level` wherever a matte says that nothing is."""
    return _cut(logits, level, _room(logits > level - 1.0, silhouettes, bounds))


def _room(solid: np.ndarray, silhouettes: Sequence[Silhouette], bounds: Bounds) -> np.ndarray | None:
    """Pixels [x, y, z] by which lattice points lie inside all silhouettes, infinite where not `solid`."""
    if not silhouettes or not solid.any():
        return None
    index = np.argwhere(solid)
    low, high = np.asarray(bounds[0]), np.asarray(bounds[1])
    points = (low + index * ((high - low) / (np.asarray(solid.shape) - 1))).astype(np.float32)
    room = np.full(solid.shape, np.inf, np.float32)
    room[solid] = room_inside(list(silhouettes), points)
    return room


def _cut(logits: np.ndarray, level: float, room: np.ndarray | None) -> np.ndarray:
    return logits if room is None else np.minimum(logits, level + LOGIT_PER_PIXEL * room)


@torch.no_grad()
def agreeing_level(
    field: FieldDecoder,
    triplane: Tensor,
    cameras: Cameras,
    mattes: np.ndarray,
    *,
    silhouettes: Sequence[Silhouette] = (),
    resolution: int = 96,
) -> float:
    """The level whose surface agrees best with the mattes [view, h, w] (bool) of the cameras [view].

    A network trained for little time is unsure of thin parts: their logits stay below 0, where a surface at 0
    would lose them. The input's own silhouettes say how far down to go.
    """
    logits = Lattice.of(field, triplane, resolution=resolution).logits
    room = _room(logits > min(LEVELS) - 1.0, silhouettes, UNIT_BOX)
    best, best_score = 0.0, -1.0
    for level in LEVELS:
        inside = logits > level
        if not inside.any() or inside.all():
            continue  # no surface at this level
        cut = _cut(logits, level, room)
        if not (cut > level).any():
            continue
        mesh = keep_components(surface_from_lattice(cut, level), 0.02)
        score = silhouette_agreement(mesh, cameras, mattes)
        if score > best_score:
            best, best_score = level, score
    return best


def silhouette_agreement(mesh: Mesh, cameras: Cameras, mattes: np.ndarray) -> float:
    """Mean IoU of a mesh's silhouettes and mattes [view, h, w] (bool); both empty counts as 1."""
    scores = []
    for view, matte in enumerate(mattes):
        pose, intrinsics = cameras.world_from_camera[view].numpy(), cameras.intrinsics[view].numpy()
        drawn = rasterize(mesh.vertices, mesh.faces, pose, intrinsics, (matte.shape[0], matte.shape[1])).mask
        union = np.count_nonzero(drawn | matte)
        scores.append(np.count_nonzero(drawn & matte) / union if union else 1.0)
    return float(np.mean(scores))


class FieldQuery:
    """A decoded triplane as numpy functions of points [N, 3] in the model frame."""

    def __init__(self, field: FieldDecoder, triplane: Tensor) -> None:
        self._field = field
        with torch.no_grad():
            self._projected = field.project(triplane)

    @torch.no_grad()
    def values(self, points: np.ndarray) -> np.ndarray:
        """Colours in [0, 1], or canonical XYZ: [N, 3].

        Raises:
            NumericalError: one is NaN or infinite.
        """
        values = [np.zeros((0, 3), np.float32)]
        for start in range(0, len(points), POINTS_AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(points[start : start + POINTS_AT_ONCE], np.float32))
            values.append(self._field.at_points(self._projected, part.to(self._projected.device))[1].cpu().numpy())
        joined = np.concatenate(values)
        require_finite("A colour or coordinate read from a triplane", joined)
        return joined


def box_around(vertices: np.ndarray, margin: float) -> Bounds:
    """Bounds of vertices [vertex, 3] widened by `margin`, inside the unit box."""
    low = np.clip(vertices.min(0) - margin, -1, 1).astype(float)
    high = np.clip(vertices.max(0) + margin, -1, 1).astype(float)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
