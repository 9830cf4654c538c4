"""Endless samples by number: sample i of a split is the same whoever draws it, whenever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from lim_cli.data.animated_object import AnimatedObject
from lim_cli.data.object_source import Mixture

_SPLITS = {"train": 1, "eval": 2}


class Spec(Protocol):
    """What a sample is made of: `SampleSpec`, `FrustumSpec` or `CameraSpec`."""

    def draw(self, source: AnimatedObject, rng: np.random.Generator) -> dict[str, np.ndarray]: ...


class ProceduralDataset(Dataset[dict[str, np.ndarray]]):
    """Samples of objects from `source`: procedural ones alone if None.

    Every sample is of another object, whose drawing costs an eighth of its pictures. `pool`: there are only so many
    different samples, which come round again and are kept in memory: for models that learn faster than samples are
    drawn.
    The `eval` split draws from other seeds than `train` ever does. A core draws about 300 images of 128x128 a second
    (tests/benchmarks/world_speed.py): what a GPU wants more comes from more loader workers.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        seed: int = 0,
        split: Literal["train", "eval"] = "train",
        source: Mixture | None = None,
        length: int = 2**40,
        pool: int | None = None,
    ) -> None:
        self.spec, self.seed, self.split = spec, seed, split
        self.length, self.source = length, source or Mixture()
        self.pool, self._drawn = pool, dict[int, dict[str, np.ndarray]]()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if self.pool is None:
            return self._sample(index)
        number = index % self.pool
        if number not in self._drawn:
            self._drawn[number] = self._sample(number)
        return self._drawn[number]

    def _sample(self, index: int) -> dict[str, np.ndarray]:
        key = [_SPLITS[self.split], self.seed]
        source = self.source.draw(np.random.default_rng([*key, 0, index]))
        return self.spec.draw(source, np.random.default_rng([*key, 1, index]))


class _FromHere(Sampler[int]):
    """Sample numbers start .. stop - 1: where a resumed run goes on."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def sample_loader(
    dataset: ProceduralDataset, *, batch_size: int, start: int, stop: int, workers: int
) -> DataLoader[dict[str, torch.Tensor]]:
    """Batches of samples start .. stop - 1 in order; `workers` loader processes (0: in this one)."""
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # collating turns arrays into tensors
        batch_size=batch_size,
        sampler=_FromHere(start, stop),
        num_workers=workers,
        drop_last=True,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None,
        persistent_workers=False,
        worker_init_fn=_one_thread,
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
