"""What refinement gains for its seconds, on held-out procedural objects whose unseen sides are known.

`OMP_NUM_THREADS=1 PYTHONPATH=. python tests/benchmarks/refinement_gain.py [--count 3] [--keyframes 8]`, from the
repository's root.

Prints, for four posed views and for one view with three generated ones: nominal seconds (of a clip of so many
keyframes), CPU seconds it truly took a keyframe, and the gain over LRM's triplane in PSNR, PSNR_FG (dB) and mask IoU,
on unseen views (posed: two novel ones; one view: the true views behind the generated ones) and on the input view.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import Cameras
from lim_cli.core.device import generator
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import mono_rig, random_light
from lim_cli.evaluation.cases import IMAGE_SIZE, cameras_of, shots, shrunk
from lim_cli.evaluation.scores import picture_scores
from lim_cli.evaluation.sequences import procedural_sequences
from lim_cli.stages.config import RefinementConfig
from lim_cli.stages.harmony import harmonised
from lim_cli.stages.networks import Networks
from lim_cli.stages.refine import keyframe_residual, steps_for
from lim_cli.stages.render import render_view

COLUMNS = ("psnr", "psnr_fg", "iou")
FRAMES = 4


@dataclass(frozen=True)
class Known:
    """views: one keyframe. unseen: cameras whose true pictures are `truth` [view, h, w, 4]."""

    views: ViewsArtifact
    unseen: Cameras
    truth: np.ndarray


def posed(count: int) -> Iterator[Known]:
    for case in procedural_sequences(count, gap=0.1, steps=1):
        yield Known(case.views, case.novel, case.truth[0])


def one_view(networks: Networks, count: int) -> Iterator[Known]:
    for number in range(count):
        rng = np.random.default_rng([2, 0, 9, number])
        drawn = ProceduralObject.draw(rng)
        phases = rng.uniform(0, 0.7) + 0.3 * np.linspace(0, 1, FRAMES)
        poses = drawn.normalised(phases, 0.92).poses(phases)
        light, rig = random_light(rng), mono_rig(rng, IMAGE_SIZE)
        truth = [shots(pose, rig, light, pose) for pose in poses]
        position = rig.world_from_camera[0, :3, 3]
        made = networks.views(
            torch.from_numpy(np.stack(truth)[:, 0]).movedim(-1, 1).float() / 255,
            elevation=float(np.degrees(np.arcsin(position[1] / np.linalg.norm(position)))),
            field_of_view=float(2 * np.degrees(np.arctan(IMAGE_SIZE / 2 / rig.intrinsics[0, 0]))),
            num_inference_steps=1,
            generator=generator(number),
        ).images
        rgba = (harmonised(made.float().clamp(0, 1).numpy())[:1] * 255 + 0.5).astype(np.uint8).transpose(0, 1, 3, 4, 2)
        side = rgba.shape[2]
        cameras = cameras_of(rig)
        views = ViewsArtifact(
            np.ascontiguousarray(rgba), cameras.resized((side, side)), np.zeros(1), "generated", np.eye(4)
        )
        yield Known(views, cameras[1:], truth[0][1:])


def scores(networks: Networks, triplane: torch.Tensor, known: Known) -> np.ndarray:
    """Figures on unseen views, then on the input view."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    rows = []
    for cameras, truth in (
        (known.unseen, known.truth),
        (known.views.cameras_at(0)[:1].resized(size), shrunk(known.views.rgba[0, :1])),
    ):
        found = picture_scores(render_view(networks.lrm.field, triplane, cameras, samples=64).rgba(), truth)
        rows += [found[name] for name in COLUMNS]
    return np.array(rows, np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--keyframes", type=int, default=8)
    parser.add_argument("--seconds", type=float, nargs="+", default=[5, 15, 30])
    arguments = parser.parse_args()
    networks = Networks("cpu", needs=("lrm", "views"))
    configs = [RefinementConfig(seconds=seconds) for seconds in arguments.seconds]
    print("views seconds cpu_a_keyframe | unseen: psnr psnr_fg iou | input: psnr psnr_fg iou")
    for name, cases in (("posed", posed(arguments.count)), ("one", one_view(networks, arguments.count))):
        gains: list[list[np.ndarray]] = [[] for _ in configs]
        taken = np.zeros(len(configs))
        first = []
        for known in cases:
            start = networks.encode(known.views.rgba[0], known.views.cameras_at(0)).triplane[0]
            first.append(scores(networks, start, known))
            for n, config in enumerate(configs):
                began = time.process_time()
                residual = keyframe_residual(
                    networks.lrm.field, start, known.views, 0, steps_for(config, arguments.keyframes), config
                )
                taken[n] += time.process_time() - began
                gains[n].append(scores(networks, start + residual, known) - first[-1])
        print(name, 0, 0, "|", *np.round(np.mean(first, 0), 3).tolist(), flush=True)
        for config, gain, seconds in zip(configs, gains, taken / arguments.count, strict=True):
            print(name, config.seconds, round(seconds, 2), "|", *np.round(np.mean(gain, 0), 3).tolist(), flush=True)


if __name__ == "__main__":
    main()
