"""Which point of a tracked surface each node of another mesh of the same object follows.

Nearest is not enough: where a hand hangs beside a thigh, or the tracked surface is lumpy, some nodes are nearest to the
wrong limb. A label b(i), a vertex of the track, is sought for every node i that minimises

    E(b) = sum_i min(d(i, b_i), cap) + agreement * sum_ij min(m(i, b_i, b_j), cap)

d is the squared distance in position and normal at the base time, m the squared distance, averaged over time, of where
b_i and b_j carry node i, both in their usual spread; ij are edges of the node mesh. Nodes start at their nearest vertex
and try the labels of their neighbours in random order, keeping what lowers the energy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from lim_cli.geometry.control_graph import ControlGraph
from lim_cli.geometry.surface_frames import SurfaceFrames

# In parts of the object's size: a normal turned by 60 degrees counts as this distance; what two neighbours may differ.
NORMAL_LENGTH = 0.06
MOTION_SPREAD = 0.015
AGREEMENT = 2.0
CAP = 9.0
ROUNDS = 40
JUDGED_TIMES = 12
# A match is trusted fully up to the usual distance, and hardly beyond three times that.
LEAST_SPREAD = 0.02


@dataclass(frozen=True)
class Binding:
    """label: [node] int64, the track's vertex each node follows. confidence: [node] in [0, 1]."""

    label: np.ndarray
    confidence: np.ndarray


def bind(
    graph: ControlGraph, frames: SurfaceFrames, points: np.ndarray, normals: np.ndarray, *, seed: int = 0
) -> Binding:
    """Labels for the nodes of `graph`, which lies aligned with the track at its base time.

    frames: of the track. points, normals: [vertex, 3] of the track at its base time, world frame.
    """
    size = max(float(np.ptp(points, axis=0).max()), 1e-12)
    turn = NORMAL_LENGTH * size
    there, here = (
        np.concatenate([points, turn * normals], 1),
        np.concatenate([graph.positions, turn * graph.normals], 1),
    )
    nearest, label = cKDTree(there).query(here)
    spread = max(LEAST_SPREAD * size, float(np.median(nearest)))
    edges = graph.edges()
    if len(edges):
        label = _settle(graph, frames, edges, label, there, here, spread, MOTION_SPREAD * size, seed)
    distance = np.linalg.norm(there[label] - here, axis=1)
    facing = np.einsum("nc,nc->n", normals[label], graph.normals) > 0.0
    confidence = np.exp(-0.5 * np.square(np.maximum(distance - spread, 0.0) / spread)) * facing
    if len(edges):
        confidence *= _agreement(graph, frames, edges, label, MOTION_SPREAD * size)
    return Binding(label, confidence)


def _settle(
    graph: ControlGraph,
    frames: SurfaceFrames,
    edges: np.ndarray,
    label: np.ndarray,
    there: np.ndarray,
    here: np.ndarray,
    spread: float,
    motion_spread: float,
    seed: int,
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count, times = len(label), _judged(frames)
    source, target = edges[:, 0], edges[:, 1]
    degree = np.maximum(np.bincount(source, minlength=count), 1)
    starts = np.searchsorted(source, np.arange(count))

    def energy(trial: np.ndarray, said: np.ndarray) -> np.ndarray:
        """Of each node, had it alone its `trial` label; said: where its neighbours carry it [time, edge, 3]."""
        own = np.square(np.linalg.norm(there[trial] - here, axis=1) / spread)
        carried = frames.move(trial, graph.positions, times)[:, source]
        apart = np.square(carried - said).sum(axis=2).mean(axis=0) / motion_spread**2
        return np.asarray(
            np.minimum(own, CAP) + AGREEMENT * np.bincount(source, np.minimum(apart, CAP), minlength=count) / degree
        )

    lonely = np.bincount(source, minlength=count) == 0
    for _ in range(ROUNDS):
        said = frames.move(label[target], graph.positions[source], times)
        pick = np.minimum(starts + rng.integers(0, degree), len(edges) - 1)
        trial = np.where(lonely, label, label[target[pick]])
        better = energy(trial, said) < energy(label, said) - 1e-9
        better &= rng.random(count) < 0.5  # neighbours that swap labels at once would swap back
        label = np.where(better, trial, label)
    return label


def _agreement(
    graph: ControlGraph, frames: SurfaceFrames, edges: np.ndarray, label: np.ndarray, motion_spread: float
) -> np.ndarray:
    """[node] in (0, 1]: falls where a node is carried elsewhere than its neighbours say."""
    times, count = _judged(frames), len(label)
    source, target = edges[:, 0], edges[:, 1]
    own = frames.move(label, graph.positions, times)[:, source]
    said = frames.move(label[target], graph.positions[source], times)
    apart = np.minimum(np.square(own - said).sum(axis=2).mean(axis=0) / motion_spread**2, CAP)
    mean = np.bincount(source, apart, minlength=count) / np.maximum(np.bincount(source, minlength=count), 1)
    return np.asarray(1.0 / (1.0 + mean))


def _judged(frames: SurfaceFrames) -> np.ndarray:
    return np.unique(np.linspace(0, len(frames.centres) - 1, JUDGED_TIMES).round().astype(int))
