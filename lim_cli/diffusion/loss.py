"""Training loss of the multi-view video denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser
from lim_cli.diffusion.noise import correlated_noise
from lim_cli.diffusion.pixels import encode_pixels, near_object


@dataclass(frozen=True)
class DenoisingLossConfig:
    """Weights and probabilities of `denoising_loss`.

    level_mean, level_deviation: noise level = sigmoid(normal); a positive mean favours much noise.
    pure_noise: probability of noise level 1, where sampling starts.
    smallest_level: the weight 1 / level^2 stops growing below this.
    past_known: probability that leading frames of every view are given clean.
    frozen_tail: probability that the clip stands still from a random frame on, as padded windows do.
    background: weight of pixels away from the object, against 1 on and around it.
    opacity: weight of the opacity channel against each colour channel.
    reference_noise, past_noise: largest noise level mixed into view 0 and into known past views, unannounced.
    """

    level_mean: float = 0.8
    level_deviation: float = 1.0
    pure_noise: float = 0.1
    smallest_level: float = 0.2
    past_known: float = 0.4
    frozen_tail: float = 0.1
    background: float = 0.3
    opacity: float = 1.5
    reference_noise: float = 0.03
    past_noise: float = 0.1


def denoising_loss(
    model: MultiviewVideoDenoiser,
    batch: Mapping[str, Tensor],
    generator: torch.Generator,
    *,
    options: DenoisingLossConfig | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Flow-matching loss, measured between velocities, of the network's clean prediction.

    With z = (1 - s) clean + s noise the velocity is noise - clean = (z - clean) / s, so the squared error of
    velocities is that of clean images times 1 / s^2.

    Args:
        model: the denoiser, or a wrapper with its `forward`.
        batch: on the model's device: `images` uint8 [batch, time, view, 4, height, width], straight alpha;
            `world_from_camera` float32 [batch, view, 4, 4]; `intrinsics` float32 [batch, view, 4].
        generator: source of every random number; its device may differ from the batch's.

    Returns:
        The scalar loss and detached scalars: `colour`, `opacity` (squared errors of clean images on unknown
        images, over foreground and over all pixels) and `from_noise` (colour where the level was over 0.9).
    """
    options = DenoisingLossConfig() if options is None else options
    images = batch["images"]
    count, time, views = images.shape[:3]
    device = images.device

    # 1. Clean pixels; some clips stop moving.
    draw = _Uniform(generator, device)
    frame = torch.arange(time, device=device).expand(count, time)
    last = torch.where(draw(count) < options.frozen_tail, (draw(count) * time).long(), time)
    frame = torch.minimum(frame, last[:, None])
    images = images[torch.arange(count, device=device)[:, None], frame]
    clean = encode_pixels(images.float() / 255)  # [batch, time, view, 4, height, width]

    # 2. What is known: view 0 always, leading frames sometimes.
    past = torch.where(draw(count) < options.past_known, 1 + (draw(count) * (time - 1)).long(), 0)
    past = past.clamp(max=time - 1)
    known = (torch.arange(time, device=device) < past[:, None])[..., None].repeat(1, 1, views)
    known[:, :, 0] = True

    # 3. Noise levels: one per clip; what is known is announced as clean though it is not quite.
    normal = torch.randn(count, generator=generator, device=generator.device).to(device)
    level = torch.sigmoid(options.level_mean + options.level_deviation * normal)
    level = torch.where(draw(count) < options.pure_noise, 1.0, level)
    hidden = draw(count, time, views) * options.past_noise
    hidden[:, :, 0] = draw(count, time) * options.reference_noise
    announced = torch.where(known, 0.0, level[:, None, None])
    actual = torch.where(known, hidden, level[:, None, None])[..., None, None, None]
    noise = correlated_noise(clean.shape, generator, device)
    noisy = torch.lerp(clean, noise, actual)

    # 4. Clean prediction and its weighted error over the unknown images.
    predicted = model(noisy, announced, batch["world_from_camera"], batch["intrinsics"]).float()
    target, unknown = clean[:, :, 1:], (~known[:, :, 1:]).float()
    error = (predicted - target).square()  # [batch, time, view - 1, 4, height, width]
    near = near_object(target[..., 3, :, :])  # [batch, time, view - 1, height, width]
    pixel_weight = options.background + (1 - options.background) * near
    per_pixel = error[..., :3, :, :].sum(-3) + options.opacity * error[..., 3, :, :]
    weight = unknown / level.clamp_min(options.smallest_level).square()[:, None, None]
    per_image = (per_pixel * pixel_weight).mean((-1, -2)) / (3 + options.opacity)
    loss = (per_image * weight).sum() / unknown.sum().clamp_min(1)

    with torch.no_grad():
        foreground = (target[..., 3, :, :] > 0).float() * unknown[..., None, None]
        noisiest = foreground * (level > 0.9).float()[:, None, None, None, None]
        colour = error[..., :3, :, :].mean(-3)
        metrics = {
            "colour": (colour * foreground).sum() / foreground.sum().clamp_min(1),
            "opacity": (error[..., 3, :, :].mean((-1, -2)) * unknown).sum() / unknown.sum().clamp_min(1),
            "from_noise": (colour * noisiest).sum() / noisiest.sum().clamp_min(1),
        }
    return loss, metrics


class _Uniform:
    """Uniform numbers in [0, 1) of a given shape, drawn where the generator lives."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator, self.device = generator, device

    def __call__(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.generator.device).to(self.device)
