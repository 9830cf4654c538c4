"""The level set of a density lattice as a closed mesh."""

from __future__ import annotations

import mcubes
import numpy as np
from scipy import ndimage

from lim_cli.core.errors import LimError, NumericalError
from lim_cli.geometry.mesh import Mesh

Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]

UNIT_BOX: Bounds = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
# Crossings closer than this fraction of an edge to a lattice point make needle triangles.
_SNAP = 0.02


class EmptySurfaceError(LimError):
    """The density field never crosses the level: there is no object to mesh."""


def surface_from_lattice(values: np.ndarray, level: float, bounds: Bounds = UNIT_BOX) -> Mesh:
    """Closed mesh of the level set of lattice values [r, r, r] indexed (x, y, z), ends at `bounds`.

    The lattice is padded with low density: an object that touches the border is capped less than one lattice
    step outside it.

    Raises:
        NumericalError: a value is NaN or infinite.
        EmptySurfaceError: no value, or every value, lies above the level.
    """
    if values.ndim != 3 or min(values.shape) < 2:
        raise ValueError(f"expected values [r, r, r] with r >= 2, got {values.shape}")
    if not np.isfinite(values).all():
        raise NumericalError("The density lattice holds NaN or infinity; the model's weights may be damaged.")
    above = values.astype(np.float32) - np.float32(level)
    if not (above > 0).any():
        raise EmptySurfaceError(f"No surface: the density never rises above {level:g} (its top is {values.max():g}).")
    if (above > 0).all():
        raise EmptySurfaceError(f"No surface: the density lies above {level:g} everywhere in the box.")
    outside = min(float(above.min()), -float(above.max()))
    padded = _separate(np.pad(above, 1, constant_values=outside))
    vertices, faces = mcubes.marching_cubes(padded, 0.0)
    low, high = np.asarray(bounds[0]), np.asarray(bounds[1])
    step = (high - low) / (np.asarray(values.shape) - 1)
    world = (low + (vertices - 1.0) * step).astype(np.float32)
    return Mesh(world, np.ascontiguousarray(faces, dtype=np.int32))


def _separate(above: np.ndarray) -> np.ndarray:
    """Keeps values off zero, relative to their largest neighbour: no triangle is degenerate."""
    reach = np.abs(above)
    for axis in range(3):
        reach = ndimage.maximum_filter1d(reach, 3, axis=axis, mode="nearest")
    least = np.maximum(_SNAP * reach, np.float32(1e-12))
    sign = np.where(above > 0, np.float32(1.0), np.float32(-1.0))
    return np.asarray(sign * np.maximum(np.abs(above), least))
