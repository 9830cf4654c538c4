"""What every addition to the paper is worth at equal compute: python examples/training/ablations.py RUNS

Trains LRMs and LIMs of preset `tiny` (32x32 pictures) and prints a Markdown table of their evaluations on held-out
objects (LIM: at a random alpha between two keyframes). Those "as shipped" take `--steps` steps, each LIM half as many;
every other run takes as many as cost the same floating-point operations, forth and back, so that it does not matter
what else the machine does. A finished run is left alone, a stopped one goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from lim_cli.cli.train import resolve
from lim_cli.data.dataset import ProceduralDataset, sample_loader
from lim_cli.training.config import TrainConfig
from lim_cli.training.tasks import build_task, generator_for

LRM = {
    "as shipped": {},
    "no lifted image features": {"lifting": "false"},
    "rays only (no direct 3-D losses)": {"field_loss.occupancy": 0, "field_loss.surface": 0},
    "Adam at 1e-4 instead of Muon": {"optimizer": "adam", "learning_rate": 1e-4},
    "Adam at 1e-3 instead of Muon": {"optimizer": "adam", "learning_rate": 1e-3},
}
PAPER = {
    "lim_head": "residual", "lim_guided": "false", "lim_loss.triplane": 1, "lim_loss.distil": 0,
    "lim_loss.distil_values": 0, "lim_loss.truth": 0, "lim_loss.features": 0,
}  # fmt: skip
WARP = {"lim_head": "warp"}
UNTRAINED = "untrained: "
LIM = {
    UNTRAINED + "the linear blend": WARP,
    "as shipped": {},
    "not told the true motion": {"lim_loss.motion": 0},
    "no loss on the truth": {"lim_loss.truth": 0},
    "no field distillation": {"lim_loss.distil": 0, "lim_loss.distil_values": 0},
    "planes not corrected": {"corrected": 0},
    "transformer with a warp head": WARP,
    "the same, not told the true motion": {**WARP, "lim_loss.motion": 0},
    "the same, no causal loss": {**WARP, "lim_loss.causal": 0},
    "the same, not guided": {**WARP, "lim_guided": "false"},
    "the same, no field distillation": {**WARP, "lim_loss.distil": 0, "lim_loss.distil_values": 0},
    "the same, 1 block instead of 3": {**WARP, "lim_blocks": 1},
    "the same, 2 blocks instead of 3": {**WARP, "lim_blocks": 2},
    "transformer with a residual head": {"lim_head": "residual"},
    "the paper's head, inputs and losses": PAPER,
}
COMMON = {
    "preset": "tiny", "workers": 0, "rays": 256, "points": 512, "surface": 256, "evaluate_every": 10**9,
    "evaluate_samples": 256,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--steps", type=int, default=320)
    options = parser.parse_args()
    for task, variants, steps in (("lrm", LRM, options.steps), ("lim", LIM, options.steps // 2)):
        teacher = {"teacher": str(options.runs / "lrm_0" / "model")} if task == "lim" else {}
        budget = steps * operations(task, {**COMMON, **teacher})
        print(f"\n| {task.upper()}, {budget / 1e12:.0f} TFLOP each | steps | IoU | PSNR | PSNR_FG |")
        print("|---|---|---|---|---|")
        for number, (name, changes) in enumerate(variants.items()):
            settings = {**COMMON, **teacher, **changes}
            settings["steps"] = 1 if name.startswith(UNTRAINED) else max(1, int(budget / operations(task, settings)))
            found = trained(task, options.runs / f"{task}_{number}", settings)
            cells = f"{found['iou']:.3f} | {found['psnr']:.2f} | {found['psnr_fg']:.2f}"
            print(f"| {name} | {settings['steps']} | {cells} |", flush=True)


def operations(task: str, settings: Mapping[str, object]) -> int:
    """Floating-point operations of one training step."""
    config: TrainConfig = resolve(task, None, {}, [f"{key}={value}" for key, value in settings.items()])
    torch.manual_seed(0)
    module = build_task(config)
    dataset = ProceduralDataset(module.spec, seed=0)
    (batch,) = sample_loader(dataset, batch_size=config.batch_size, start=0, stop=config.batch_size, workers=0)
    with FlopCounterMode(display=False) as counter:
        loss, _ = module(batch, generator_for(0, 0, "cpu"))
        loss.backward()
    return int(counter.get_total_flops())


def trained(task: str, folder: Path, settings: Mapping[str, object]) -> dict[str, float]:
    """The run's last evaluation, after training what is left of it."""
    log = folder / "log.jsonl"
    if not (log.is_file() and "seconds" in last(log) and "evaluation" in last(log)):
        command = [sys.executable, "-m", "lim_cli", "train", task, "-o", str(folder), "-q", "--device", "cpu"]
        command += ["--resume"] if (folder / "state").is_dir() else []
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    evaluation: dict[str, float] = last(log)["evaluation"]
    return evaluation


def last(log: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(log.read_text().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
