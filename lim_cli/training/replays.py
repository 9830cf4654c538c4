"""Samples that were made with much work, remembered and learned from again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch

from lim_cli.training.task import Batch


class Replays:
    """The last `kept` samples, of which `count` join every new one; one is new in every so many steps."""

    def __init__(self, count: int, kept: int, *, every: int = 1) -> None:
        self.count, self.every = count, every
        self._memory: deque[Batch] = deque(maxlen=kept)
        self._since = 0

    def due(self) -> bool:
        """Whether this step, which is counted, takes a new sample: every step until enough is remembered."""
        self._since = 1 if self._since >= self.every or len(self._memory) <= self.count else self._since + 1
        return self._since == 1

    def again(self, count: int, generator: torch.Generator) -> Batch:
        """A batch as large as `joined` makes of `count` new samples, all of it remembered."""
        return stacked(self._some((self.count + 1) * count, generator))

    def joined(self, known: Batch, generator: torch.Generator) -> Batch:
        """A batch with earlier samples behind it; it is remembered, too."""
        new = [{name: value[n] for name, value in known.items()} for n in range(len(next(iter(known.values()))))]
        again = self._some(self.count * len(new), generator) if self._memory else []
        self._memory.extend(new)
        return stacked([*new, *again])

    def _some(self, count: int, generator: torch.Generator) -> list[Batch]:
        chosen = torch.randint(len(self._memory), (count,), generator=generator, device=generator.device)
        return [self._memory[n] for n in chosen.tolist()]


def stacked(samples: Sequence[Batch]) -> Batch:
    """One batch of samples, in the types they have: autocast on a CPU takes no half precision."""
    with torch.autocast(next(iter(samples[0].values())).device.type, enabled=False):
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
