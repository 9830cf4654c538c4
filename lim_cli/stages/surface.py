"""The surface inside a triplane: a mesh of the level set, and what the fields say on it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lim_cli.core.errors import InputError
from lim_cli.geometry.marching_cubes import UNIT_BOX, Bounds, EmptySurfaceError, extract_surface
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.mesh_cleanup import keep_components
from lim_cli.models.triplane import FieldDecoder

POINTS_AT_ONCE = 1 << 16


@torch.no_grad()
def triplane_surface(
    field: FieldDecoder,
    triplane: Tensor,
    *,
    resolution: int,
    bounds: Bounds = UNIT_BOX,
    min_fraction: float = 0.02,
) -> Mesh:
    """Mesh where the density logit of a triplane [3, c, h, w] is 0, without floaters smaller than `min_fraction`.

    Raises:
        InputError: there is no surface at all.
        NumericalError: the field is NaN somewhere.
    """
    query = FieldQuery(field, triplane)
    try:
        mesh = extract_surface(query.logits, level=0.0, resolution=resolution, bounds=bounds, chunk=POINTS_AT_ONCE)
    except EmptySurfaceError as error:
        raise InputError(
            "No object was found in the views; check the matte (--matte) and that the object is in the picture."
        ) from error
    return keep_components(mesh, min_fraction)


class FieldQuery:
    """A decoded triplane as numpy functions of points [N, 3] in the model frame."""

    def __init__(self, field: FieldDecoder, triplane: Tensor) -> None:
        self._field = field
        with torch.no_grad():
            self._projected = field.project(triplane)

    def logits(self, points: np.ndarray) -> np.ndarray:
        """Density logits [N]; 0 is the surface."""
        return self._query(points)[0]

    def values(self, points: np.ndarray) -> np.ndarray:
        """Colours in [0, 1], or canonical XYZ: [N, 3]."""
        return self._query(points)[1]

    @torch.no_grad()
    def _query(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, values = [], []
        for start in range(0, len(points), POINTS_AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(points[start : start + POINTS_AT_ONCE], np.float32))
            found = self._field.at_points(self._projected, part.to(self._projected.device))
            logits.append(found[0].cpu().numpy())
            values.append(found[1].cpu().numpy())
        if not logits:
            return np.zeros(0, np.float32), np.zeros((0, 3), np.float32)
        return np.concatenate(logits), np.concatenate(values)


def box_around(vertices: np.ndarray, margin: float) -> Bounds:
    """Bounds of vertices [vertex, 3] widened by `margin`, inside the unit box."""
    low = np.clip(vertices.min(0) - margin, -1, 1).astype(float)
    high = np.clip(vertices.max(0) + margin, -1, 1).astype(float)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
