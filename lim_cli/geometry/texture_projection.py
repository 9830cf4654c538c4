"""Projects one posed image onto the texels of an atlas: the inner loop of texture baking."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np

from lim_cli.geometry.normals import face_normals
from lim_cli.geometry.rasterize import Raster, camera_points, rasterize

SRGB_TO_LINEAR = np.where(
    np.arange(256) / 255.0 <= 0.04045,
    np.arange(256) / 255.0 / 12.92,
    ((np.arange(256) / 255.0 + 0.055) / 1.055) ** 2.4,
).astype(np.float32)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] -> sRGB in [0, 1], any shape."""
    value = np.clip(linear, 0.0, 1.0)
    return np.asarray(np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055))


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] -> linear light in [0, 1], any shape."""
    value = np.clip(srgb, 0.0, 1.0)
    return np.asarray(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


@dataclass(frozen=True)
class Observation:
    """One posed image of the tracked mesh at one of its times.

    time_index: index into the track's times. rgba: [height, width, 4] uint8 sRGB, straight alpha = matte.
    world_from_camera: [4, 4], OpenCV axes. intrinsics: [4] fx, fy, cx, cy in pixels of `rgba`.
    weight: 1 for pixels of the input, less for a generated view.
    """

    time_index: int
    rgba: np.ndarray
    world_from_camera: np.ndarray
    intrinsics: np.ndarray
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.rgba.ndim != 3 or self.rgba.shape[2] != 4 or self.rgba.dtype != np.uint8:
            raise ValueError(f"expected rgba [height, width, 4] uint8, got {self.rgba.shape} {self.rgba.dtype}")
        if not 0.0 < self.weight <= 1.0:
            raise ValueError(f"expected a weight in (0, 1], got {self.weight}")


@dataclass(frozen=True)
class Texels:
    """The texels of an atlas that lie on the surface, ordered by face.

    pixel: [texel] int64, flat index into the texture. face: [texel] int32. barycentric: [texel, 3] float32.
    """

    pixel: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray

    @staticmethod
    def from_raster(raster: Raster) -> Texels:
        pixel = np.flatnonzero(raster.mask)
        face = raster.face_index.reshape(-1)[pixel]
        order = np.argsort(face, kind="stable")
        return Texels(pixel[order], face[order], raster.barycentric.reshape(-1, 3)[pixel[order]])

    def interpolate(self, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """World positions [texel, 3] for vertices [vertex, 3]."""
        return np.asarray(np.einsum("tk,tkc->tc", self.barycentric, vertices[faces[self.face]]))


@dataclass(frozen=True)
class ProjectionRules:
    """What makes a pixel trustworthy.

    exponent: of the cosine between surface normal and view; grazing pixels are smeared.
    min_cosine: below it a texel counts as unseen.
    edge_margin: pixels from the matte's edge, or from an edge in depth, within which weight fades to 0.
    depth_tolerance: how far behind the first surface a texel may lie, in parts of the object's size.
    """

    exponent: float = 4.0
    min_cosine: float = 0.15
    edge_margin: float = 3.0
    depth_tolerance: float = 0.01


@dataclass(frozen=True)
class Accumulator:
    """Weighted sums per texel, linear light: rgb [texel, 3], square [texel] of rgb summed over channels,

    weight [texel], and best [texel], the largest single weight before robust reweighting.
    """

    rgb: np.ndarray
    square: np.ndarray
    weight: np.ndarray
    best: np.ndarray

    @staticmethod
    def zeros(count: int) -> Accumulator:
        flat = [np.zeros(count, np.float32) for _ in range(3)]
        return Accumulator(np.zeros((count, 3), np.float32), *flat)

    def mean(self) -> np.ndarray:
        """[texel, 3]; 0 where nothing was seen."""
        return np.asarray(self.rgb / np.maximum(self.weight, 1e-12)[:, None])

    def deviation(self) -> np.ndarray:
        """Standard deviation [texel] of the colour, root of the sum over channels."""
        mean = self.mean()
        spread = self.square / np.maximum(self.weight, 1e-12) - np.sum(mean**2, axis=1)
        return np.asarray(np.sqrt(np.maximum(spread, 0.0)))


def accumulate(
    observation: Observation,
    vertices: np.ndarray,
    faces: np.ndarray,
    texels: Texels,
    sums: Accumulator,
    rules: ProjectionRules,
    *,
    expected: np.ndarray | None = None,
    scale: np.ndarray | None = None,
) -> None:
    """Adds what one image shows of the texels to `sums`.

    Args:
        vertices: [vertex, 3] at the observation's time, world frame. faces: [face, 3].
        expected, scale: [texel, 3] and [texel]; when given, a colour is weighted down by its distance from
            `expected` in units of `scale` (Geman-McClure): the second, robust pass.
    """
    size = observation.rgba.shape[:2]
    raster = rasterize(vertices, faces, observation.world_from_camera, observation.intrinsics, size)
    extent = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    tolerance = rules.depth_tolerance * extent
    trust = _pixel_trust(observation.rgba[:, :, 3], raster.depth, 4.0 * tolerance, rules.edge_margin)
    local = camera_points(vertices, observation.world_from_camera)
    normal = face_normals(local, faces)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    robust = expected is not None and scale is not None
    _accumulate(
        np.ascontiguousarray(observation.rgba),
        SRGB_TO_LINEAR,
        raster.depth,
        trust,
        local.astype(np.float32),
        normal.astype(np.float32),
        np.asarray(observation.intrinsics, dtype=np.float32),
        faces,
        texels.face,
        texels.barycentric,
        float(observation.weight),
        float(rules.exponent),
        float(rules.min_cosine),
        float(tolerance),
        robust,
        expected if expected is not None else np.zeros((1, 3), np.float32),
        scale if scale is not None else np.ones(1, np.float32),
        sums.rgb,
        sums.square,
        sums.weight,
        sums.best,
    )


def _pixel_trust(alpha: np.ndarray, depth: np.ndarray, jump: float, margin: float) -> np.ndarray:
    """Weight per pixel [height, width] float32 in [0, 1] that fades towards matte edges and depth edges."""
    solid = np.isfinite(depth) & (alpha >= 250)
    finite = np.where(np.isfinite(depth), depth, np.float32(0))
    for axis in (0, 1):
        step = np.abs(np.diff(finite, axis=axis)) > jump
        solid &= ~np.insert(step, 0, False, axis=axis) & ~np.insert(step, step.shape[axis], False, axis=axis)
    # A frame's border is an edge too: the matte may go on outside.
    framed = cv2.copyMakeBorder(solid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.asarray(np.clip((distance - 1.0) / max(margin, 1e-6), 0.0, 1.0), dtype=np.float32)


@numba.njit(nogil=True, cache=False, fastmath=False)  # type: ignore[untyped-decorator, unused-ignore]
def _accumulate(
    rgba: np.ndarray,
    table: np.ndarray,
    depth: np.ndarray,
    trust: np.ndarray,
    local: np.ndarray,
    normal: np.ndarray,
    intrinsics: np.ndarray,
    faces: np.ndarray,
    texel_face: np.ndarray,
    barycentric: np.ndarray,
    observation_weight: float,
    exponent: float,
    min_cosine: float,
    tolerance: float,
    robust: bool,
    expected: np.ndarray,
    scale: np.ndarray,
    sum_rgb: np.ndarray,
    sum_square: np.ndarray,
    sum_weight: np.ndarray,
    best: np.ndarray,
) -> None:
    height, width = depth.shape
    fx, fy, cx, cy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    last = -1
    facing = 0.0
    i, j, k = 0, 0, 0
    for texel in range(texel_face.shape[0]):
        face = texel_face[texel]
        if face != last:
            last = face
            i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
            x = (local[i, 0] + local[j, 0] + local[k, 0]) / 3.0
            y = (local[i, 1] + local[j, 1] + local[k, 1]) / 3.0
            z = (local[i, 2] + local[j, 2] + local[k, 2]) / 3.0
            towards = -(normal[face, 0] * x + normal[face, 1] * y + normal[face, 2] * z)
            facing = towards / max(np.sqrt(x * x + y * y + z * z), 1e-12)
        if facing < min_cosine:
            continue
        u, v, w = barycentric[texel, 0], barycentric[texel, 1], barycentric[texel, 2]
        z = u * local[i, 2] + v * local[j, 2] + w * local[k, 2]
        if z <= 1e-4:
            continue
        x = (u * local[i, 0] + v * local[j, 0] + w * local[k, 0]) / z * fx + cx - 0.5
        y = (u * local[i, 1] + v * local[j, 1] + w * local[k, 1]) / z * fy + cy - 0.5
        if not (x >= 0.0 and y >= 0.0 and x <= width - 1.0 and y <= height - 1.0):
            continue
        column, row = min(int(x), width - 2), min(int(y), height - 2)
        right, down = x - column, y - row
        near_row, near_column = row + (1 if down > 0.5 else 0), column + (1 if right > 0.5 else 0)
        weight = trust[near_row, near_column]
        if weight <= 0.0:
            continue
        # A pixel covers a stretch of depth on a slanted face.
        slope = np.sqrt(max(1.0 - facing * facing, 0.0)) / facing
        if z > depth[near_row, near_column] + tolerance + z / fx * slope:
            continue
        weight *= facing**exponent * observation_weight
        a, b, c, d = (1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down
        square = 0.0
        gap = 0.0
        red, green, blue = 0.0, 0.0, 0.0
        for channel in range(3):
            value = (
                a * table[rgba[row, column, channel]]
                + b * table[rgba[row, column + 1, channel]]
                + c * table[rgba[row + 1, column, channel]]
                + d * table[rgba[row + 1, column + 1, channel]]
            )
            square += value * value
            if robust:
                gap += (value - expected[texel, channel]) ** 2
            if channel == 0:
                red = value
            elif channel == 1:
                green = value
            else:
                blue = value
        best[texel] = max(best[texel], weight / observation_weight)
        if robust:
            variance = scale[texel] * scale[texel]
            weight *= (variance / (variance + gap)) ** 2
        sum_rgb[texel, 0] += weight * red
        sum_rgb[texel, 1] += weight * green
        sum_rgb[texel, 2] += weight * blue
        sum_square[texel] += weight * square
        sum_weight[texel] += weight
