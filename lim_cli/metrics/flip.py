"""LDR-FLIP (Andersson et al., "FLIP: A Difference Evaluator for Alternating Images", HPG 2020), in torch.

How different two images look to somebody who flips between them: 0 where nothing is seen, 1 at most.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

PIXELS_PER_DEGREE = 0.7 * (3840 / 0.7) * math.pi / 180
"""The paper's observer: 0.7 m from a screen 0.7 m and 3840 pixels wide."""

_XYZ_FROM_LINEAR = (
    (10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794),
    (2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897),
    (1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382),
)
# Table 1 of the paper: a1, b1, a2, b2 of the contrast sensitivity of each opponent channel.
_SENSITIVITY = ((1.0, 0.0047, 0.0, 1e-5), (1.0, 0.0053, 0.0, 1e-5), (34.1, 0.04, 13.5, 0.025))
_COLOUR_EXPONENT, _COLOUR_KNEE, _COLOUR_AT_KNEE = 0.7, 0.4, 0.95  # q_c, p_c, p_t
_FEATURE_WIDTH, _FEATURE_EXPONENT = 0.082, 0.5  # w in degrees, q_f


def flip(
    image: Float[Tensor, "*batch 3 height width"],
    truth: Float[Tensor, "*batch 3 height width"],
    *,
    pixels_per_degree: float = PIXELS_PER_DEGREE,
) -> Float[Tensor, "*batch"]:
    """Mean of `flip_map` over the pixels: one value per image in [0, 1], 0 = alike."""
    return flip_map(image, truth, pixels_per_degree=pixels_per_degree).mean((-1, -2))


def flip_map(
    image: Float[Tensor, "*batch 3 height width"],
    truth: Float[Tensor, "*batch 3 height width"],
    *,
    pixels_per_degree: float = PIXELS_PER_DEGREE,
) -> Float[Tensor, "*batch height width"]:
    """The perceived difference of every pixel of two sRGB images in [0, 1]; symmetric in its arguments."""
    shown, true = (_opponent(_linear(x.reshape(-1, *x.shape[-3:]).clamp(0, 1).double())) for x in (image, truth))
    colour = _colour_difference(shown, true, pixels_per_degree)
    features = _feature_difference(shown, true, pixels_per_degree)
    difference = colour ** (1 - features)  # eq. 15: where features differ, a difference of colour counts for more
    return difference.reshape(*image.shape[:-3], *image.shape[-2:]).to(image.dtype)


def _colour_difference(image: Tensor, truth: Tensor, pixels_per_degree: float) -> Tensor:
    """Sec. 4.1: filtered as the eye does, HyAB distance in Hunt-adjusted L*a*b*, spread over [0, 1]."""
    bells = _sensitivity_bells(pixels_per_degree)
    seen = [_hunt(_lab(_smooth(x, bells))) for x in (image, truth)]
    distance = _hyab(*seen) ** _COLOUR_EXPONENT
    green, blue = (
        _hunt(_lab(torch.tensor(c, dtype=torch.float64).view(1, 3, 1, 1))) for c in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )
    largest = float(_hyab(green, blue)) ** _COLOUR_EXPONENT
    knee = _COLOUR_KNEE * largest
    below = _COLOUR_AT_KNEE / knee * distance
    above = _COLOUR_AT_KNEE + (distance - knee) / (largest - knee) * (1 - _COLOUR_AT_KNEE)
    return torch.where(distance < knee, below, above)


def _feature_difference(image: Tensor, truth: Tensor, pixels_per_degree: float) -> Tensor:
    """Sec. 4.2: how much edges and points of the luminance differ."""
    changes = []
    for kernel in _feature_kernels(pixels_per_degree):
        strengths = [_gradient_length((x[:, 0] + 16) / 116, kernel) for x in (image, truth)]
        changes.append((strengths[0] - strengths[1]).abs())
    return (torch.maximum(*changes) / math.sqrt(2)) ** _FEATURE_EXPONENT


# Colour spaces


def _linear(srgb: Tensor) -> Tensor:
    return torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)


@cache
def _matrix() -> Tensor:
    return torch.tensor(_XYZ_FROM_LINEAR, dtype=torch.float64)


def _relative_xyz(linear: Tensor) -> Tensor:
    """XYZ over that of white, [batch, 3, h, w]."""
    matrix = _matrix() / _matrix().sum(1, keepdim=True)
    return torch.einsum("ij,bjhw->bihw", matrix.to(linear.device), linear)


def _opponent(linear: Tensor) -> Tensor:
    """Linear RGB -> YCxCz, a linear opponent space."""
    x, y, z = _relative_xyz(linear).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _linear_of_opponent(opponent: Tensor) -> Tensor:
    first, second, third = opponent.unbind(1)
    y = (first + 16) / 116
    xyz = torch.stack([second / 500 + y, y, y - third / 200], 1)
    matrix = _matrix() / _matrix().sum(1, keepdim=True)
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(matrix).to(xyz.device), xyz)


def _lab(linear: Tensor) -> Tensor:
    """Linear RGB -> CIE L*a*b*."""
    ratio = _relative_xyz(linear)
    delta = 6 / 29
    root = ratio.clamp_min(0) ** (1 / 3)
    x, y, z = torch.where(ratio > delta**3, root, ratio / (3 * delta**2) + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _hunt(lab: Tensor) -> Tensor:
    """Dark colours look less colourful (Hunt 1952)."""
    return torch.cat([lab[:, :1], 0.01 * lab[:, :1] * lab[:, 1:]], 1)


def _hyab(first: Tensor, second: Tensor) -> Tensor:
    """Distance for large differences of colour (Abasi et al. 2020): [batch, h, w]."""
    change = first - second
    return change[:, 0].abs() + change[:, 1:].square().sum(1).sqrt()


# Filters: all of them are products of a function of the column and one of the row, which is many times cheaper


def _smooth(opponent: Tensor, bells: tuple[tuple[int, float, Tensor], ...]) -> Tensor:
    """What of YCxCz the eye resolves, as linear RGB in [0, 1]."""
    filtered = torch.zeros_like(opponent)
    for channel, share, bell in bells:
        filtered[:, channel] += share * _filtered(opponent[:, channel], bell, bell)
    return _linear_of_opponent(filtered).clamp(0, 1)


@cache
def _sensitivity_bells(pixels_per_degree: float) -> tuple[tuple[int, float, Tensor], ...]:
    """(channel, share, bell [side] that sums to 1): each channel's kernel as a sum of Gaussians (eq. 4 to 6)."""
    widest = max(b for row in _SENSITIVITY for b in (row[1], row[3]))
    radius = math.ceil(3 * math.sqrt(widest / (2 * math.pi**2)) * pixels_per_degree)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64) / pixels_per_degree
    found = []
    for channel, (a1, b1, a2, b2) in enumerate(_SENSITIVITY):
        bells = [
            (a * math.sqrt(math.pi / b), torch.exp(-(math.pi**2) * offsets**2 / b)) for a, b in ((a1, b1), (a2, b2))
        ]
        mass = [height * float(bell.sum()) ** 2 for height, bell in bells]
        found += [
            (channel, m / sum(mass), bell / bell.sum()) for m, (_, bell) in zip(mass, bells, strict=True) if m > 0
        ]
    return tuple(found)


@cache
def _feature_kernels(pixels_per_degree: float) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Edge and point detectors, each as its factors (along the gradient [side], across it [side])."""
    deviation = 0.5 * _FEATURE_WIDTH * pixels_per_degree
    radius = math.ceil(3 * deviation)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    bell = torch.exp(-(x**2) / (2 * deviation**2))
    across = bell / bell.sum()
    return (_balanced(-x * bell), across), (_balanced((x**2 / deviation**2 - 1) * bell), across)


def _balanced(kernel: Tensor) -> Tensor:
    """Positive weights sum to 1, negative ones to -1."""
    positive, negative = kernel.clamp_min(0), kernel.clamp_max(0)
    return positive / positive.sum() - negative / negative.sum()


def _gradient_length(luminance: Tensor, kernel: tuple[Tensor, Tensor]) -> Tensor:
    along, across = kernel
    return torch.hypot(_filtered(luminance, along, across), _filtered(luminance, across, along))


def _filtered(plane: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """[batch, h, w] correlated with `columns` [side] across the width and `rows` [side] across the height."""
    radius = len(columns) // 2
    padded = F.pad(plane[:, None], [radius] * 4, mode="replicate")
    columns, rows = columns.to(plane.device), rows.to(plane.device)
    return F.conv2d(F.conv2d(padded, columns.view(1, 1, 1, -1)), rows.view(1, 1, -1, 1))[:, 0]
