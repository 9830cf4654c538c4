"""One texture for all times of a tracked mesh, from the pixels that show it.

Averages are taken in linear light: mixing pixels, views and times is mixing amounts of light, a bright and a
dark pixel of one edge average to what a camera further away would have recorded, and an exposure difference
between input and generated views is one gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from lim_cli.geometry.mesh import TrackedMesh
from lim_cli.geometry.rasterize import rasterize_uv
from lim_cli.geometry.texture_projection import (
    Accumulator,
    Observation,
    ProjectionRules,
    Texels,
    accumulate,
    linear_to_srgb,
    srgb_to_linear,
)

ColourField = Callable[[np.ndarray], np.ndarray]

# Weight of a single pixel from which nothing of lower rank is mixed in, by the cosine's fourth power: 0.03 is
# a slant of 65 degrees, 0.1 one of 56. Input pixels are taken further round than generated ones.
_ENOUGH_INPUT = 0.03
_ENOUGH_GENERATED = 0.1
# Least colour deviation, linear light: noise and compression, below which no pixel is an outlier.
_NOISE = 0.03


@dataclass(frozen=True)
class TextureCoverage:
    """Where the texels on the surface got their colour; fractions in [0, 1] that sum to 1.

    from_input: mostly input pixels. from_generated: mostly generated views. from_field: the colour field.
    filled: spread from the nearest coloured points of the surface.
    """

    from_input: float
    from_generated: float
    from_field: float
    filled: float


@dataclass(frozen=True)
class BakedTexture:
    """texture: [size, size, 3] uint8 sRGB, charts dilated over the whole background."""

    texture: np.ndarray
    coverage: TextureCoverage


def bake_texture(
    track: TrackedMesh,
    uv: np.ndarray,
    observations: Callable[[], Iterable[Observation]],
    *,
    size: int,
    fallback_colour: ColourField | None = None,
    rules: ProjectionRules | None = None,
    robust: bool = True,
) -> BakedTexture:
    """Bakes the texture shared by all times.

    1. Every observation is projected onto the atlas and averaged, input and generated pixels apart.
    2. A second pass weights each pixel down by its distance from that average (highlights, moving shadows,
       tracking slips).
    3. Generated colour is brought to the input's exposure and used where the input hardly saw the surface.
    4. What nobody saw comes from the colour field, or else from the nearest coloured surface points.
    5. Charts are dilated into the background, so that filtering finds no seams.

    Args:
        track: vertices already split at the atlas' seams.
        uv: [vertex, 2] in [0, 1], origin top left.
        observations: called once per pass; yields images one at a time, so memory does not grow with them.
        size: edge of the square texture.
        fallback_colour: positions [N, 3] at time 0 (world frame) -> sRGB [N, 3] in [0, 1].
    """
    rules = rules or ProjectionRules()
    faces = np.ascontiguousarray(track.faces, dtype=np.int32)
    texels = Texels.from_raster(rasterize_uv(uv, faces, (size, size)))
    if len(texels.pixel) == 0:
        raise ValueError("the atlas covers no texel; unwrap the mesh with a larger texture")
    first = _gather(track, faces, texels, observations, rules, None)
    sums = _gather(track, faces, texels, observations, rules, first) if robust else first

    colour, share = _combine(*sums)  # [texel, 3] linear, [texel, 2] input and generated
    seen = share.sum(axis=1)
    positions = texels.interpolate(track.vertices[0], faces)
    missing = seen < 1.0
    field_share = np.zeros(len(seen), np.float32)
    if fallback_colour is not None and missing.any():
        field = srgb_to_linear(np.asarray(fallback_colour(positions[missing].astype(np.float32))))
        colour[missing] = seen[missing, None] * colour[missing] + (1 - seen[missing, None]) * field
        field_share = 1.0 - seen
    unknown = (seen <= 0) & (field_share <= 0)
    if unknown.any():
        colour[unknown] = _spread(positions, colour, unknown)
    texture = np.zeros((size * size, 3), np.uint8)
    texture[texels.pixel] = np.round(255.0 * linear_to_srgb(colour)).astype(np.uint8)
    covered = np.zeros(size * size, bool)
    covered[texels.pixel] = True
    dilated = _dilate(texture.reshape(size, size, 3), covered.reshape(size, size))
    return BakedTexture(dilated, _coverage(share, field_share, unknown))


def _gather(
    track: TrackedMesh,
    faces: np.ndarray,
    texels: Texels,
    observations: Callable[[], Iterable[Observation]],
    rules: ProjectionRules,
    previous: tuple[Accumulator, Accumulator] | None,
) -> tuple[Accumulator, Accumulator]:
    """Sums of input and of generated pixels; with `previous` sums, the robust second pass over them."""
    count = len(texels.pixel)
    sums = (Accumulator.zeros(count), Accumulator.zeros(count))
    expected = [part.mean() for part in previous] if previous else [None, None]
    scale = [np.maximum(part.deviation(), _NOISE) for part in previous] if previous else [None, None]
    for observation in observations():
        if not 0 <= observation.time_index < len(track.times):
            raise ValueError(f"expected a time_index below {len(track.times)}, got {observation.time_index}")
        kind = 0 if observation.weight >= 1.0 else 1
        vertices = track.vertices[observation.time_index]
        accumulate(
            observation,
            vertices,
            faces,
            texels,
            sums[kind],
            rules,
            expected=expected[kind],
            scale=scale[kind],
        )
    return sums


def _combine(real: Accumulator, generated: Accumulator) -> tuple[np.ndarray, np.ndarray]:
    """Colour [texel, 3] in linear light and the shares [texel, 2] of input and generated pixels in it.

    The shares fade with the best pixel's weight and sum to at most 1; the rest is the fallback's.
    """
    trust_real = _fade(real, _ENOUGH_INPUT)
    trust_generated = _fade(generated, _ENOUGH_GENERATED)
    real_mean, generated_mean = real.mean(), generated.mean() * _exposure(real, generated)
    share = np.stack([trust_real, (1.0 - trust_real) * trust_generated], axis=1)
    total = share.sum(axis=1, keepdims=True)
    colour = (share[:, :1] * real_mean + share[:, 1:] * generated_mean) / np.maximum(total, 1e-12)
    return colour, share


def _fade(sums: Accumulator, enough: float) -> np.ndarray:
    """Smooth step [texel] from 0 (never seen) to 1 (some pixel saw it well enough)."""
    t = np.clip(sums.best / enough, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def _exposure(real: Accumulator, generated: Accumulator) -> np.ndarray:
    """Gain [3], equal in all channels, that brings generated colours to the input's where both saw a texel well."""
    both = (real.best > _ENOUGH_GENERATED) & (generated.best > _ENOUGH_GENERATED)
    if np.count_nonzero(both) < 100:
        return np.ones(3, np.float32)
    wanted, given = real.mean()[both], generated.mean()[both]
    bright, dim = wanted.sum(axis=1), given.sum(axis=1)
    # one gain for all channels: exposure differs between views, and a hue that differs is mostly another part seen
    return np.full(3, np.clip(_weighted_median(bright / np.maximum(dim, 1e-4), dim), 0.5, 2.0), np.float32)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Bright texels weigh more: the ratio of two dark ones is noise."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])


def _spread(positions: np.ndarray, colour: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Colours [unknown, 3] from the nearest known points of the surface at time 0.

    Distance on the surface, not in the atlas: neighbouring charts need not be neighbours on the object.
    """
    known = np.flatnonzero(~unknown)
    if len(known) == 0:
        return np.full((int(unknown.sum()), 3), 0.5, np.float32)
    known = known[:: max(1, len(known) // 100_000)]
    distance, index = cKDTree(positions[known]).query(positions[unknown], k=min(8, len(known)))
    distance, index = distance.reshape(len(distance), -1), index.reshape(len(index), -1)
    weight = 1.0 / (distance + 1e-6) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("uk,ukc->uc", weight, colour[known][index]))


def _dilate(texture: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Every uncovered texel takes the colour of the nearest covered one."""
    _, labels = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(int(labels.max()) + 1, np.int64)
    flat = np.flatnonzero(covered)
    source[labels.reshape(-1)[flat]] = flat
    return np.asarray(texture.reshape(-1, 3)[source[labels]])


def _coverage(share: np.ndarray, field_share: np.ndarray, unknown: np.ndarray) -> TextureCoverage:
    parts = np.concatenate([share, field_share[:, None], unknown[:, None].astype(np.float32)], axis=1)
    # A faint trace of input where there was nothing else still colours the texel alone.
    parts /= np.maximum(parts.sum(axis=1, keepdims=True), 1e-12)
    real, generated, field, filled = (float(value) for value in parts.mean(axis=0))
    return TextureCoverage(real, generated, field, filled)
