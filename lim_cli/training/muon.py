"""Muon (Jordan et al. 2024) for many matrices at once, in a precision the device is fast at.

torch.optim.Muon does the same one matrix after the other and in bfloat16 only: on a CPU without bfloat16 units its
step then takes longer than forward and backward together, and on a GPU it is a thousand small launches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lim_cli.core.device import fast_in_bfloat16

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Newton-Schulz; steepest at zero, values end in about [0.7, 1.2]
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose updates are made orthogonal, scaled to the root mean square of AdamW's (0.2).

    A convolution's weight counts as the matrix [out channel, in channel * height * width].

    Raises:
        ValueError: a parameter is no matrix and no convolution's weight.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], *, lr: float, weight_decay: float, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.ndim not in (2, 4):
                    raise ValueError(f"expected matrices or convolutions, got a shape of {tuple(matrix.shape)}")

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[torch.Size, torch.device], list[nn.Parameter]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike.setdefault((matrix.shape, matrix.device), []).append(matrix)
            for matrices in alike.values():
                self._update(matrices, group)

    def _update(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        momentum, rate = group["momentum"], group["lr"]
        gradients = [m.grad.flatten(1) for m in matrices if m.grad is not None]
        averages = [self._average(m) for m in matrices]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        directions = orthogonalised(torch.stack(torch._foreach_lerp(gradients, averages, momentum)))
        places: list[Tensor] = list(matrices)
        torch._foreach_mul_(places, 1 - rate * group["weight_decay"])
        scale = -rate * 0.2 * max(gradients[0].shape) ** 0.5
        steps = [step.view_as(m) for step, m in zip(directions.to(matrices[0].dtype), matrices, strict=True)]
        torch._foreach_add_(places, steps, alpha=scale)

    def _average(self, matrix: nn.Parameter) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix.flatten(1))
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices [n, rows, columns] with their singular values pushed towards 1 (five Newton-Schulz iterations)."""
    a, b, c = _COEFFICIENTS
    x = matrices.to(torch.bfloat16 if fast_in_bfloat16(matrices.device) else torch.float32)  # it needs no more
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
