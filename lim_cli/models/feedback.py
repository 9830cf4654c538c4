"""What a triplane shows otherwise than the views it was made from, fed back into it: learned gradient descent.

Not in the paper. A feed-forward pass never looks at what it made. Here the triplane is drawn into the same views, the
gradient of how far it is off arrives at its planes through rendering, and convolutions make a step of it: as steps of
plain gradient descent they are many times too few, but they have learned from other objects what such a gradient means
for what no view shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import ConfigError
from lim_cli.models.plane_layers import PlaneConvolutions
from lim_cli.models.seen_rays import Room, SeenRays, disagreement, seen_rays
from lim_cli.models.triplane import FieldDecoder

PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Rounds look at a quarter of the pixels each, in turn."""
OUTLINE = 0.1
"""Weight of the mattes against the colours."""
GAIN = 300.0
"""Brings gradients to the size of features."""
RAYS_AT_ONCE = 1024
"""So many stay in a CPU's cache."""


@dataclass(frozen=True)
class FeedbackConfig:
    """rounds: steps made; samples: of a ray; width: of the convolutions."""

    rounds: int = 2
    samples: int = 12
    width: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= len(PHASES):
            raise ConfigError(f"Feedback takes from 1 to {len(PHASES)} rounds, got {self.rounds}.")
        if self.samples < 1 or self.width < 8 or self.width % 8:
            raise ConfigError(f"Feedback needs samples, and a width in steps of 8, got {self}.")


class Feedback(nn.Module):
    """Triplanes [batch, 3, channels, h, w] and the views they were made from -> the same after every round."""

    def __init__(self, config: FeedbackConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.step = PlaneConvolutions(2 * channels, channels, config.width)

    def forward(self, field: FieldDecoder, triplane: Tensor, views: Tensor, cameras: Cameras) -> list[Tensor]:
        """views: [batch, view, 4, h, w], premultiplied, in [0, 1].

        A round's step does not learn through the gradient that it is made of.
        """
        trust = [1.0] * views.shape[1]
        rooms = [Room.of(field, planes.detach()) for planes in triplane]
        found = []
        for phase in PHASES[: self.config.rounds]:
            rays = []
            for n, room in enumerate(rooms):
                rig = Cameras(cameras.world_from_camera[n], cameras.intrinsics[n], cameras.size)
                rays.append(seen_rays(room, views[n].float(), rig, trust, phase=phase))
            told = torch.asinh(GAIN * disagreement_gradients(field, triplane, rays, self.config.samples))
            step = self.step(torch.cat([triplane, told], 2).flatten(0, 1))
            triplane = triplane + step.view_as(triplane)
            found.append(triplane)
        return found


def disagreement_gradients(field: FieldDecoder, triplanes: Tensor, rays: Sequence[SeenRays], samples: int) -> Tensor:
    """`disagreement_gradient` of triplanes [batch, 3, c, h, w] and the rays of each."""
    if triplanes.is_cuda:
        return disagreement_gradient(field, triplanes, SeenRays.padded(rays), samples)
    pairs = zip(triplanes, rays, strict=True)
    return torch.stack([disagreement_gradient(field, planes, some, samples) for planes, some in pairs])


def disagreement_gradient(field: FieldDecoder, triplane: Tensor, rays: SeenRays, samples: int) -> Tensor:
    """How the sum over all rays [ray] of what they see otherwise grows with a triplane [3, c, h, w], or the same of

    several at once; the triplane is no variable of the result.
    """
    total = torch.zeros_like(triplane)
    with torch.enable_grad(), torch.autocast(triplane.device.type, enabled=False):
        planes = triplane.detach().float().requires_grad_()
        portions = [rays]
        if planes.device.type == "cpu" and planes.ndim == 4:
            portions = [rays[n : n + RAYS_AT_ONCE] for n in range(0, len(rays), RAYS_AT_ONCE)]
        for some in portions:
            colour, outline = disagreement(field, planes, some, samples)
            loss = (some.weights * (colour + OUTLINE * outline)).sum()
            total = total + torch.autograd.grad(loss, planes)[0]
    return total
