"""What every addition to the paper is worth at equal compute: python examples/training/ablations.py RUNS

Trains LRMs and LIMs of preset `tiny` (32x32 pictures) and prints Markdown tables of how they do on held-out objects:
LRMs by the trainer's own evaluation, LIMs by `lim eval interpolation` and `lim eval smoothness`. Those "as shipped"
take `--steps` and `--lim-steps` steps; every other run takes as many as cost the same floating-point operations, forth
and back, so that it does not matter what else the machine does. A finished run is left alone, a stopped one goes on.

LIMs that match surfaces learn without the painted clips and replays of their recipe, which are worth more to them than
anything here.

Over an LRM that is hardly trained there is nothing between Linear and the Oracle; `--teacher FOLDER` names a better one
of the same preset, and LRM's rows are left out then.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch.utils.flop_counter import FlopCounterMode

from lim_cli.cli.train import resolve
from lim_cli.data.dataset import ProceduralDataset, sample_loader
from lim_cli.training.config import TrainConfig
from lim_cli.training.tasks import build_task, generator_for

Variants: TypeAlias = Mapping[str, Mapping[str, object]]

LRM: Variants = {
    "as shipped": {},
    "no lifted image features": {"lifting": "false"},
    "rays only (no direct 3-D losses)": {"field_loss.occupancy": 0, "field_loss.surface": 0},
    "Adam at 1e-4 instead of Muon": {"optimizer": "adam", "learning_rate": 1e-4},
    "Adam at 1e-3 instead of Muon": {"optimizer": "adam", "learning_rate": 1e-3},
}
PAPER: Mapping[str, object] = {
    "lim_head": "residual", "lim_guided": "false", "lim_loss.triplane": 1, "lim_loss.distil": 0,
    "lim_loss.distil_values": 0, "lim_loss.truth": 0, "lim_loss.features": 0,
}  # fmt: skip
WARP: Mapping[str, object] = {"lim_head": "warp"}
LIM: Variants = {
    "as shipped": {},
    "not told the true motion": {"lim_loss.motion": 0},
    "no loss on the truth": {"lim_loss.truth": 0},
    "planes not corrected": {"corrected": 0},
    "transformer with a warp head": WARP,
    "the same, no causal loss": {**WARP, "lim_loss.causal": 0},
    "the same, not told the true motion": {**WARP, "lim_loss.motion": 0},
    "the same, 1 block instead of 3": {**WARP, "lim_blocks": 1},
    "the same, 2 blocks instead of 3": {**WARP, "lim_blocks": 2},
    "transformer with a residual head": {"lim_head": "residual"},
    "the paper's head, inputs and losses": PAPER,
    "the same without the causal loss": {**PAPER, "lim_loss.causal": 0},
}
COMMON: Mapping[str, object] = {
    "preset": "tiny", "workers": 0, "rays": 256, "points": 512, "surface": 256, "evaluate_every": 10**9,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--steps", type=int, default=320, help="of LRM as shipped")
    parser.add_argument("--lim-steps", type=int, default=160, help="of LIM as shipped")
    parser.add_argument("--teacher", type=Path, help="a trained LRM of preset tiny")
    parser.add_argument("--at-once", type=int, default=1, help="runs beside each other, a thread each")
    parser.add_argument("--count", type=int, default=96, help="objects that LIMs are judged on")
    options = parser.parse_args()
    teacher = options.teacher
    if teacher is None:
        common = {**COMMON, "evaluate_samples": 256}
        budget, runs = trained_variants("lrm", LRM, options.steps, common, options.runs, options.at_once)
        print(f"\n| LRM, {budget / 1e12:.0f} TFLOP each | steps | IoU | PSNR | PSNR_FG |\n|---|---|---|---|---|")
        for name, run in runs.items():
            found = last(run / "log.jsonl")
            iou, psnr, psnr_fg = (found["evaluation"][metric] for metric in ("iou", "psnr", "psnr_fg"))
            print(f"| {name} | {found['step']} | {iou:.3f} | {psnr:.2f} | {psnr_fg:.2f} |", flush=True)
        teacher = runs["as shipped"] / "model"
    # the trainer ends with an evaluation; `lim eval` is what judges these
    common = {**COMMON, "evaluate_samples": 1, "teacher": str(teacher)}
    budget, runs = trained_variants("lim", LIM, options.lim_steps, common, options.runs, options.at_once)
    print(f"\nLIM, {budget / 1e12:.0f} TFLOP each, over {teacher}:", flush=True)
    print(", ".join(f"{name}: {last(run / 'log.jsonl')['step']} steps" for name, run in runs.items()))
    release = options.runs / "tiny"
    for model, folder in (("lrm", teacher), ("lim", runs["as shipped"] / "model")):
        shutil.copytree(folder, release / model, dirs_exist_ok=True)
    rows = [f"--lim={name}={run / 'model'}" for name, run in runs.items() if name != "as shipped"]
    for table, size in (("interpolation", options.count), ("smoothness", 4)):
        command = [sys.executable, "-m", "lim_cli", "eval", table, "--weights", str(release), "--device", "cpu"]
        command += ["--gap", "0.1", "--count", str(size), "-o", str(options.runs / table), *rows]
        subprocess.run(command, check=True)


def trained_variants(
    task: str,
    variants: Variants,
    steps: int,
    common: Mapping[str, object],
    runs: Path,
    at_once: int,
) -> tuple[int, dict[str, Path]]:
    """Operations of each run, and their folders by name, once all are trained."""
    settings = {name: {**common, **changes} for name, changes in variants.items()}
    costs = {name: operations(task, chosen) for name, chosen in settings.items()}
    budget = steps * costs["as shipped"]
    folders = {name: runs / f"{task}_{re.sub('[^a-z0-9]+', '_', name.lower())}" for name in variants}

    def run(name: str) -> None:
        train(task, folders[name], {**settings[name], "steps": max(1, budget // costs[name])})

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(run, variants))  # one that fails cancels those that have not begun
    return budget, folders


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


def train(task: str, folder: Path, settings: Mapping[str, object]) -> None:
    """What is left of the run, its last evaluation included."""
    log = folder / "log.jsonl"
    if log.is_file() and {"seconds", "evaluation"} <= set(last(log)):
        return
    command = [sys.executable, "-m", "lim_cli", "train", task, "-o", str(folder), "-q", "--device", "cpu"]
    command += ["--resume"] if (folder / "state").is_dir() else []
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def last(log: Path) -> dict[str, Any]:
    """A log's last line."""
    found: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
