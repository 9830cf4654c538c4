"""Training loss of the frustum volume."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.core.camera import Cameras
from lim_cli.core.rays import camera_rays
from lim_cli.diffusion.frustum_volume import THICKNESS, FrustumVolume, march, read
from lim_cli.diffusion.pixels import encode_pixels, near_object

RAYS = 1024
_SAMPLES = 40
_OPACITY = 0.3
_COLOUR = 2.0
_POINTS = 1.0
_BACKGROUND = 0.3
_RECOLOURED = 0.3


def volume_loss(
    model: FrustumVolume, batch: Mapping[str, Tensor], generator: torch.Generator, *, varied: bool = True
) -> tuple[Tensor, dict[str, Tensor]]:
    """Whether points are inside (cross-entropy), and opacity (cross-entropy) and colour (squared) of random rays of

    views 1.., rendered from view 0's volume. Points lie evenly behind the picture's matte, so that densities come out
    as odds (`likeliest_solid` decides by them). Rays alone leave open for long where along a ray something stands, and
    what they want of densities under doubt is less: many small odds along a ray add up to an opaque pixel.

    Args:
        batch: `images` uint8 [batch, view, 4, height, width], straight alpha, of level views an equal angle apart;
            `world_from_camera` [batch, view, 4, 4]; `intrinsics` [batch, view, 4]; `points` [batch, point, 3];
            `inside` bool [batch, point].
        varied: whether half of the samples are mirrored and some have their colour channels exchanged.
    """
    images, points = encode_pixels(batch["images"].float() / 255), batch["points"].float()
    if varied:
        images, points = _varied(images, points, generator)
    size = (images.shape[-2], images.shape[-1])
    first = Cameras(batch["world_from_camera"][:, 0], batch["intrinsics"][:, 0], size)
    volume = model(images[:, 0], first)
    with torch.autocast(images.device.type, enabled=False):  # where things are takes more than bfloat16
        return _against_truth(volume.float(), first, images, points, batch, generator)


def _against_truth(
    volume: Tensor,
    first: Cameras,
    images: Tensor,
    points: Tensor,
    batch: Mapping[str, Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, Tensor]]:
    count, views = images.shape[:2]
    device, size = images.device, first.size

    # 1. The truth at half the size, and rays through its pixels
    half = (size[0] // 2, size[1] // 2)
    truth = F.avg_pool2d(images.flatten(0, 1), 2)
    near = near_object(truth[:, 3]).unflatten(0, (count, views))
    truth = truth.unflatten(0, (count, views))
    cameras = Cameras(batch["world_from_camera"], batch["intrinsics"], size).resized(half)
    origins, directions = camera_rays(cameras)
    places = (views - 1) * half[0] * half[1]
    chosen = torch.randint(places, (count, RAYS), generator=generator, device=generator.device).to(device)

    def picked(values: Tensor) -> Tensor:
        """[batch, view, h, w, channel] -> [batch, ray, channel]."""
        flat = values[:, 1:].flatten(1, 3)
        return flat.gather(1, chosen[..., None].expand(-1, -1, flat.shape[-1]))

    # 2. What the volume shows there
    shift = torch.rand(count, RAYS, generator=generator, device=generator.device).to(device) - 0.5
    colour, opacity = march(
        volume, images[:, 0, 3], first, picked(origins), picked(directions), samples=_SAMPLES, shift=shift
    )
    wanted = picked(truth.movedim(2, -1))
    matte = ((wanted[..., 3] + 1) / 2).clamp(0, 1)
    weight = _BACKGROUND + (1 - _BACKGROUND) * picked(near[..., None])[..., 0]
    opacity_loss = (
        F.binary_cross_entropy(opacity.float().clamp(1e-3, 1 - 1e-3), matte, reduction="none") * weight
    ).mean()
    colour_loss = ((colour - wanted[..., :3]).square().sum(-1) * weight).mean()

    # 3. Whether points in front of and behind each other are within the object
    density, _, matte_there = read(volume[:, :1], images[:, 0, 3], first, points)
    filled = 1 - torch.exp(-density.float() * THICKNESS)
    asked = ((matte_there > 0.5) & (points.norm(dim=-1) < 1)).float()
    wrong = F.binary_cross_entropy(filled.clamp(1e-3, 1 - 1e-3), batch["inside"].float(), reduction="none")
    points_loss = (wrong * asked).sum() / asked.sum().clamp_min(1)

    with torch.no_grad():
        common, either = torch.minimum(opacity, matte).sum(1), torch.maximum(opacity, matte).sum(1)
        overlap = (common / either.clamp_min(1e-6)).mean()
    metrics = {
        "opacity": opacity_loss.detach(),
        "colour": colour_loss.detach(),
        "points": points_loss.detach(),
        "overlap": overlap,
    }
    return _OPACITY * opacity_loss + _COLOUR * colour_loss + _POINTS * points_loss, metrics


def _varied(images: Tensor, points: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Views [batch, view, 4, h, w] and points [batch, point, 3], some samples mirrored or with colours exchanged.

    A mirrored object seen from a quarter to the right is the object seen from a quarter to the left, mirrored.
    """
    count, views = images.shape[:2]
    draw = torch.rand(2, count, generator=generator, device=generator.device).to(images.device)
    mirrored = draw[0] < 0.5
    other_way = [(-view) % views for view in range(views)]
    images = torch.where(mirrored.view(-1, 1, 1, 1, 1), images[:, other_way].flip(-1), images)
    points = torch.where(mirrored.view(-1, 1, 1), points * points.new_tensor([-1.0, 1.0, 1.0]), points)
    order = torch.rand(count, 3, generator=generator, device=generator.device).argsort(1).to(images.device)
    index = order[:, None, :, None, None].expand(-1, views, -1, *images.shape[-2:])
    exchanged = torch.cat([images[:, :, :3].gather(2, index), images[:, :, 3:]], 2)
    return torch.where((draw[1] < _RECOLOURED).view(-1, 1, 1, 1, 1), exchanged, images), points
