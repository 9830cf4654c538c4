"""Image metrics over images [*batch, channel, height, width] and masks [*batch, height, width] in [0, 1].

Every function returns one value per image: [*batch].
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # 11 x 11 window


def psnr(
    image: Float[Tensor, "*batch channel height width"], truth: Float[Tensor, "*batch channel height width"]
) -> Float[Tensor, "*batch"]:
    """Peak signal-to-noise ratio in dB, -10 log10(MSE) over all pixels; infinite for equal images."""
    return _decibels((image - truth).square().mean((-1, -2, -3)))


def psnr_foreground(
    image: Float[Tensor, "*batch channel height width"],
    truth: Float[Tensor, "*batch channel height width"],
    mask: Float[Tensor, "*batch height width"],
) -> Float[Tensor, "*batch"]:
    """PSNR_FG: PSNR over the pixels where the ground truth's `mask` exceeds 0.5; NaN where there are none."""
    inside = (mask > 0.5).to(truth.dtype)
    squared = (image - truth).square().mean(-3)
    return _decibels((squared * inside).sum((-1, -2)) / inside.sum((-1, -2)))


def mask_iou(
    opacity: Float[Tensor, "*batch height width"], mask: Float[Tensor, "*batch height width"]
) -> Float[Tensor, "*batch"]:
    """Intersection over union of `opacity` > 0.5 and `mask` > 0.5; 1 where both are empty."""
    rendered, given = opacity > 0.5, mask > 0.5
    union = (rendered | given).sum((-1, -2))
    common = (rendered & given).sum((-1, -2))
    return torch.where(union > 0, common / union.clamp_min(1), torch.ones_like(common / 1.0))


def ssim(
    image: Float[Tensor, "*batch channel height width"], truth: Float[Tensor, "*batch channel height width"]
) -> Float[Tensor, "*batch"]:
    """SSIM (Wang et al. 2004): 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, range 1.

    Population covariances, mean over channels and over pixels whose window lies inside the image.

    Raises:
        ValueError: an image side is below 11 pixels.
    """
    if min(image.shape[-2:]) < 2 * SSIM_RADIUS + 1:
        raise ValueError(f"expected images of at least 11x11 pixels, got {tuple(image.shape[-2:])}")
    c1, c2 = 0.01**2, 0.03**2
    mean_x, mean_y = _smooth(image), _smooth(truth)
    var_x = _smooth(image * image) - mean_x * mean_x
    var_y = _smooth(truth * truth) - mean_y * mean_y
    covariance = _smooth(image * truth) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (luminance * structure).mean((-1, -2, -3))


def _smooth(image: Tensor) -> Tensor:
    """Gaussian mean over windows that fit: [*batch, channel, height - 10, width - 10]."""
    offsets = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-0.5 * (offsets / SSIM_SIGMA).square())
    weights = weights / weights.sum()
    planes = image.reshape(-1, 1, *image.shape[-2:])
    planes = torch.nn.functional.conv2d(planes, weights.view(1, 1, -1, 1))
    planes = torch.nn.functional.conv2d(planes, weights.view(1, 1, 1, -1))
    return planes.reshape(*image.shape[:-2], *planes.shape[-2:])


def _decibels(mean_squared_error: Tensor) -> Tensor:
    return -10 * torch.log10(mean_squared_error)
