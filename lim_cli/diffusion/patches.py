"""Cutting images into square patches, one token each, and back."""

from __future__ import annotations

from torch import Tensor


def patches_from_images(images: Tensor, patch: int) -> Tensor:
    """[..., channel, height, width] -> [..., token, channel * patch * patch], row by row."""
    *lead, channels, height, width = images.shape
    cut = images.reshape(*lead, channels, height // patch, patch, width // patch, patch)
    n = len(lead)
    cut = cut.permute(*range(n), n + 1, n + 3, n, n + 2, n + 4)
    return cut.reshape(*lead, (height // patch) * (width // patch), channels * patch * patch)


def images_from_patches(tokens: Tensor, grid: int, patch: int) -> Tensor:
    """Inverse of `patches_from_images` for a square grid."""
    *lead, _, values = tokens.shape
    channels, n = values // patch**2, len(lead)
    cut = tokens.reshape(*lead, grid, grid, channels, patch, patch)
    cut = cut.permute(*range(n), n + 2, n, n + 3, n + 1, n + 4)
    return cut.reshape(*lead, channels, grid * patch, grid * patch)
