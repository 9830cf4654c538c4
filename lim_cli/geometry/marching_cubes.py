"""The level set of a density field as a closed mesh, evaluated coarse to fine."""

from __future__ import annotations

from collections.abc import Callable

import mcubes
import numpy as np
from scipy import ndimage

from lim_cli.core.errors import LimError, NumericalError
from lim_cli.geometry.mesh import Mesh

DensityField = Callable[[np.ndarray], np.ndarray]
Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]

UNIT_BOX: Bounds = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
# Crossings closer than this fraction of an edge to a lattice point make needle triangles.
_SNAP = 0.02


class EmptySurfaceError(LimError):
    """The density field never crosses the level: there is no object to mesh."""


def extract_surface(
    density_field: DensityField,
    *,
    level: float,
    resolution: int,
    bounds: Bounds = UNIT_BOX,
    coarse_stride: int = 4,
    chunk: int = 1 << 18,
) -> Mesh:
    """Closed mesh where `density_field` crosses `level`, faces counter-clockwise from low density.

    A lattice of every `coarse_stride`-th point is evaluated first, then the cells that the surface crosses
    and their neighbours, then whatever cells the surface was found to leave through. A part thinner than the
    coarse cell and touching nothing else can be missed; `coarse_stride=1` evaluates everything.

    Args:
        density_field: points [N, 3] (world frame) -> densities [N]; called with at most `chunk` points.
        level: density of the surface.
        resolution: lattice points per axis, ends included.
        bounds: low and high corner of the lattice, world frame.

    Raises:
        NumericalError: the field is NaN or infinite somewhere.
        EmptySurfaceError: the field does not cross the level.
    """
    if resolution < 2 or coarse_stride < 1:
        raise ValueError(f"expected resolution >= 2 and coarse_stride >= 1, got {resolution}, {coarse_stride}")
    axes = [np.linspace(low, high, resolution, dtype=np.float32) for low, high in zip(*bounds, strict=True)]
    knots = np.unique(np.append(np.arange(0, resolution, coarse_stride), resolution - 1))
    values = np.zeros((resolution,) * 3, np.float32)
    known = np.zeros(values.shape, bool)
    known[np.ix_(knots, knots, knots)] = True
    _evaluate(density_field, values, known, axes, chunk)
    coarse = values[np.ix_(knots, knots, knots)]
    values = np.where(known, values, _interpolate(coarse, knots, resolution))

    active = _mixed_cells(coarse > level, np.arange(len(knots)))
    active = ndimage.binary_dilation(active, np.ones((3, 3, 3), bool))
    while active.any():
        wanted = _points_of_cells(active, knots, resolution) & ~known
        _evaluate(density_field, values, wanted, axes, chunk)
        known |= wanted
        # Only cells never refined can be new: all points of a refined cell are known.
        active = _mixed_cells(values > level, knots) & ~_all_known(known, knots)
    return surface_from_lattice(values, level, bounds)


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


def _evaluate(field: DensityField, values: np.ndarray, wanted: np.ndarray, axes: list[np.ndarray], chunk: int) -> None:
    """Fills `values` where `wanted`, `chunk` points at a time."""
    flat = np.flatnonzero(wanted)
    for start in range(0, len(flat), chunk):
        part = flat[start : start + chunk]
        index = np.unravel_index(part, values.shape)
        points = np.stack([axis[i] for axis, i in zip(axes, index, strict=True)], axis=1)
        result = np.asarray(field(points), dtype=np.float32).reshape(-1)
        if result.shape != part.shape:
            raise ValueError(f"expected densities [{len(part)}] from the field, got {result.shape}")
        if not np.isfinite(result).all():
            raise NumericalError("The density field returned NaN or infinity; the model's weights may be damaged.")
        values[index] = result


def _interpolate(coarse: np.ndarray, knots: np.ndarray, resolution: int) -> np.ndarray:
    """Trilinear interpolation of values at the knots [k, k, k] onto the full lattice [r, r, r]."""
    position = np.arange(resolution)
    weight = np.stack([np.interp(position, knots, row) for row in np.eye(len(knots))], axis=1).astype(np.float32)
    full = np.tensordot(weight, coarse, axes=(1, 0))
    full = np.tensordot(full, weight, axes=(1, 1))  # [x, z, y]
    return np.asarray(np.tensordot(full, weight, axes=(1, 1)))  # [x, y, z]


def _pool(inside: np.ndarray, knots: np.ndarray, reduce: np.ufunc) -> np.ndarray:
    """Per-cell any/all over a cell's lattice points, both ends included: [r, r, r] -> [k-1, k-1, k-1]."""
    for axis in range(3):
        body = reduce.reduceat(inside, knots[:-1], axis=axis)
        inside = reduce(body, np.take(inside, knots[1:], axis=axis))
    return inside


def _mixed_cells(inside: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Cells with points on both sides of the surface."""
    return np.asarray(_pool(inside, knots, np.logical_or) & ~_pool(inside, knots, np.logical_and))


def _all_known(known: np.ndarray, knots: np.ndarray) -> np.ndarray:
    return _pool(known, knots, np.logical_and)


def _points_of_cells(active: np.ndarray, knots: np.ndarray, resolution: int) -> np.ndarray:
    """Lattice points [r, r, r] of the active cells [k-1, k-1, k-1], shared faces included."""
    points = np.arange(resolution)
    after = np.clip(np.searchsorted(knots, points, side="right") - 1, 0, len(knots) - 2)
    before = np.clip(np.searchsorted(knots, points, side="left") - 1, 0, len(knots) - 2)
    for axis in range(3):
        active = np.logical_or(np.take(active, after, axis=axis), np.take(active, before, axis=axis))
    return active


def _separate(above: np.ndarray) -> np.ndarray:
    """Keeps values off zero, relative to their largest neighbour: no triangle is degenerate."""
    reach = np.abs(above)
    for axis in range(3):
        reach = ndimage.maximum_filter1d(reach, 3, axis=axis, mode="nearest")
    least = np.maximum(_SNAP * reach, np.float32(1e-12))
    sign = np.where(above > 0, np.float32(1.0), np.float32(-1.0))
    return np.asarray(sign * np.maximum(np.abs(above), least))
