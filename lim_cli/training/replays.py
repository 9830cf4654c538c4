"""Samples that were made with much work, remembered and learned from again."""

from __future__ import annotations

from collections import deque

import torch

from lim_cli.training.task import Batch


class Replays:
    """The last `kept` samples, of which `count` join every new one."""

    def __init__(self, count: int, kept: int) -> None:
        self.count = count
        self._memory: deque[Batch] = deque(maxlen=kept)

    def joined(self, known: Batch, generator: torch.Generator) -> Batch:
        """A batch with earlier samples behind it; it is remembered, too."""
        new = [{name: value[n] for name, value in known.items()} for n in range(len(next(iter(known.values()))))]
        again = []
        if self._memory:
            count = self.count * len(new)
            chosen = torch.randint(len(self._memory), (count,), generator=generator, device=generator.device)
            again = [self._memory[n] for n in chosen.tolist()]
        self._memory.extend(new)
        return {name: torch.stack([sample[name] for sample in (*new, *again)]) for name in known}
