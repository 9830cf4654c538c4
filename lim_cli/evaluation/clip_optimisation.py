"""A moving field fitted to one clip from nothing: what Consistent4D (2023) does, at the size of a table's row.

One triplane for what stays and one more at every keyframe for what moves, linear in between, decoded by a small field
of its own. Rays of the input frames are fitted, and of the generated views where Consistent4D distils a diffusion
model: both rows are shown the same pictures. No weights of a trained reconstruction model are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras
from lim_cli.core.device import generator
from lim_cli.core.progress import Progress
from lim_cli.core.rays import camera_rays
from lim_cli.evaluation.monocular_cases import STRIDE, MonocularCase
from lim_cli.evaluation.monocular_methods import Reconstruction, from_triplanes
from lim_cli.models.triplane import FieldConfig, FieldDecoder, density
from lim_cli.render.marching import march_rays
from lim_cli.stages import views
from lim_cli.stages.config import ViewsConfig
from lim_cli.stages.intervals import place
from lim_cli.stages.networks import Networks

OPTIMISED = "per-clip fit"
GENERATED_WEIGHT = 0.5
SIZE = 128


@dataclass(frozen=True)
class FitConfig:
    """iterations: optimiser steps of `rays` rays with `samples` places each. plane, channels: of the triplanes.

    smoothness: weight of the planes' total variation. motion: weight of what differs from the still triplane.
    """

    iterations: int = 300
    rays: int = 1024
    samples: int = 48
    plane: int = 48
    channels: int = 12
    hidden: int = 32
    rate: float = 0.02
    smoothness: float = 2e-3
    motion: float = 1e-3


@dataclass(frozen=True)
class Rays:
    """Rays with what they should show: origins, directions [ray, 3]; rgba [ray, 4] premultiplied in [0, 1];

    time [ray] seconds; weight [ray].
    """

    origins: Tensor
    directions: Tensor
    rgba: Tensor
    time: Tensor
    weight: Tensor

    def some(self, index: Tensor) -> Rays:
        return Rays(*(values[index] for values in vars(self).values()))


class MovingField(nn.Module):
    """triplane(time) = still + moving at the two keyframes about it, blended."""

    def __init__(self, keyframe_times: np.ndarray, config: FitConfig, random: torch.Generator) -> None:
        super().__init__()
        self.times = keyframe_times
        shape = (3, config.channels, config.plane, config.plane)
        self.still = nn.Parameter(0.1 * torch.randn(shape, generator=random))
        self.moving = nn.Parameter(torch.zeros(len(keyframe_times), *shape))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.field = FieldDecoder(FieldConfig(channels=config.channels, hidden=config.hidden))

    def triplane(self, time: float) -> Tensor:
        """[3, channel, plane, plane]"""
        where = place(time, self.times)
        after = min(where.interval + 1, len(self.times) - 1)
        return self.still + torch.lerp(self.moving[where.interval], self.moving[after], where.alpha)


class ClipOptimisation:
    """Generated views as in our chain, then a field fitted to them and to the clip."""

    def __init__(self, networks: Networks, config: FitConfig | None = None) -> None:
        self._networks, self._config = networks, config or FitConfig()

    def __call__(self, case: MonocularCase, progress: Progress) -> Reconstruction:
        options = ViewsConfig(keyframe_stride=STRIDE, elevation=case.elevation, field_of_view=case.field_of_view)
        made = views.run(case.clip, options, self._networks, progress=progress)
        fitted = fit(rays_of(case.clip, made), made.keyframe_times, self._config, progress, self._networks.device)
        with torch.no_grad():
            triplanes = [fitted.triplane(float(time)) for time in case.clip.times]
            return from_triplanes(fitted.field, triplanes, case, progress)


def fit(
    rays: Rays, keyframe_times: np.ndarray, config: FitConfig, progress: Progress, device: torch.device | str = "cpu"
) -> MovingField:
    """Adam on squared errors of colour and opacity; every step takes the rays of four instants."""
    random = generator(0)
    model = MovingField(keyframe_times, config, random).to(device)
    planes, others = [model.still, model.moving], list(model.field.parameters())
    optimizer = torch.optim.Adam([{"params": planes, "lr": config.rate}, {"params": others, "lr": config.rate / 4}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.iterations)
    instants = torch.unique(rays.time)
    members = [(rays.time == instant).nonzero()[:, 0] for instant in instants]
    with progress.task("Optimising for this clip", config.iterations) as task:
        for _ in range(config.iterations):
            chosen = torch.randint(len(instants), (4,), generator=random).tolist()
            loss = torch.zeros((), device=device)
            for number in chosen:
                pick = torch.randint(len(members[number]), (config.rays // 4,), generator=random)
                batch = rays.some(members[number][pick])
                shown = render(model, float(instants[number]), batch, config.samples, random)
                loss = loss + (batch.weight.to(device) * (shown - batch.rgba.to(device)).square().sum(-1)).mean()
            loss = loss / len(chosen) + config.smoothness * (_variation(model.still) + _variation(model.moving))
            loss = loss + config.motion * model.moving.square().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            task.advance()
    return model.eval()


def render(model: MovingField, time: float, rays: Rays, samples: int, random: torch.Generator | None) -> Tensor:
    """Premultiplied rgba [ray, 4] of rays of one instant."""
    triplane = model.triplane(time)[None]
    device = triplane.device

    def field(points: Tensor) -> tuple[Tensor, Tensor]:
        logit, colour = model.field(triplane, points)
        return density(logit), colour

    origins, directions = rays.origins[None].to(device), rays.directions[None].to(device)
    seen = march_rays(field, origins, directions, samples=samples, generator=random)
    return torch.cat([seen.values[0], seen.opacity[0, :, None]], -1)


def rays_of(clip: ClipArtifact, made: ViewsArtifact) -> Rays:
    """Rays through all pixels of the clip and of the generated views, at SIZE pixels a side.

    Of rays that meet neither the object nor its surroundings one in four is kept: they would be most of them.
    """
    parts = [_shot(rgba, made.cameras_at(0)[:1], float(t), 1.0) for rgba, t in zip(clip.rgba, clip.times, strict=True)]
    for k, time in enumerate(made.keyframe_times):
        for view in range(1, made.rgba.shape[1]):
            parts.append(_shot(made.rgba[k, view], made.cameras_at(k)[view : view + 1], float(time), GENERATED_WEIGHT))
    return Rays(*(torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def _shot(rgba: np.ndarray, camera: Cameras, time: float, weight: float) -> Rays:
    picture = torch.from_numpy(rgba).float().movedim(-1, 0)[None] / 255
    picture = torch.cat([picture[:, :3] * picture[:, 3:], picture[:, 3:]], 1)
    picture = F.interpolate(picture, size=(SIZE, SIZE), mode="bilinear", antialias=True)
    origins, directions = camera_rays(camera.resized((SIZE, SIZE)))
    near = F.max_pool2d(picture[:, 3:], 17, 1, 8)[0, 0].flatten() > 0.05
    kept = near | (torch.arange(SIZE * SIZE) % 4 == 0)
    flat: Callable[[Tensor], Tensor] = lambda values: values.reshape(-1, values.shape[-1])[kept]  # noqa: E731
    colours = flat(picture[0].movedim(0, -1))
    return Rays(
        flat(origins), flat(directions), colours,
        torch.full((len(colours),), time, dtype=torch.float64), torch.full((len(colours),), weight),
    )  # fmt: skip


def _variation(planes: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring cells."""
    return planes.diff(dim=-1).abs().mean() + planes.diff(dim=-2).abs().mean()
