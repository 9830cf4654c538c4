"""Run by torchrun: trains, then checks that all processes hold the same weights. Arguments: FOLDER MINUTES."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather

from lim_cli.training import loop
from lim_cli.training.config import TrainConfig
from lim_cli.training.tasks import Task, build_task


def main() -> None:
    kept: list[Task] = []
    loop.build_task = lambda config: kept.append(build_task(config)) or kept[-1]  # type: ignore[func-returns-value]
    folder, minutes = Path(sys.argv[1]), float(sys.argv[2]) or None
    config = TrainConfig(
        preset="tiny", steps=3, minutes=minutes, batch_size=2, workers=0, rays=16, points=64, surface=16,
        evaluate_samples=2, log_every=1, warmup=1,
    )  # fmt: skip
    loop.train(config, folder)
    accelerator = Accelerator(cpu=True)
    flat = torch.cat([p.detach().flatten() for p in kept[0].model.parameters()])
    every = gather(flat[None])
    if accelerator.num_processes != 2 or not torch.equal(every[0], every[1]):
        raise SystemExit(f"{accelerator.num_processes} processes, apart by {(every[0] - every[-1]).abs().max()}")
    if accelerator.is_main_process:
        (folder / "agreed").touch()
    accelerator.end_training()


if __name__ == "__main__":
    main()
