"""How far the tracer drifts in 64 frames on analytic moving shapes, in percent of their size.

    PYTHONPATH=.:tests/support python tests/benchmarks/tracing_drift.py

Canonical coordinates are the true ones, so that the figures are the tracer's own.
"""

from __future__ import annotations

import numpy as np
from traced_shapes import SHAPES, traced_frames

CONTROL_VERTICES = 120
SHOWN = (8, 16, 32, 64)


def main() -> None:
    print(f"| shape | {' | '.join(f'frame {frame}' for frame in SHOWN)} | largest at any frame |")
    print("|---|" + "---|" * (len(SHOWN) + 1))
    for name, (_, _, _, size) in SHAPES.items():
        traced, truth = traced_frames(name, control_vertices=CONTROL_VERTICES)
        off = 100 * np.linalg.norm(traced - truth, axis=2) / size
        means = " | ".join(f"{off[frame - 1].mean():.2f} %" for frame in SHOWN)
        print(f"| {name} | {means} | {off.max():.2f} % |")


if __name__ == "__main__":
    main()
