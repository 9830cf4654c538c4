"""The frustum volume of the view generator: one picture of an object, and what it looks like from its other sides."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lim_cli.core.config import to_plain
from lim_cli.data.frustum_samples import FrustumSpec
from lim_cli.diffusion.configs import VOLUME_PRESETS
from lim_cli.diffusion.frustum_volume import FrustumVolume
from lim_cli.diffusion.volume_loss import volume_loss
from lim_cli.models.checkpoints import read_tensors
from lim_cli.training.config import TrainConfig
from lim_cli.training.task import Batch, Task


class VolumeTask(Task):
    """Single pictures: frames of one clip show nearly the same."""

    model: FrustumVolume

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        options = VOLUME_PRESETS[config.preset]
        self.model = FrustumVolume(options)
        if config.initial is not None:
            self.model.load_state_dict(read_tensors(Path(config.initial)))
        self.plain = to_plain(options)
        self.spec = FrustumSpec(options.image_size, config.points)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return volume_loss(self.model, batch, generator, varied=self.training)
