"""What mattes say about a shape: where it cannot be, and where its outline should go."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from lim_cli.core.threads import in_threads
from lim_cli.geometry.rasterize import camera_points, rasterize


@dataclass(frozen=True)
class Silhouette:
    """One view's matte, ready to be asked.

    matte: [h, w] bool. distance: [h, w] float32 pixels to the outline, positive inside.
    nearest: [h, w, 2] float32 pixel xy of the nearest matte pixel. pose: world_from_camera [4, 4];
    intrinsics: [4] for this image size. tolerance: pixels by which a shape may reach beyond the matte.
    """

    matte: np.ndarray
    distance: np.ndarray
    nearest: np.ndarray
    pose: np.ndarray
    intrinsics: np.ndarray
    tolerance: float

    @staticmethod
    def of(matte: np.ndarray, pose: np.ndarray, intrinsics: np.ndarray, *, tolerance: float = 0.5) -> Silhouette:
        """From a bool matte [h, w] that is not empty."""
        if not matte.any():
            raise ValueError("expected a matte with at least one pixel")
        solid = matte.astype(np.uint8)
        inside = cv2.distanceTransform(np.pad(solid, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        outside, labels = cv2.distanceTransformWithLabels(1 - solid, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        flat = np.flatnonzero(matte)
        source = np.zeros(int(labels.max()) + 1, np.int64)
        source[labels.reshape(-1)[flat]] = flat
        rows, columns = np.unravel_index(source[labels], matte.shape)
        distance = np.where(matte, inside - 0.5, 0.5 - outside).astype(np.float32)
        nearest = np.stack([columns + 0.5, rows + 0.5], -1).astype(np.float32)
        return Silhouette(matte, distance, nearest, pose, intrinsics, tolerance)

    @property
    def length(self) -> float:
        """Pixels along the outline, that of holes included."""
        contours, _ = cv2.findContours(self.matte.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        return float(sum(cv2.arcLength(contour, True) for contour in contours))

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points [n, 3] -> pixels xy [n, 2] and depth [n]."""
        local = camera_points(points, self.pose)
        depth = np.maximum(local[:, 2], 1e-6)
        return local[:, :2] / depth[:, None] * self.intrinsics[:2] + self.intrinsics[2:], depth

    def signed_distance(self, points: np.ndarray) -> np.ndarray:
        """Pixels [n] by which points lie inside the matte (bilinear; far outside the picture: very negative)."""
        pixels, _ = self.project(points)
        found = cv2.remap(
            self.distance,
            (pixels[:, 0] - 0.5).astype(np.float32).reshape(-1, 1),
            (pixels[:, 1] - 0.5).astype(np.float32).reshape(-1, 1),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        height, width = self.matte.shape
        beyond = np.maximum(np.maximum(-pixels, pixels - np.array([width, height])), 0).max(1)
        return np.asarray(found[:, 0] - beyond, np.float32)


def room_inside(silhouettes: list[Silhouette], points: np.ndarray) -> np.ndarray:
    """Least number of pixels [n] by which points lie inside all mattes, tolerances added: below 0 is empty space.

    This is the visual hull, softly.
    """

    def room(silhouette: Silhouette) -> np.ndarray:
        parts = [
            silhouette.signed_distance(points[start : start + 30_000])  # remap's pictures end at 32767 rows
            for start in range(0, len(points), 30_000)
        ]
        return np.concatenate([*parts, np.zeros(0, np.float32)]) + np.float32(silhouette.tolerance)

    nothing = np.full(len(points), np.inf, np.float32)
    return np.asarray(np.minimum.reduce([nothing, *in_threads(room, silhouettes)]))


def outline_pull(
    vertices: np.ndarray, faces: np.ndarray, silhouettes: list[Silhouette], *, reach: float = 0.12, samples: int = 1500
) -> tuple[np.ndarray, np.ndarray]:
    """Where the mattes want vertices: targets [vertex, 3] and weights [vertex] in [0, 1] (0: no opinion).

    Vertices that project outside a matte are drawn to its nearest pixel; matte pixels that the mesh leaves bare
    draw the vertices nearest to them in the picture, which lie on its outline. Moves stay parallel to the picture
    plane and below `reach` (world units); views are averaged.
    """

    def pulled(silhouette: Silhouette) -> tuple[np.ndarray, np.ndarray]:
        return _pulled(vertices, faces, silhouette, reach, samples)

    total = np.zeros((len(vertices), 3))
    weight = np.zeros(len(vertices))
    for moved, places in in_threads(pulled, silhouettes):
        total[moved] += places
        weight[moved] += 1
    targets = np.where(weight[:, None] > 0, total / np.maximum(weight[:, None], 1), vertices)
    return targets.astype(np.float32), np.minimum(weight, 1).astype(np.float32)


def _pulled(
    vertices: np.ndarray, faces: np.ndarray, silhouette: Silhouette, reach: float, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """The vertices [vertex] bool that one matte has an opinion of, and where it wants them [n, 3]."""
    size = (silhouette.matte.shape[0], silhouette.matte.shape[1])
    pixels, depth = silhouette.project(vertices)
    wanted = np.zeros((len(vertices), 2))
    votes = np.zeros(len(vertices))

    # 1. out of the matte: back to its edge
    place = np.clip(pixels, 0, np.array([size[1], size[0]]) - 1).astype(np.int64)
    outside = silhouette.distance[place[:, 1], place[:, 0]] < -silhouette.tolerance
    wanted[outside] += silhouette.nearest[place[outside, 1], place[outside, 0]]
    votes[outside] += 1

    # 2. bare matte: the outline comes there
    drawn = rasterize(vertices, faces, silhouette.pose, silhouette.intrinsics, size).mask
    bare = np.argwhere(silhouette.matte & ~drawn)[:, ::-1] + 0.5
    if len(bare):
        bare = bare[:: max(1, len(bare) // samples)]
        _, index = cKDTree(pixels).query(bare)
        np.add.at(wanted, index, bare)
        np.add.at(votes, index, 1)
    moved = votes > 0
    step = (wanted[moved] / votes[moved, None] - pixels[moved]) / silhouette.intrinsics[:2] * depth[moved, None]
    length = np.linalg.norm(step, axis=1, keepdims=True)
    step *= np.minimum(1.0, reach / np.maximum(length, 1e-9))
    return moved, vertices[moved] + step @ silhouette.pose[:3, :2].T
