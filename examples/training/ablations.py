"""What every addition to the paper is worth at equal compute: python examples/training/ablations.py RUNS --minutes 5

Trains LRMs and LIMs of preset `tiny` (32x32 pictures), each for the same wall time on one core, and prints a Markdown
table of their evaluations on held-out objects (LIM: at a random alpha between two keyframes). Give every run a core
that nothing else wants. A finished run is left alone, a stopped one goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

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
UNTRAINED = "untrained: the linear blend"
LIM = {
    UNTRAINED: {},
    "as shipped": {},
    "no causal loss": {"lim_loss.causal": 0},
    "residual head instead of warp": {"lim_head": "residual"},
    "not guided": {"lim_guided": "false"},
    "no field distillation": {"lim_loss.distil": 0, "lim_loss.distil_values": 0},
    "no loss on the truth": {"lim_loss.truth": 0},
    "1 block instead of 3": {"lim_blocks": 1},
    "2 blocks instead of 3": {"lim_blocks": 2},
    "the paper's head, inputs and losses": PAPER,
    "also told true tracks (weight 2)": {"lim_loss.places": 2},
    "also told true tracks (weight 10)": {"lim_loss.places": 10},
}
COMMON = {"workers": 0, "rays": 256, "points": 512, "surface": 256, "evaluate_every": 10**9, "evaluate_samples": 256}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    for task, variants in (("lrm", LRM), ("lim", LIM)):
        print(f"\n| {task.upper()}, {options.minutes:g} minutes each | steps | IoU | PSNR | PSNR_FG |")
        print("|---|---|---|---|---|")
        for number, (name, changes) in enumerate(variants.items()):
            folder = options.runs / f"{task}_{number}"
            minutes = 0.01 if name == UNTRAINED else options.minutes
            found, steps = trained(task, folder, changes, minutes, options.runs / "lrm_0" / "model")
            cells = f"{found['iou']:.3f} | {found['psnr']:.2f} | {found['psnr_fg']:.2f}"
            print(f"| {name} | {steps} | {cells} |", flush=True)


def trained(
    task: str, folder: Path, changes: Mapping[str, object], minutes: float, teacher: Path
) -> tuple[dict[str, float], int]:
    """The run's last evaluation and its number of steps, after training what is left of it."""
    log = folder / "log.jsonl"
    if not (log.is_file() and "seconds" in last(log) and "evaluation" in last(log)):
        command = [sys.executable, "-m", "lim_cli", "train", task, "-o", str(folder), "-q", "--device", "cpu"]
        command += ["--preset", "tiny", "--minutes", str(minutes)]
        command += ["--teacher", str(teacher)] if task == "lim" else []
        command += ["--resume"] if (folder / "state").is_dir() else []
        for key, value in {**COMMON, **changes}.items():
            command += ["--set", f"{key}={value}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    entry = last(log)
    return entry["evaluation"], entry["step"]


def last(log: Path) -> dict:
    return json.loads(log.read_text().splitlines()[-1])


if __name__ == "__main__":
    main()
