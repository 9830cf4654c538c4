"""What a task's trainer would hand it."""

from __future__ import annotations

from lim_cli.data.dataset import ProceduralDataset, sample_loader
from lim_cli.training.task import Batch, Task


def one_batch(task: Task, count: int = 1) -> Batch:
    dataset = ProceduralDataset(task.spec, seed=1, length=count)
    (batch,) = sample_loader(dataset, batch_size=count, start=0, stop=count, workers=0)
    return batch
