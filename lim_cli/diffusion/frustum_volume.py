"""One picture's own volume: density and colour in the frustum of its camera, seen from other cameras.

The view model's transformer has to find out where a pixel of one view is seen in another; 75,000 pictures did not teach
it that what stands at a height from the front stands there from the side. Here geometry says so. A U-Net writes into
every pixel what lies along its ray, on planes of depth through the unit ball (a multiplane image, Tucker and Snavely,
CVPR 2020): odds, out of which `likeliest_solid` makes one object, whose other views are rendered. What lies outside the
picture's matte is empty for certain.

`small` has 15.5 M parameters; a picture costs 15 GFLOP.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.core.camera import Cameras, project
from lim_cli.core.rays import camera_rays
from lim_cli.diffusion.configs import VolumeConfig
from lim_cli.diffusion.denoiser import azimuth_aligned

DENSITY_SCALE = 20.0
THICKNESS = 0.1  # of matter that counts as filled, in halves of the volume
SAMPLES = 48  # along a ray through the unit ball
_INITIAL_STRENGTH = 0.3
_GROUP = 16
_EYE_SCALE = 0.3


class FrustumVolume(nn.Module):
    """Picture -> volume [batch, 4, plane, size / 2, size / 2]: a logit of density, then colour around grey."""

    def __init__(self, options: VolumeConfig) -> None:
        super().__init__()
        self.options = options
        widths = options.widths
        self.stem = nn.Conv2d(4 * (4 + 3 + 1), widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList([
            nn.Sequential(Residual(widths[0], widths[0])),
            nn.Sequential(Residual(widths[1], widths[1]), Residual(widths[1], widths[1])),
            nn.Sequential(Residual(widths[2], widths[2]), Residual(widths[2], widths[2]), SelfAttention(widths[2])),
            nn.Sequential(
                Residual(widths[3], widths[3]), SelfAttention(widths[3]),
                Residual(widths[3], widths[3]), SelfAttention(widths[3]),
            ),
        ])  # fmt: skip
        pairs = [(widths[n], widths[n + 1]) for n in range(3)]
        self.shrink_blocks = nn.ModuleList(nn.Conv2d(fine, coarse, 3, 2, 1) for fine, coarse in pairs)
        self.widen_blocks = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in reversed(pairs))
        self.up_blocks = nn.ModuleList([
            nn.Sequential(Residual(2 * widths[2], widths[2]), SelfAttention(widths[2]), Residual(widths[2], widths[2])),
            nn.Sequential(Residual(2 * widths[1], widths[1]), Residual(widths[1], widths[1])),
            nn.Sequential(Residual(2 * widths[0], widths[0])),
        ])  # fmt: skip
        coarsest = options.image_size // 16
        self.position = nn.Parameter(torch.zeros(1, widths[3], coarsest, coarsest))
        self.norm = nn.GroupNorm(widths[0] // _GROUP, widths[0])
        self.head = nn.Conv2d(widths[0], 4 * options.planes, 1)
        nn.init.normal_(self.head.weight, std=0.02)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():  # a faint ball to start from
            self.head.bias[: options.planes] = -2.5 - 3 * torch.linspace(-1, 1, options.planes).square()

    def forward(self, pixels: Tensor, camera: Cameras) -> Tensor:
        """The volume of pictures [batch, 4, size, size] (`encode_pixels`) that `camera` [batch] took.

        Its world may be turned about +Y at will; the object is within the unit ball about its origin.
        """
        aligned = azimuth_aligned(camera.world_from_camera[:, None])[:, 0]
        origins, directions = camera_rays(Cameras(aligned, camera.intrinsics, camera.size))
        rays = torch.cat([directions, _EYE_SCALE * origins[..., 1:2]], -1).movedim(-1, -3)
        x = F.pixel_unshuffle(torch.cat([pixels, rays], 1), 2).contiguous(memory_format=torch.channels_last)
        x = self.down_blocks[0](self.stem(x))
        finer = [x]
        for level, shrink in enumerate(self.shrink_blocks, start=1):
            x = shrink(x)
            x = self.down_blocks[level](x + self.position if level == 3 else x)
            finer.append(x)
        finer.pop()
        for widen, block in zip(self.widen_blocks, self.up_blocks, strict=True):
            x = F.interpolate(widen(x), scale_factor=2, mode="nearest")
            x = block(torch.cat([x, finer.pop()], 1))
        volume = self.head(F.silu(self.norm(x))).contiguous().unflatten(1, (4, self.options.planes))
        own = F.avg_pool2d(pixels, 2)[:, :3, None]  # the picture's colours go through the whole object at first
        return torch.cat([volume[:, :1], volume[:, 1:] + own], 1)


def march(
    volume: Tensor,
    signed_matte: Tensor,
    camera: Cameras,
    origins: Tensor,
    directions: Tensor,
    *,
    samples: int = SAMPLES,
    shift: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Colour around grey, premultiplied [batch, ray, 3], and opacity [batch, ray] of rays [batch, ray, 3].

    volume [batch, 4, plane, h, w] and signed_matte [batch, height, width] (opacity in [-1, 1]) are the picture's that
    `camera` [batch] took. shift [batch, ray]: of the samples along each ray, in samples.
    """
    near, far, met = _through_ball(origins, directions)
    place = (torch.arange(samples, device=origins.device) + 0.5) / samples
    steps = place.expand(*near.shape, samples) if shift is None else place + shift[..., None] / samples
    reach = near[..., None] + (far - near)[..., None] * steps  # [batch, ray, sample]
    points = (origins[..., None, :] + directions[..., None, :] * reach[..., None]).flatten(1, 2)

    density, colour, inside = read(volume, signed_matte, camera, points)
    density, colour = (density * inside).view(reach.shape), colour.unflatten(2, reach.shape[1:])
    alpha = 1 - torch.exp(-density * ((far - near) / samples)[..., None])
    kept = torch.cumprod(torch.cat([torch.ones_like(alpha[..., :1]), 1 - alpha + 1e-6], -1), -1)[..., :-1]
    weight = alpha * kept * met[..., None]
    return (weight[:, None] * colour).sum(-1).transpose(1, 2), weight.sum(-1)


def read(volume: Tensor, signed_matte: Tensor, camera: Cameras, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Density [batch, point] per unit of length, colour around grey [batch, 3, point] and the picture's opacity

    [batch, point] at points [batch, point, 3]; the others as in `march`. Density holds where the picture is opaque.
    """
    pixels, depth = project(points, camera.world_from_camera, camera.intrinsics)
    middle = project(torch.zeros_like(points[:, :1]), camera.world_from_camera, camera.intrinsics)[1]
    size = pixels.new_tensor([camera.size[1], camera.size[0]])
    grid = torch.cat([2 * pixels / size - 1, (depth - middle)[..., None]], -1)[:, :, None]
    values = F.grid_sample(volume, grid[:, :, None], padding_mode="border", align_corners=False).flatten(2)
    matte = (signed_matte[:, None] + 1) / 2
    inside = F.grid_sample(matte, grid[..., :2], align_corners=False)[:, 0, :, 0]
    return density_of(values), values[:, 1:], inside


def density_of(volume: Tensor) -> Tensor:
    """Density [batch, ...] per unit of length of a volume [batch, 4, ...]."""
    return DENSITY_SCALE * F.softplus(volume[:, 0])


class Residual(nn.Module):
    """Two normalised 3x3 convolutions beside a straight way, [batch, source, h, w] -> [batch, target, h, w]."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(source // _GROUP, source)
        self.first = nn.Conv2d(source, target, 3, padding=1)
        self.second_norm = nn.GroupNorm(target // _GROUP, target)
        self.second = nn.Conv2d(target, target, 3, padding=1)
        self.straight = nn.Conv2d(source, target, 1) if source != target else nn.Identity()
        nn.init.normal_(self.second.weight, std=_INITIAL_STRENGTH / math.sqrt(9 * target))
        assert self.second.bias is not None
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(F.silu(self.first_norm(x)))
        found: Tensor = self.straight(x) + self.second(F.silu(self.second_norm(hidden)))
        return found


class SelfAttention(nn.Module):
    """Attention among all places of [batch, channel, h, w], added to it."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(width // _GROUP, width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.out.weight, std=_INITIAL_STRENGTH / math.sqrt(width))

    def forward(self, x: Tensor) -> Tensor:
        places = self.norm(x).flatten(2).transpose(1, 2)
        query, key, value = self.qkv(places).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        found: Tensor = x + self.out(mixed).transpose(1, 2).view_as(x)
        return found


def _through_ball(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths [...] at which unit rays enter and leave the unit ball, equal where they miss, and whether they met."""
    along = (origins * directions).sum(-1)
    squared = along.square() - origins.square().sum(-1) + 1
    half = squared.clamp_min(0).sqrt()
    return -along - half, -along + half, squared > 0
