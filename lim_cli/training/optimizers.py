"""Muon on the trunk's matrices and convolutions, AdamW on the rest; or Adam on everything, as the paper."""

from __future__ import annotations

import torch
from torch import nn

from lim_cli.training.config import TrainConfig
from lim_cli.training.muon import Muon


def build_optimizers(module: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Optimizers of `module`'s trainable parameters; their learning rates are the schedule's peaks."""
    named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    if config.optimizer == "adam":
        return [torch.optim.Adam([p for _, p in named], lr=config.learning_rate)]
    matrices = [p for n, p in named if p.ndim in (2, 4) and "blocks." in n]
    chosen = {id(p) for p in matrices}
    rest = [p for _, p in named if id(p) not in chosen]
    fused = bool(rest) and rest[0].is_cuda
    return [
        Muon(matrices, lr=config.matrix_learning_rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(
            rest, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98), fused=fused
        ),
    ]
