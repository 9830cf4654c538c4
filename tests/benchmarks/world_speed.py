"""How fast the procedural world is made.

`OMP_NUM_THREADS=1 PYTHONPATH=. python tests/benchmarks/world_speed.py [--seconds 10]`, from the repository's root.

Prints images at 128x128 per CPU second of one process, samples per second of wall time of the loader (one worker, as
training reads it), and both times the seconds of a fixed numpy product, which takes the machine's speed of the moment
out of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from lim_cli.data.dataset import ProceduralDataset, sample_loader
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import random_light, source_rig
from lim_cli.data.samples import SampleSpec

SIZE = 128


def product_seconds() -> float:
    """Least time of a product of two 1024x1024 float32 matrices."""
    matrix = np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32)
    times = []
    for _ in range(10):
        begun = time.process_time()
        matrix @ matrix
        times.append(time.process_time() - begun)
    return min(times)


def rate(step: Callable[[int], int], seconds: float, clock: Callable[[], float]) -> float:
    """Things per second of a step that says how many it made; the first step (compilation) is not counted."""
    step(0)
    count, number, begun = 0, 1, clock()
    while clock() - begun < seconds:
        count += step(number)
        number += 1
    return count / (clock() - begun)


def render_four(number: int) -> int:
    """Four views of a new object."""
    rng = np.random.default_rng(number)
    phase = rng.uniform()
    pose = ProceduralObject.draw(rng).normalised(np.array([phase]), 0.9).pose(phase)
    rig, light = source_rig(rng, SIZE), random_light(rng)
    for v in range(4):
        pose.render(rig.world_from_camera[v], rig.intrinsics[v], rig.size, light, pose)
    return 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    product = product_seconds()
    begun = time.perf_counter(), time.process_time()
    images = rate(render_four, seconds, time.process_time)
    spent = time.perf_counter() - begun[0], time.process_time() - begun[1]
    print(f"product of two 1024x1024 matrices: {1e3 * product:.1f} ms")
    print(f"images at {SIZE}x{SIZE}, one process: {images:.0f} per CPU second, {images * product:.2f} a product")
    print(f"(that process had {100 * spent[1] / spent[0]:.0f} % of a core; on an idle core wall time is CPU time)")
    spec = SampleSpec(size=SIZE, rays=0, points=0, surface=0, canonical=True, labelled=())
    views = ProceduralDataset(spec)
    ends = rate(lambda n: views[n]["views"].shape[1], seconds, time.process_time)
    print(f"images as training reads them, a new object every two samples: {ends:.0f} per CPU second")
    for name, spec in {
        "LRM samples (4 views, 512 rays, 2048 points)": SampleSpec(size=SIZE),
        "LIM samples (3 x 4 views, canonical, 3 labelled)": SampleSpec(
            "triplet", size=SIZE, canonical=True, labelled=(0, 1, 2)
        ),
    }.items():
        loader = iter(sample_loader(ProceduralDataset(spec), batch_size=8, start=0, stop=10**6, workers=1))
        samples = rate(lambda _, loader=loader: len(next(loader)["views"]), seconds, time.perf_counter)
        print(f"{name}, one worker: {samples:.1f}/s, {samples * product:.3f} a product")


if __name__ == "__main__":
    main()
