"""Projects one posed image onto the texels of an atlas: the inner loop of texture baking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.core.cached_njit import cached_njit
from lim_cli.geometry.normals import face_normals
from lim_cli.geometry.rasterize import Raster, camera_points, rasterize
from lim_cli.geometry.texture_trust import TrustRules, pixel_trust, spread_outwards

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

    @property
    def is_input(self) -> bool:
        """The input's own pixels, and not made up."""
        return self.weight >= 1.0


@dataclass(frozen=True)
class Texels:
    """The texels of an atlas that lie on the surface, ordered by face.

    pixel: [texel] int64, flat index into the texture. face: [texel] int32. barycentric: [texel, 3] float32.
    runs: [face with texels + 1] int64, where the texels of each such face begin, and the end.
    """

    pixel: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray
    runs: np.ndarray

    @staticmethod
    def from_raster(raster: Raster) -> Texels:
        pixel = np.flatnonzero(raster.mask)
        face = raster.face_index.reshape(-1)[pixel]
        order = np.argsort(face, kind="stable")
        runs = np.concatenate([[0], np.flatnonzero(np.diff(face[order])) + 1, [len(face)]])
        return Texels(pixel[order], face[order], raster.barycentric.reshape(-1, 3)[pixel[order]], runs)

    def interpolate(self, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Values [texel, channel] between those of the vertices [vertex, channel]."""
        return np.asarray(np.einsum("tk,tkc->tc", self.barycentric, vertices[faces[self.face]]))

    def to_vertices(
        self, values: np.ndarray, weight: np.ndarray, faces: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means [count, channel] of texel values about each vertex, and the mean weight [count] there, 0 to 1."""
        corners = faces[self.face].ravel()
        near = self.barycentric.ravel().astype(np.float64)
        weighted = near * np.repeat(weight, 3)
        total = np.bincount(corners, weighted, minlength=count)
        sums = [np.bincount(corners, weighted * np.repeat(column, 3), minlength=count) for column in values.T]
        means = np.stack(sums, axis=1) / np.maximum(total, 1e-12)[:, None]
        return means, total / np.maximum(np.bincount(corners, near, minlength=count), 1e-12)


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


@dataclass(frozen=True)
class Projected:
    """An observation made ready: what its camera sees of the mesh, and which of its pixels count.

    colour: [height, width, 3] float32 linear light; beside trusted pixels that of the nearest trusted one, so that
    nothing of the background is mixed in. trust: [height, width] float32. raster: of the mesh.
    local: [vertex, 3] float32 camera points. facing: [face] float32, cosine between the normal and the view.
    tolerance: of depth, world units.
    """

    observation: Observation
    colour: np.ndarray
    trust: np.ndarray
    raster: Raster
    local: np.ndarray
    facing: np.ndarray
    tolerance: float


def project(observation: Observation, vertices: np.ndarray, faces: np.ndarray, rules: TrustRules) -> Projected | None:
    """Makes an observation ready; None where none of its pixels is trusted.

    vertices: [vertex, 3] at the observation's time, world frame. faces: [face, 3].
    """
    size = (observation.rgba.shape[0], observation.rgba.shape[1])
    raster = rasterize(vertices, faces, observation.world_from_camera, observation.intrinsics, size)
    tolerance = rules.depth_tolerance * float(np.linalg.norm(np.ptp(vertices, axis=0)))
    rim, margin = (
        (rules.input_rim, rules.input_margin) if observation.is_input else (rules.generated_rim, rules.generated_margin)
    )
    trust = pixel_trust(observation.rgba[..., 3], raster.depth, jump=4 * tolerance, rim=rim, margin=margin)
    if not trust.any():
        return None
    colour = spread_outwards(SRGB_TO_LINEAR[observation.rgba[..., :3]], trust > 0)
    local = camera_points(vertices, observation.world_from_camera).astype(np.float32)
    normal, corner = face_normals(local, faces), local[faces[:, 0]]
    lengths = np.sqrt(np.einsum("fc,fc->f", normal, normal) * np.einsum("fc,fc->f", corner, corner))
    facing = -np.einsum("fc,fc->f", normal, corner) / np.maximum(lengths, np.float32(1e-30))
    return Projected(observation, colour, trust, raster, local, facing, tolerance)


def accumulate(
    projected: Projected,
    faces: np.ndarray,
    texels: Texels,
    sums: Accumulator,
    rules: TrustRules,
    *,
    expected: np.ndarray | None = None,
    scale: np.ndarray | None = None,
) -> None:
    """Adds what one image shows of the texels to `sums`.

    Args:
        expected, scale: [texel, 3] and [texel]; when given, a colour is weighted down by its distance from
            `expected` in units of `scale` (Geman-McClure): a robust pass.
    """
    robust = expected is not None and scale is not None
    _accumulate(
        np.ascontiguousarray(projected.colour, np.float32),
        projected.raster.depth,
        projected.trust,
        projected.local,
        projected.facing,
        np.asarray(projected.observation.intrinsics, dtype=np.float32),
        np.ascontiguousarray(faces, np.int32),
        texels.runs,
        texels.face,
        texels.barycentric,
        float(projected.observation.weight),
        float(rules.exponent),
        float(rules.min_cosine),
        float(projected.tolerance),
        robust,
        expected if expected is not None else np.zeros((1, 3), np.float32),
        scale if scale is not None else np.ones(1, np.float32),
        sums.rgb,
        sums.square,
        sums.weight,
        sums.best,
    )


@cached_njit()
def _accumulate(
    image: np.ndarray,
    depth: np.ndarray,
    trust: np.ndarray,
    local: np.ndarray,
    facings: np.ndarray,
    intrinsics: np.ndarray,
    faces: np.ndarray,
    runs: np.ndarray,
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
    for run in range(runs.shape[0] - 1):
        face = texel_face[runs[run]]
        facing = facings[face]
        if not facing >= min_cosine:
            continue
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        slope = np.sqrt(max(1.0 - facing * facing, 0.0)) / facing
        straight = facing**exponent * observation_weight
        for texel in range(runs[run], runs[run + 1]):
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
            if z > depth[near_row, near_column] + tolerance + z / fx * slope:
                continue
            weight *= straight
            a, b, c, d = (1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down
            square = 0.0
            gap = 0.0
            red, green, blue = 0.0, 0.0, 0.0
            for channel in range(3):
                value = (
                    a * image[row, column, channel]
                    + b * image[row, column + 1, channel]
                    + c * image[row + 1, column, channel]
                    + d * image[row + 1, column + 1, channel]
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
