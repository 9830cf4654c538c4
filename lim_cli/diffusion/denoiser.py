"""Multi-view video denoiser: a pixel-space transformer that predicts clean images (JiT, arXiv 2511.13720).

Flow matching: an image at noise level s in [0, 1] is `(1 - s) clean + s noise`; the network returns `clean`.
Noise levels are per image, so frames already made enter clean (level 0) beside noisy ones.

View 0, the given clip, is never noisy and never looks at the other views: its tokens run through the same
blocks once per window (`encode_reference`), and every denoising step only reads its keys and values. The rest
is factorised: even blocks attend across all tokens of all views of one frame; odd blocks across one token
row of all views (between level cameras epipolar lines are nearly rows, Era3D), then over time at one token
and view. Two convolutions at the end stitch the patches.

`small` has 11.6 M parameters. A window of 9 frames x 4 views at 128x128 costs 181 GFLOP per denoising step
and 44 GFLOP once for view 0 (a multiply-add counted as two; `flops.step_flops`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lim_cli.core.camera import Cameras
from lim_cli.core.rays import plucker_rays
from lim_cli.diffusion.blocks import (
    DenoiserBlock,
    FrameBlock,
    KeysValues,
    RowBlock,
    StitchPatches,
    modulate,
    rotary_angles,
    rotary_tables,
)
from lim_cli.diffusion.configs import DenoiserConfig
from lim_cli.diffusion.patches import images_from_patches, patches_from_images

_SPATIAL_BASE = 100.0  # longest RoPE wavelength is well over the token grid
_TEMPORAL_BASE = 100.0


@dataclass(frozen=True)
class Reference:
    """What the denoising steps of one window need of the cameras and of view 0.

    ray_tokens: [batch, view - 1, token, channel] of the views to make.
    keys_values: per block, keys and values [batch, time, 1, token, head, channel] of view 0.
    """

    ray_tokens: Tensor
    keys_values: tuple[KeysValues, ...]


@dataclass(frozen=True)
class Rotary:
    """`rotary_tables` over the token grid [token, 1, channel] and over time [time, 1, channel]."""

    grid: tuple[Tensor, Tensor]
    time: tuple[Tensor, Tensor]


class MultiviewVideoDenoiser(nn.Module):
    """Predicts the clean images of views 1.. from noisy ones, the clean view 0 and the cameras."""

    def __init__(self, options: DenoiserConfig) -> None:
        super().__init__()
        self.options = options
        width, patch = options.width, options.patch
        self.embed_pixels = nn.Linear(4 * patch**2, width)
        self.embed_rays = nn.Linear(6 * patch**2, width)
        self.embed_level = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.modulation = nn.Linear(width, 11 * width)  # nine for the blocks, two for the head
        self.blocks = nn.ModuleList(
            (FrameBlock, RowBlock)[index % 2](width, options.head_width, options.mlp_width, options.grid)
            for index in range(options.depth)
        )
        self.head = nn.Linear(width, (4 + options.detail) * patch**2)
        self.stitch = StitchPatches(options.detail)
        nn.init.normal_(self.modulation.weight, std=0.01)
        nn.init.zeros_(self.modulation.bias)
        for layer in (self.embed_pixels, self.embed_rays):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def compile_blocks(self) -> None:
        """torch.compile of every block and of the stitching; shapes are static, so few graphs are made."""
        for block in self.blocks:
            block.compile()
        self.stitch.compile()

    def forward(self, pixels: Tensor, noise_level: Tensor, world_from_camera: Tensor, intrinsics: Tensor) -> Tensor:
        """Clean prediction [batch, time, view - 1, 4, height, width] of views 1...

        Args:
            pixels: [batch, time, view, 4, height, width] as of `encode_pixels`; view 0 clean, the others at
                their noise level.
            noise_level: [batch, time, view] in [0, 1]; 0 is clean. That of view 0 is not read.
            world_from_camera: [batch, view, 4, 4], any world whose +Y is up and whose origin is the object's.
            intrinsics: [batch, view, 4].
        """
        reference = self.encode_reference(pixels[:, :, 0], world_from_camera, intrinsics)
        return self.denoise(pixels[:, :, 1:], noise_level[:, :, 1:], reference)

    def encode_reference(self, pixels: Tensor, world_from_camera: Tensor, intrinsics: Tensor) -> Reference:
        """Runs view 0, [batch, time, 4, height, width], through the blocks; once per window."""
        ray_tokens = self._ray_tokens(world_from_camera, intrinsics)
        batch, time = pixels.shape[:2]
        x = self._embed(pixels[:, :, None], ray_tokens[:, :1])  # [batch, time, 1, token, channel]
        modulation = self._modulation(pixels.new_zeros(batch, time, 1))[..., : 9 * self.options.width]
        rotary = self._rotary(time, x.device)
        keys_values = []
        for block in self.blocks[:-1]:
            x, pair = block(x, modulation, rotary.grid, rotary.time)
            x = x.squeeze(2).unsqueeze(2)  # one stride for the axis of length 1, or the blocks compile twice
            keys_values.append(pair)
        last = cast(DenoiserBlock, self.blocks[-1])
        keys_values.append(last.reference_keys_values(x, modulation, rotary.grid))
        return Reference(ray_tokens[:, 1:], tuple(keys_values))

    def denoise(self, pixels: Tensor, noise_level: Tensor, reference: Reference) -> Tensor:
        """Views 1.. [batch, time, view - 1, 4, height, width] at their noise levels -> clean prediction."""
        width = self.options.width
        x = self._embed(pixels, reference.ray_tokens)
        modulation = self._modulation(noise_level)
        rotary = self._rotary(pixels.shape[1], x.device)
        for block, pair in zip(self.blocks, reference.keys_values, strict=True):
            x, _ = block(x, modulation[..., : 9 * width], rotary.grid, rotary.time, pair)
        shift, scale = modulation[..., None, 9 * width :].chunk(2, -1)
        x = self.head(modulate(x, shift, scale))
        return self.stitch(images_from_patches(x, self.options.grid, self.options.patch))

    def _embed(self, pixels: Tensor, ray_tokens: Tensor) -> Tensor:
        # The residual stream stays float32 under autocast, as the sum of many small updates needs it.
        return self.embed_pixels(patches_from_images(pixels, self.options.patch)).float() + ray_tokens[:, None]

    def _ray_tokens(self, world_from_camera: Tensor, intrinsics: Tensor) -> Tensor:
        size = (self.options.image_size, self.options.image_size)
        rays = plucker_rays(Cameras(azimuth_aligned(world_from_camera), intrinsics, size))
        return self.embed_rays(patches_from_images(rays, self.options.patch)).float()  # [batch, view, token, channel]

    def _modulation(self, noise_level: Tensor) -> Tensor:
        frequencies = torch.exp(torch.arange(128, device=noise_level.device) * (-math.log(10000.0) / 128))
        angles = noise_level[..., None] * 1000.0 * frequencies
        return self.modulation(self.embed_level(torch.cat([angles.cos(), angles.sin()], -1)))

    def _rotary(self, time: int, device: torch.device) -> Rotary:
        half = self.options.head_width // 2
        position = torch.arange(self.options.grid, device=device, dtype=torch.float32)
        axis = rotary_angles(position, half // 2, _SPATIAL_BASE)  # [grid, half / 2]
        grid = self.options.grid
        angles = torch.cat([axis[:, None].expand(-1, grid, -1), axis[None].expand(grid, -1, -1)], -1)
        angles = angles.reshape(grid * grid, 1, half)
        over_time = rotary_angles(torch.arange(time, device=device, dtype=torch.float32), half, _TEMPORAL_BASE)
        return Rotary(rotary_tables(angles), rotary_tables(over_time[:, None]))


def azimuth_aligned(world_from_camera: Tensor) -> Tensor:
    """Turns the world about +Y so that camera 0 of [..., view, 4, 4] stands at azimuth 0 (on the +Z side)."""
    position = world_from_camera[..., 0, :3, 3]
    azimuth = torch.atan2(position[..., 0], position[..., 2])
    cosine, sine = azimuth.cos(), azimuth.sin()
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    rows = [cosine, zero, -sine, zero, zero, one, zero, zero, sine, zero, cosine, zero, zero, zero, zero, one]
    turn = torch.stack(rows, -1).unflatten(-1, (4, 4))
    return turn[..., None, :, :] @ world_from_camera
