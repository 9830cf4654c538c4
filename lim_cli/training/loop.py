"""The training loop (accelerate): one or several processes, any task, exact resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

from lim_cli.core.config import to_plain
from lim_cli.core.device import fast_in_bfloat16
from lim_cli.core.errors import ConfigError, NumericalError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.dataset import ProceduralDataset, sample_loader
from lim_cli.models.checkpoints import save_model
from lim_cli.training.checkpoint import load_run, save_run
from lim_cli.training.config import TrainConfig
from lim_cli.training.optimizers import build_optimizers
from lim_cli.training.tasks import Batch, Task, build_task, generator_for


def train(
    config: TrainConfig,
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    stop_at: int | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Trains `config.task` and writes `folder`/model (weights), /state (for resuming) and /log.jsonl.

    stop_at: leave after this step with the state saved, the schedule unchanged. Returns the last evaluation.

    Raises:
        ConfigError: a checkpoint of other settings lies there. NumericalError: the loss is not finite.
    """
    progress = progress or SilentProgress()
    accelerator = Accelerator(mixed_precision=_precision(config, device), cpu=str(device) == "cpu")
    torch.manual_seed(config.seed)  # initial weights only; everything later draws from its step's generator
    task = build_task(config)
    module = task.to(accelerator.device)
    optimizers = build_optimizers(task.model, config)
    started, spent = 0, 0.0
    if resume:
        state = load_run(folder / "state", task.model, optimizers)
        _check_same(state["config"], config)
        started, spent = int(state["step"]), float(state["seconds"])
    elif (folder / "state").exists():
        raise ConfigError(f"{folder} already holds a run; continue it with --resume or choose another folder.")
    if config.compile:
        for block in task.blocks():
            block.compile(dynamic=False)
    wrapped = _prepare(accelerator, module, optimizers)
    folder.mkdir(parents=True, exist_ok=True)
    log = _Log(folder / "log.jsonl", enabled=accelerator.is_main_process)
    peaks = (
        [[group["lr"] for group in o.param_groups] for o in optimizers] if not resume else _peaks(optimizers, config)
    )
    begun = saved = time.monotonic()
    result: dict[str, float] = {}
    metrics: dict[str, Tensor] = {}

    def elapsed() -> float:
        return spent + time.monotonic() - begun

    def save(step: int) -> None:
        _require_finite(metrics, config, step)  # a good state is not overwritten by a broken one
        if accelerator.is_main_process:
            plain = {"step": step, "seconds": elapsed(), "config": to_plain(config)}
            save_run(folder / "state", task.model, optimizers, plain)
            save_model(folder / "model", task.model, task.plain)

    with progress.task(f"Training {config.task}", config.steps) as bar:
        bar.advance(started)
        step = started
        for batch in _batches(config, task, accelerator, started):
            fraction = _fraction(config, step, elapsed(), accelerator)
            if fraction >= 1 or (stop_at is not None and step >= stop_at):
                break
            for optimizer, rates in zip(optimizers, peaks, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * _schedule(fraction, step, config)
            metrics = _step(wrapped, task, optimizers, accelerator, batch, config, step)
            step += 1
            bar.advance()
            if step % config.log_every == 0 or step == 1:
                _require_finite(metrics, config, step)
                values = {k: float(v) for k, v in metrics.items()}
                log.write({"step": step, "seconds": round(elapsed(), 1), **values})
                bar.describe(" ".join(f"{k} {v:.3f}" for k, v in values.items()))
            if step % config.evaluate_every == 0:
                result = evaluate(task, config, accelerator.device)
                log.write({"step": step, "evaluation": result})
            if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                save(step)
                saved = time.monotonic()
    save(step)
    result = evaluate(task, config, accelerator.device)
    log.write({"step": step, "evaluation": result, "seconds": round(elapsed(), 1)})
    return result


@torch.no_grad()
def evaluate(task: Task, config: TrainConfig, device: torch.device | str) -> dict[str, float]:
    """Mean metrics over samples of the held-out split (no rigged assets, so that anybody can repeat it)."""
    dataset = ProceduralDataset(task.spec, seed=0, split="eval", length=config.evaluate_samples)
    size = min(config.batch_size, config.evaluate_samples)
    task.eval()
    totals: dict[str, float] = {}
    count = 0
    for n, batch in enumerate(
        sample_loader(dataset, batch_size=size, start=0, stop=config.evaluate_samples, workers=config.workers)
    ):
        loss, metrics = task(_to(batch, device), generator_for(10**6, n, device))
        for name, value in {"loss": loss, **metrics}.items():
            totals[name] = totals.get(name, 0.0) + float(value)
        count += 1
    task.train()
    return {k: round(v / max(count, 1), 5) for k, v in totals.items()}


def _step(
    wrapped: nn.Module,
    task: Task,
    optimizers: list[torch.optim.Optimizer],
    accelerator: Accelerator,
    batch: Batch,
    config: TrainConfig,
    step: int,
) -> dict[str, Tensor]:
    generator = generator_for(config.seed, step, accelerator.device, accelerator.process_index)
    with accelerator.autocast():
        loss, metrics = wrapped(_to(batch, accelerator.device), generator)
    accelerator.backward(loss)
    norm = nn.utils.clip_grad_norm_(task.model.parameters(), config.clip_norm)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return {"loss": loss.detach(), "norm": norm.detach(), **metrics}


def _batches(config: TrainConfig, task: Task, accelerator: Accelerator, started: int) -> Iterator[Batch]:
    """This process's batches from step `started` on; processes share the seed space by offset."""
    dataset = ProceduralDataset(
        task.spec,
        seed=config.seed * 1000 + accelerator.process_index,
        source=task.source,
        pool=config.pool,
    )
    stop = 2**40 if config.minutes is not None else config.steps * config.batch_size
    yield from sample_loader(
        dataset,
        batch_size=config.batch_size,
        start=started * config.batch_size,
        stop=min(stop, 2**31) + (config.batch_size if config.minutes is None else 0),
        workers=config.workers,
    )


def _to(batch: Batch, device: torch.device | str) -> Batch:
    return {k: v.to(device, non_blocking=True) for k, v in batch.items()}


def _prepare(accelerator: Accelerator, module: Task, optimizers: list[torch.optim.Optimizer]) -> nn.Module:
    if accelerator.num_processes == 1:
        return module
    prepared: nn.Module = accelerator.prepare_model(module)
    return prepared


def _precision(config: TrainConfig, device: torch.device | str) -> str:
    if config.precision != "auto":
        return config.precision
    return "bf16" if fast_in_bfloat16(device) else "no"


def _fraction(config: TrainConfig, step: int, seconds: float, accelerator: Accelerator) -> float:
    """How much of the schedule is done; by the first process's clock, so that all keep one rate and leave together."""
    if config.minutes is None:
        return step / config.steps
    if accelerator.num_processes > 1:
        seconds = float(broadcast(torch.tensor([seconds], device=accelerator.device)))
    return seconds / (60 * config.minutes)


def _require_finite(metrics: dict[str, Tensor], config: TrainConfig, step: int) -> None:
    if not all(math.isfinite(float(metrics[name])) for name in ("loss", "norm") if name in metrics):
        raise NumericalError(f"Training {config.task} diverged at step {step}: the loss is not finite.")


def _schedule(fraction: float, step: int, config: TrainConfig) -> float:
    """Linear warm-up, then cosine to a fiftieth."""
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0))))


def _peaks(optimizers: list[torch.optim.Optimizer], config: TrainConfig) -> list[list[float]]:
    """Peak learning rates: a restored optimizer carries the rates of its last step instead."""
    matrix = len(optimizers) == 2
    first = config.matrix_learning_rate if matrix else config.learning_rate
    return [
        [first if n == 0 else config.learning_rate for _ in optimizer.param_groups]
        for n, optimizer in enumerate(optimizers)
    ]


def _check_same(stored: dict[str, Any], config: TrainConfig) -> None:
    """A resumed run must be the same run, but for how it is watched."""
    free = {"log_every", "evaluate_every", "evaluate_samples", "checkpoint_minutes", "workers", "compile"}
    for key, value in to_plain(config).items():
        if key not in free and stored.get(key) != json.loads(json.dumps(value)):
            raise ConfigError(f"Cannot resume: '{key}' was {stored.get(key)!r} and is now {value!r}.")


class _Log:
    """One JSON line per entry, flushed as it is written."""

    def __init__(self, path: Path, *, enabled: bool) -> None:
        self.path, self.enabled = path, enabled

    def write(self, entry: dict[str, Any]) -> None:
        if self.enabled:
            with open(self.path, "a") as stream:
                stream.write(json.dumps(entry) + "\n")
