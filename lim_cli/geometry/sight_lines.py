"""What pictures say about a moving mesh: through which pixel a vertex must now be seen, by several cameras."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import sparse

from lim_cli.core.threads import in_threads
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.optical_flow import Flow, optical_flow, sampled
from lim_cli.geometry.rasterize import camera_points, interpolate, rasterize

LEAST_FACING = 0.2
DEPTH_TOLERANCE = 0.02
RIDGE = 0.02
"""Share of a vertex's weight that keeps it from sliding along its lines."""


@dataclass(frozen=True)
class Picture:
    """One posed picture. rgba: [h, w, 4] uint8, straight alpha. pose: world_from_camera [4, 4]; intrinsics: [4]."""

    rgba: np.ndarray
    pose: np.ndarray
    intrinsics: np.ndarray


@dataclass(frozen=True)
class SightLines:
    """Lines that vertices should lie on.

    vertex: [line] int64. origin, direction: [line, 3] float64, world frame, unit direction. weight: [line] in [0, 1].
    pixel: [line], world units that a pixel is wide at the vertex.
    """

    vertex: np.ndarray
    origin: np.ndarray
    direction: np.ndarray
    weight: np.ndarray
    pixel: np.ndarray

    @staticmethod
    def joined(parts: list[SightLines]) -> SightLines:
        names = ("vertex", "origin", "direction", "weight", "pixel")
        return SightLines(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def believed(self, vertices: np.ndarray, outlier: float) -> SightLines:
        """The same lines, each trusted the less the farther it passes from its vertex [vertex, 3].

        outlier: pixels of distance at which a line's weight has fallen to a quarter (Geman-McClure).
        """
        distance = self.distance(vertices) / self.pixel
        return replace(self, weight=self.weight / (1.0 + (distance / outlier) ** 2) ** 2)

    def distance(self, vertices: np.ndarray) -> np.ndarray:
        """How far each line passes from its vertex, [line], world units."""
        return np.asarray(np.linalg.norm(self._across(vertices), axis=1))

    def trust(self, count: int) -> np.ndarray:
        """How sure the lines are of each of `count` vertices, [vertex] float32 in [0, 1]."""
        return np.minimum(np.bincount(self.vertex, self.weight, minlength=count), 1.0).astype(np.float32)

    def targets(self, vertices: np.ndarray) -> np.ndarray:
        """Where the lines want the vertices [vertex, 3]: the least-squares point of a vertex's lines, next to where

        it is; along what they leave open it stays.
        """
        count = len(vertices)
        weighted = self.weight[:, None] * self._across(vertices)
        project = np.eye(3) - self.direction[:, :, None] * self.direction[:, None, :]
        project = (self.weight[:, None, None] * project).reshape(-1, 9)
        lines = sparse.csr_matrix(
            (np.ones(len(self.vertex)), (self.vertex, np.arange(len(self.vertex)))), shape=(count, len(self.vertex))
        )
        total = np.bincount(self.vertex, self.weight, minlength=count)
        system = (lines @ project).reshape(-1, 3, 3) + np.maximum(RIDGE * total, 1e-9)[:, None, None] * np.eye(3)
        moved = np.linalg.solve(system, -(lines @ weighted)[..., None])[..., 0]
        return np.asarray(vertices + moved, np.float32)

    def _across(self, vertices: np.ndarray) -> np.ndarray:
        """From each line to its vertex, at right angles: [line, 3]."""
        away = vertices[self.vertex].astype(np.float64) - self.origin
        return np.asarray(away - np.sum(away * self.direction, 1, keepdims=True) * self.direction)


def followed(vertices: np.ndarray, faces: np.ndarray, before: list[Picture], after: list[Picture]) -> SightLines:
    """Lines through the pixels where optical flow from `before` to `after` takes the vertices.

    vertices: [vertex, 3] at the time of `before`; both lists name the same cameras in the same order, and `after`
    may be posed otherwise.
    """

    def lines(pair: tuple[Picture, Picture]) -> SightLines:
        first, second = pair
        return _lines(vertices, faces, first, second, optical_flow(first.rgba, second.rgba))

    return SightLines.joined(in_threads(lines, zip(before, after, strict=True)))


def recognised(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, pictures: list[Picture]) -> SightLines:
    """Lines through the pixels where the vertices' known colours [vertex, 4] (RGB 0..255, sureness) are found again.

    The coloured mesh is drawn where it is, and flow from the drawing to the picture tells how far it is off: unlike
    flow from picture to picture, this does not drift.
    """

    def lines(picture: Picture) -> SightLines:
        raster = rasterize(vertices, faces, picture.pose, picture.intrinsics, picture.rgba.shape[:2])
        drawn = interpolate(raster, faces, colours.astype(np.float32))
        known = raster.mask & (drawn[..., 3] > 0.2)
        rgba = np.concatenate([drawn[..., :3], 255.0 * known[..., None]], -1).round().clip(0, 255).astype(np.uint8)
        # where no colour is known, the picture's own says that nothing moved
        rgba[raster.mask & ~known] = picture.rgba[raster.mask & ~known]
        first = Picture(rgba, picture.pose, picture.intrinsics)
        flow = optical_flow(rgba, picture.rgba)
        return _lines(vertices, faces, first, picture, Flow(flow.pixels, flow.sureness * known))

    return SightLines.joined(in_threads(lines, pictures))


def seen_colours(vertices: np.ndarray, faces: np.ndarray, pictures: list[Picture]) -> np.ndarray:
    """Sums of RGB (0..255) times weight, and of weight: [vertex, 4], over the pictures that see each vertex well."""
    sums = np.zeros((len(vertices), 4))
    for picture in pictures:
        index, places, facing = _visible(vertices, faces, picture)
        inside = _inside(picture.rgba, places)
        weight = facing**2 * inside
        colour = sampled(picture.rgba[..., :3].astype(np.float32), places)
        sums[index] += np.concatenate([colour * weight[:, None], weight[:, None]], 1)
    return sums


def mean_colours(sums: np.ndarray) -> np.ndarray:
    """Sums as `seen_colours` gives -> RGB (0..255) and sureness in [0, 1]: [vertex, 4]."""
    weight = sums[:, 3:]
    return np.concatenate([sums[:, :3] / np.maximum(weight, 1e-6), np.minimum(weight, 1.0)], 1)


def _visible(vertices: np.ndarray, faces: np.ndarray, picture: Picture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices that a camera sees: their indices, pixels xy [n, 2] and facing cosines [n]."""
    size = (picture.rgba.shape[0], picture.rgba.shape[1])
    local = camera_points(vertices, picture.pose)
    depth = np.maximum(local[:, 2], 1e-6)
    places = local[:, :2] / depth[:, None] * picture.intrinsics[:2] + picture.intrinsics[2:]
    normals = vertex_normals(vertices, faces) @ picture.pose[:3, :3]
    facing = -np.sum(normals * local, 1) / np.maximum(np.linalg.norm(local, axis=1), 1e-9)
    surface = rasterize(vertices, faces, picture.pose, picture.intrinsics, size).depth
    column = np.clip(places[:, 0].astype(np.int64), 0, size[1] - 1)
    row = np.clip(places[:, 1].astype(np.int64), 0, size[0] - 1)
    within = (places >= 0).all(1) & (places < np.array([size[1], size[0]])).all(1)
    hidden = depth > surface[row, column] + DEPTH_TOLERANCE
    index = np.flatnonzero(within & ~hidden & (facing > LEAST_FACING) & (local[:, 2] > 1e-4))
    return index, places[index], facing[index]


def _inside(rgba: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How safely [n] in [0, 1] pixels lie inside a matte: edge pixels are half background."""
    solid = (rgba[..., 3] > 127).astype(np.uint8)
    distance = cv2.distanceTransform(np.pad(solid, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    column = np.clip(places[:, 0].astype(np.int64), 0, rgba.shape[1] - 1)
    row = np.clip(places[:, 1].astype(np.int64), 0, rgba.shape[0] - 1)
    return np.asarray(np.clip((distance[row, column] - 0.5) / 2.0, 0.0, 1.0))


def _lines(vertices: np.ndarray, faces: np.ndarray, first: Picture, second: Picture, flow: Flow) -> SightLines:
    """One camera's lines: from where flow takes the vertices it sees."""
    index, places, facing = _visible(vertices, faces, first)
    motion, sureness = flow.at(places)
    landed = places + motion
    weight = sureness * np.sqrt(facing) * _inside(first.rgba, places) * (_inside(second.rgba, landed) > 0)
    local = np.concatenate([(landed - second.intrinsics[2:]) / second.intrinsics[:2], np.ones((len(index), 1))], 1)
    direction = local @ second.pose[:3, :3].T
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    depth = np.linalg.norm(vertices[index] - second.pose[:3, 3], axis=1)
    origin = np.repeat(second.pose[None, :3, 3].astype(np.float64), len(index), 0)
    return SightLines(index, origin, direction, weight, depth / float(second.intrinsics[0]))
