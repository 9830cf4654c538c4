"""Samples that were made with much work, remembered and learned from again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

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
        return stacked([*new, *again])


def stacked(samples: Sequence[Batch]) -> Batch:
    """One batch of samples, in the types they have: autocast on a CPU takes no half precision."""
    with torch.autocast(next(iter(samples[0].values())).device.type, enabled=False):
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
