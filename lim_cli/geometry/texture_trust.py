"""Which pixel may colour which texel, and how much: every rule of texture baking that is a matter of trust.

A pixel counts by

- where it lies: a matte's rim is mixed with what is behind it, and a track or a made-up picture is least certain
  there, as at an edge in depth. So pixels near a rim count for nothing and those further in for more and more;
- the angle: of two pixels that show a texel the one that looks straight at it is sharper;
- who made it: generated pixels colour what no input pixel shows well. Their mattes are soft, so more of their rim is
  left out;
- what the others say: far from the rest in colour, it is a highlight, a moving shadow or a slip of the track.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

OPAQUE = 250
"""Least alpha (of 255) of a pixel that shows the object only."""
NOISE = 0.03
"""Colour deviation, linear light, below which no pixel is an outlier: noise and compression."""


@dataclass(frozen=True)
class TrustRules:
    """exponent: of the cosine between surface normal and view in a pixel's weight.

    min_cosine: below it a texel counts as unseen.
    depth_tolerance: how far behind the first surface a texel may lie, in parts of the object's size.
    input_rim, generated_rim: pixels from the matte's edge, a frame's border or an edge in depth that are not believed.
    input_margin, generated_margin: further pixels over which belief grows from 0 to 1.
    enough_input, enough_generated: weight of the best pixel from which nothing of lower rank is mixed in. 0.04 is a
        slant of 78 degrees, 0.25 one of 60: input pixels are taken further round than generated ones.
    """

    exponent: float = 2.0
    min_cosine: float = 0.1
    depth_tolerance: float = 0.01
    input_rim: float = 0.5
    input_margin: float = 1.5
    generated_rim: float = 2.0
    generated_margin: float = 3.0
    enough_input: float = 0.04
    enough_generated: float = 0.25


def pixel_trust(alpha: np.ndarray, depth: np.ndarray, *, jump: float, rim: float, margin: float) -> np.ndarray:
    """Weight per pixel [height, width] float32 in [0, 1]: 0 on the rim, then growing to 1 over `margin` pixels.

    Args:
        alpha: [height, width] uint8, the matte. depth: [height, width] of the mesh, infinity beside it.
        jump: step in depth from one pixel to the next that is an edge.
    """
    solid = np.isfinite(depth) & (alpha >= OPAQUE)
    finite = np.where(np.isfinite(depth), depth, np.float32(0))
    for axis in (0, 1):
        step = np.abs(np.diff(finite, axis=axis)) > jump
        solid &= ~np.insert(step, 0, False, axis=axis) & ~np.insert(step, step.shape[axis], False, axis=axis)
    # A frame's border is an edge too: the matte may go on outside.
    framed = cv2.copyMakeBorder(solid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1] - 0.5  # pixels from their centres to the edge
    return np.asarray(np.clip((inside - rim) / max(margin, 1e-6), 0.0, 1.0), dtype=np.float32)


def spread_outwards(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The image [height, width, channel] with every pixel outside `known` in the colour of the nearest known one."""
    return np.asarray(image.reshape(-1, image.shape[2])[nearest_known(known)])


def nearest_known(known: np.ndarray) -> np.ndarray:
    """Flat index [height, width] of the nearest known pixel; `known` [height, width] bool holds at least one."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(int(labels.max()) + 1, np.int64)
    flat = np.flatnonzero(known)
    source[labels.reshape(-1)[flat]] = flat
    return np.asarray(source[labels])


def fade(best: np.ndarray, enough: float) -> np.ndarray:
    """Smooth step [texel] from 0 (never seen) to 1 (some pixel's weight was `enough`)."""
    t = np.clip(best / enough, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def exposure_gain(wanted: np.ndarray, given: np.ndarray) -> float:
    """The factor that brings colours `given` [n, 3] to `wanted` [n, 3], linear light; 1 where they tell of none.

    One for all channels: exposure differs between views, and a hue that differs is mostly another part seen. The
    texels' ratios are believed as far as they agree: a median m (of the logarithm) that scatters by s counts
    m^2 / (m^2 + s^2), since made-up colours that differ from place to place are not a matter of exposure.
    """
    bright, dim = wanted.sum(axis=1), given.sum(axis=1)
    used = (bright > 1e-3) & (dim > 1e-3)
    if np.count_nonzero(used) < 100:
        return 1.0
    ratios = np.log(bright[used] / dim[used])
    weights = dim[used]  # the ratio of two dark ones is noise
    middle = weighted_median(ratios, weights)
    scatter = weighted_median(np.abs(ratios - middle), weights)
    believed = middle**2 / max(middle**2 + scatter**2, 1e-12)
    return float(np.exp(np.clip(believed * middle, np.log(0.5), np.log(2.0))))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below and above which half of the weight lies."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])


def sharpness(rgba: np.ndarray) -> float:
    """How much detail an image [height, width, 4] uint8 holds inside its matte: a motion-blurred frame has less."""
    solid = (rgba[..., 3] >= OPAQUE).astype(np.uint8)
    inside = cv2.erode(solid, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if not inside.any():
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(rgba[..., :3]), cv2.COLOR_RGB2GRAY)
    return float(np.square(cv2.Laplacian(grey, cv2.CV_32F)[inside]).mean())
