"""What a surface lacks of the mattes, blown up: the solid of balls whose outline is the part of a matte left bare.

As in sketch-based modelling (Igarashi et al. 1999), a region of a picture becomes a solid about its medial axis. How
deep it lies is carried on from where the surface ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from lim_cli.geometry.marching_cubes import Bounds
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.rasterize import rasterize
from lim_cli.geometry.silhouettes import Silhouette, room_inside

RIM = 2.5
"""Pixels from the drawn surface within which a bare part is its outline's affair."""
LARGEST = 0.15
"""Largest radius of a ball, world units."""
REACH = 0.6
"""How far in depth, world units, a bare part may lie from where the surface ends."""
DEPTHS = 33
"""How many places are tried between the two ends of that."""
NEIGHBOURS = np.array([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)])


@dataclass(frozen=True)
class Balls:
    """centres [ball, 3] and radii [ball], world units; pixel [ball], world units that a pixel is wide there."""

    centres: np.ndarray
    radii: np.ndarray
    pixel: np.ndarray

    def __len__(self) -> int:
        return len(self.radii)

    @staticmethod
    def joined(parts: list[Balls]) -> Balls:
        return Balls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("centres", "radii", "pixel")))

    def raise_lattice(self, values: np.ndarray, bounds: Bounds, level: float, slope: float) -> np.ndarray:
        """Lattice values [x, y, z] over `bounds` raised to `level` + `slope` times the pixels inside the balls.

        A ball is never taken for smaller than what the lattice can hold.
        """
        low = np.asarray(bounds[0])
        step = (np.asarray(bounds[1]) - low) / (np.asarray(values.shape) - 1)
        result = values.copy()
        last = np.asarray(values.shape) - 1
        for centre, radius, pixel in zip(self.centres, self.radii, self.pixel, strict=True):
            held = max(float(radius), 0.75 * float(step.max()))
            reach = held + 2 * float(step.max())
            first = np.clip(np.floor((centre - reach - low) / step), 0, last).astype(int)
            final = np.clip(np.ceil((centre + reach - low) / step), 0, last).astype(int) + 1
            part = tuple(slice(a, b) for a, b in zip(first, final, strict=True))
            x, y, z = (low[k] + step[k] * np.arange(first[k], final[k]) - centre[k] for k in range(3))
            distance = np.sqrt(x[:, None, None] ** 2 + y[:, None] ** 2 + z**2)
            inside = level + slope * (held - distance) / float(pixel)
            result[part] = np.maximum(result[part], inside)
        return result


_NONE = Balls(np.zeros((0, 3)), np.zeros(0), np.zeros(0))


def bare_balls(mesh: Mesh, silhouettes: list[Silhouette]) -> Balls | None:
    """Balls that fill what the mesh leaves bare of the mattes; None where that is no more than its outline.

    Each matte's bare parts lie at the depth where the surface about them ends, or as near to it as the other mattes
    allow; what no depth brings inside all of them is left out.
    """
    found: list[Balls] = []
    for number, silhouette in enumerate(silhouettes):
        others = silhouettes[:number] + silhouettes[number + 1 :]
        balls = _of_view(mesh, silhouette, others, found)
        if len(balls):
            found.append(balls)
    return Balls.joined(found) if found else None


def _of_view(mesh: Mesh, silhouette: Silhouette, others: list[Silhouette], before: list[Balls]) -> Balls:
    size = (silhouette.matte.shape[0], silhouette.matte.shape[1])
    raster = rasterize(mesh.vertices, mesh.faces, silhouette.pose, silhouette.intrinsics, size)
    depth = np.where(raster.mask, raster.depth, 0.0).astype(np.float64)
    covered = raster.mask.copy()
    for balls in before:
        _cover(covered, depth, balls, silhouette)
    if not covered.any():
        return _NONE  # nothing says how deep
    away = cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 5)
    parts, count = ndimage.label(silhouette.matte & ~covered, np.ones((3, 3)))
    farthest = ndimage.maximum(away, parts, np.arange(1, count + 1)) if count else np.zeros(0)
    large = 1 + np.flatnonzero(np.asarray(farthest) > RIM)
    return Balls.joined([_NONE, *(_part(parts == part, covered, depth, silhouette, others) for part in large)])


def _cover(covered: np.ndarray, depth: np.ndarray, balls: Balls, silhouette: Silhouette) -> None:
    """Draws balls into a mask and its depths."""
    pixels, deep = silhouette.project(balls.centres)
    radius = balls.radii / deep * float(silhouette.intrinsics[0])
    for (x, y), far, wide in zip(pixels, deep, radius, strict=True):
        disc = np.zeros(covered.shape, np.uint8)
        cv2.circle(disc, (int(x), int(y)), max(round(float(wide)), 1), 1, -1)
        new = (disc > 0) & ~covered
        depth[new] = far
        covered |= disc > 0


def _part(
    part: np.ndarray, covered: np.ndarray, depth: np.ndarray, silhouette: Silhouette, others: list[Silhouette]
) -> Balls:
    """The balls of one connected bare part [h, w] bool."""
    rows, columns = _medial(part, silhouette.distance)
    deep = _carried_on(part, covered, depth)[rows, columns]
    focal = float(silhouette.intrinsics[0])
    rays = np.stack([columns + 0.5, rows + 0.5], 1)
    local = np.concatenate([(rays - silhouette.intrinsics[2:]) / silhouette.intrinsics[:2], np.ones((len(rays), 1))], 1)
    pose = silhouette.pose.astype(np.float64)

    def placed(depths: np.ndarray) -> np.ndarray:
        return np.asarray((local * depths[:, None]) @ pose[:3, :3].T + pose[:3, 3])

    kept = np.ones(len(deep), bool)
    if others:
        shifts = np.linspace(-REACH, REACH, DEPTHS)
        inside = np.stack([room_inside(others, placed(deep + shift).astype(np.float32)) > 0 for shift in shifts])
        score = inside.sum(1) - 0.25 * len(deep) * np.abs(shifts) / REACH
        best = int(score.argmax())
        deep, kept = deep + shifts[best], inside[best]
    radius = (silhouette.distance[rows, columns] + 0.5) * deep / focal
    balls = Balls(placed(deep), np.minimum(radius, LARGEST), deep / focal)
    return Balls(balls.centres[kept], balls.radii[kept], balls.pixel[kept])


def _medial(part: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of those pixels of a part whose disc no neighbour's disc holds."""
    padded = np.pad(distance, 1, constant_values=-1e3)
    held = np.zeros(part.shape, bool)
    height, width = part.shape
    for row, column in NEIGHBOURS:
        beside = padded[1 + row : 1 + row + height, 1 + column : 1 + column + width]
        held |= beside >= distance + np.hypot(row, column) - 1e-3
    rows, columns = np.nonzero(part & ~held)
    return rows, columns


def _carried_on(part: np.ndarray, covered: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Depth [h, w], in the part as smooth as can be (harmonic) from where covered pixels touch it."""
    touching = ndimage.binary_dilation(part, np.ones((3, 3))) & covered
    if not touching.any():
        _, nearest = ndimage.distance_transform_edt(~covered, return_indices=True)
        return np.asarray(depth[tuple(nearest)])
    number = np.full(part.shape, -1)
    number[part] = np.arange(np.count_nonzero(part))
    fixed = np.pad(np.where(touching, depth, 0.0), 1)
    number, known = np.pad(number, 1, constant_values=-1), np.pad(touching, 1)
    rows, columns = np.nonzero(number >= 0)
    count = len(rows)
    diagonal, right = np.full(count, 1e-9), np.zeros(count)
    entries = []
    for row, column in NEIGHBOURS:
        beside = number[rows + row, columns + column]
        joined, held = beside >= 0, known[rows + row, columns + column]
        diagonal += joined + held
        right += np.where(held, fixed[rows + row, columns + column], 0.0)
        entries.append((np.flatnonzero(joined), beside[joined]))
    first, second = (np.concatenate(ends) for ends in zip(*entries, strict=True))
    system = sparse.csr_matrix((-np.ones(len(first)), (first, second)), shape=(count, count)) + sparse.diags(diagonal)
    result = depth.copy()
    result[part] = np.atleast_1d(spsolve(system.tocsc(), right))
    return result
