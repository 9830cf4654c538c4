"""Quick draws of one of several things: the same as numpy's `Generator.choice`, which is slow for single ones."""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Choice(Generic[T]):
    """Things with their chances, which sum to one."""

    def __init__(self, chances: dict[T, float]) -> None:
        self._things = list(chances)
        sums = np.cumsum(list(chances.values()))
        self._sums = (sums / sums[-1]).tolist()

    def draw(self, rng: np.random.Generator) -> T:
        return self._things[bisect_right(self._sums, rng.random())]
