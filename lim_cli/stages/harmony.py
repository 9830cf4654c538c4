"""Bringing generated views into agreement with the input view: colours row by row, and mattes in one piece.

A view generator trained for little time gets places right before colours and leaves crumbs; what it made is
corrected with what is known for sure, the input's own pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

SOLID = 0.5
SOFTEST, HARDEST = 0.5, 0.8
LARGEST_GAIN = 6.0
SMALLEST_SHARE = 0.02
CLOSING = 7
ROWS = 2.0
KEPT = 0.5


def harmonised(made: np.ndarray) -> np.ndarray:
    """Views [keyframe, view, 4, h, w] float in [0, 1], straight alpha; view 0 (the input) is left as it is."""
    result = made.copy()
    for view in range(1, made.shape[1]):
        for k in range(len(made)):
            result[k, view] = in_one_piece(with_height_of(made[k, view], made[k, 0]))
        result[:, view] = with_rows_of(result[:, view], made[:, 0])
    return result


def with_height_of(rgba: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """A view [4, h, w] whose faint rows are raised to full opacity where the reference has the object in that row.

    Level cameras see the object at the same heights: where the generator hesitates about a leg's place it spreads a
    leg's worth of matte over the row, and the likeliest place is kept.
    """
    seen = gaussian_filter1d((reference[3] > SOLID).any(1).astype(np.float32), 1.0)
    peak = gaussian_filter1d(rgba[3].max(1), 1.0)
    gain = 1 + seen * (np.clip(1 / np.maximum(peak, 1e-3), 1, LARGEST_GAIN) - 1)
    return np.concatenate([rgba[:3], np.clip(rgba[3:] * gain[None, :, None], 0, 1)]).astype(np.float32)


def in_one_piece(rgba: np.ndarray) -> np.ndarray:
    """One view [4, h, w] with cracks of its matte closed and crumbs gone; closed cracks take their rims' colours."""
    # one sampling step gives the mean of all likely shapes: what most of them share is the shape
    alpha = np.clip((rgba[3] - SOFTEST) / (HARDEST - SOFTEST), 0, 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSING, CLOSING))
    closed = cv2.morphologyEx(np.pad(alpha, CLOSING), cv2.MORPH_CLOSE, kernel)[CLOSING:-CLOSING, CLOSING:-CLOSING]
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((closed > SOLID).astype(np.uint8))
    if count < 2:
        return rgba
    area = statistics[:, cv2.CC_STAT_AREA].astype(np.float64)
    area[0] = 0
    kept = (area >= SMALLEST_SHARE * area.sum())[labels]
    soft = cv2.dilate(kept.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # keeps the antialiased rim
    known = alpha > SOLID
    if not known.any():
        return rgba
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    flat = np.flatnonzero(known)
    source = np.zeros(int(nearest.max()) + 1, np.int64)
    source[nearest.reshape(-1)[flat]] = flat
    colour = rgba[:3].reshape(3, -1)[:, source[nearest]]
    return np.concatenate([colour, np.where(soft, closed, 0)[None]]).astype(np.float32)


def with_rows_of(views: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Views [keyframe, 4, h, w] whose rows have on average the colours of the reference's rows.

    Between level cameras about one object epipolar lines are nearly picture rows: what is red at a height from the
    front is likely red at that height from the side. What the views say beyond that is kept by half.
    """
    result = views.copy()
    for k, (mine, theirs) in enumerate(zip(views, reference, strict=True)):
        if (mine[3] > SOLID).any() and (theirs[3] > SOLID).any():
            own, wanted = row_colours(mine), row_colours(theirs)
            result[k, :3] = np.clip(wanted[:, :, None] + KEPT * (mine[:3] - own[:, :, None]), 0, 1)
    return result


def row_colours(rgba: np.ndarray) -> np.ndarray:
    """Mean colour [3, h] of the object in every row of [4, h, w], softened over a few rows."""
    weight = np.where(rgba[3] > SOLID, rgba[3], 0)
    sums = np.concatenate([(rgba[:3] * weight).sum(2), weight.sum(1)[None]])  # [4, h]
    near = gaussian_filter1d(sums, ROWS, axis=1, mode="constant")
    far = gaussian_filter1d(sums, 0.25 * sums.shape[1], axis=1, mode="constant")  # for rows without object
    mixed = near + 1e-3 * far
    return np.asarray(mixed[:3] / np.maximum(mixed[3], 1e-9))
