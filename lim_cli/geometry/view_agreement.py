"""Whether views of one instant can be of one object: mattes against their visual hull, colours where two views meet.

The visual hull is what all mattes leave room for. It is asked for along the rays of every view's pixels, so nothing is
rasterized: a matte's pixel belongs to the hull's silhouette where some point of its ray lies in all other mattes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lim_cli.geometry.rasterize import camera_points

SIZE = 64
"""Pixels on a side at which views are compared."""
SAMPLES = 96
"""Points along each ray, within the unit ball's depth."""
SOLID = 0.5
SAME_SURFACE = 0.1
"""Model units: nearer to the point that a view sees in that place, a point counts as seen by it."""


@dataclass(frozen=True)
class ViewAgreement:
    """mask: [view], IoU of each matte with the silhouette of the visual hull of all; 1 where both are empty.

    colour: [view], 1 less the mean difference (0 to 1) between the view's colours and its neighbours' at hull points
    that both see; NaN where there are none.
    """

    mask: np.ndarray
    colour: np.ndarray


@dataclass(frozen=True)
class _View:
    """matte: [h, w] bool; colour: [h, w, 3] in [0, 1]; pose: world_from_camera [4, 4]; intrinsics: [4]."""

    matte: np.ndarray
    colour: np.ndarray
    pose: np.ndarray
    intrinsics: np.ndarray

    def look_up(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World points [n, 3] -> row and column [n] of their pixels, kept inside the picture, and depth [n]."""
        local = camera_points(points, self.pose)
        pixels = local[:, :2] / np.maximum(local[:, 2:], 1e-6) * self.intrinsics[:2] + self.intrinsics[2:]
        column, row = np.clip(pixels, 0, len(self.matte) - 1).astype(np.int64).T
        return row, column, local[:, 2]


def view_agreement(rgba: np.ndarray, world_from_camera: np.ndarray, intrinsics: np.ndarray) -> ViewAgreement:
    """Agreement of square views [view, h, h, 4] uint8 (straight alpha) of one instant.

    world_from_camera: [view, 4, 4]; intrinsics: [view, 4] for these pictures; the object lies in the unit ball.
    """
    views = [_small(*given) for given in zip(rgba, world_from_camera, intrinsics, strict=True)]
    depths = [_hull_depth(views, v) for v in range(len(views))]
    mask = [
        np.isfinite(d).sum() / max(v.matte.sum(), 1) if v.matte.any() else 1.0
        for v, d in zip(views, depths, strict=True)
    ]
    colour = [_colour_agreement(views, depths, v) for v in range(len(views))]
    return ViewAgreement(np.array(mask, np.float64), np.array(colour, np.float64))


def _small(rgba: np.ndarray, pose: np.ndarray, intrinsics: np.ndarray) -> _View:
    premultiplied = rgba.astype(np.float32) / 255
    premultiplied[..., :3] *= premultiplied[..., 3:]
    if rgba.shape[:2] != (SIZE, SIZE):
        premultiplied = cv2.resize(premultiplied, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    alpha = premultiplied[..., 3]
    colour = premultiplied[..., :3] / np.maximum(alpha, 1e-3)[..., None]
    return _View(alpha > SOLID, colour, np.asarray(pose, np.float64), intrinsics * (SIZE / len(rgba)))


def _hull_depth(views: list[_View], index: int) -> np.ndarray:
    """Camera z [h, w] at which each pixel's ray enters the visual hull; infinite where it does not."""
    view = views[index]
    depth = np.full(view.matte.shape, np.inf)
    rows, columns = np.nonzero(view.matte)
    if not len(rows):
        return depth
    local = np.stack([columns + 0.5, rows + 0.5], -1) - view.intrinsics[2:]
    local = np.concatenate([local / view.intrinsics[:2], np.ones((len(rows), 1))], -1)
    away = float(np.linalg.norm(view.pose[:3, 3]))
    stops = np.linspace(max(away - 1, 1e-3), away + 1, SAMPLES)
    points = (stops[:, None, None] * local) @ view.pose[:3, :3].T + view.pose[:3, 3]  # [sample, pixel, 3]
    inside = np.ones(points.shape[:2], bool)
    for other in (v for n, v in enumerate(views) if n != index):
        left = np.flatnonzero(inside)
        row, column, _ = other.look_up(points.reshape(-1, 3)[left])
        inside.reshape(-1)[left] = other.matte[row, column]
    met = inside.any(0)
    depth[rows[met], columns[met]] = stops[inside.argmax(0)[met]]
    return depth


def _colour_agreement(views: list[_View], depths: list[np.ndarray], index: int) -> float:
    view, count = views[index], len(views)
    rows, columns = np.nonzero(np.isfinite(depths[index]))
    stops = depths[index][rows, columns]
    local = np.stack([columns + 0.5, rows + 0.5], -1) - view.intrinsics[2:]
    local = np.concatenate([local / view.intrinsics[:2], np.ones((len(rows), 1))], -1) * stops[:, None]
    points = local @ view.pose[:3, :3].T + view.pose[:3, 3]
    differences = [np.zeros(0)]
    for n in {(index - 1) % count, (index + 1) % count} - {index}:
        row, column, depth = views[n].look_up(points)
        seen = np.abs(depths[n][row, column] - depth) < SAME_SURFACE
        difference = np.abs(view.colour[rows, columns] - views[n].colour[row, column]).mean(-1)
        differences.append(difference[seen])
    joined = np.concatenate(differences)
    return 1 - float(joined.mean()) if len(joined) else float("nan")
