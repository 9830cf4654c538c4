"""Skinning decomposition: a vertex animation as a few rigid bones and at most four weights per vertex.

Le and Deng, "Smooth Skinning Decomposition with Rigid Bones", SIGGRAPH Asia 2012. Minimises

    sum over times t and vertices v of | sum_b w_vb (R_tb p_v + t_tb) - y_tv |^2

with w >= 0, sum_b w_vb = 1 and at most four w_vb > 0, by turns: weights, bones, and (past the paper) the rest
shape p. Every step only ever lowers the sum. Frames are read a block at a time, so the time is linear in them and
the memory beside the input does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.geometry.normals import weld_by_position
from lim_cli.geometry.skinning_bones import Fit, cluster_bones, move_bones, move_rest
from lim_cli.geometry.skinning_weights import fit_weights

INFLUENCES = 4
MOST_BONES = 250
MOST_ROUNDS = 16
ENOUGH = 0.006
"""Rounds end when one lowers the sum of squares by less than this part."""


@dataclass(frozen=True)
class Skinning:
    """A mesh that follows bones: vertex v at time t is sum_k weights[v, k] (R x rest[v] + t) of bone joints[v, k].

    rest [vertex, 3] float64; joints [vertex, 4] int64, weights [vertex, 4] float64, decreasing, rows sum to one;
    bones [time, bone, 3, 4] float64: rotation and translation, from rest to the world at that time.
    """

    rest: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    bones: np.ndarray

    def deform(self, frame: int) -> np.ndarray:
        """Vertices [vertex, 3] float64 at one of the times."""
        blended = np.einsum("vk,vkij->vij", self.weights, self.bones[frame][self.joints])
        return np.asarray(np.einsum("vij,vj->vi", blended[..., :3], self.rest) + blended[..., 3])


@dataclass(frozen=True)
class SkinError:
    """Distances between skinned and given vertices over all times, in parts of the object's size.

    The size is the diagonal of the first frame's bounding box.
    """

    rms: float
    max: float


def decompose(vertices: np.ndarray, *, bones: int = 32) -> Skinning:
    """The best skin found for a vertex animation; the same input always gives the same skin.

    Args:
        vertices: [time, vertex, 3], any frame and unit; copies of a vertex (texture seams) get equal weights.
        bones: at most this many, 1 to 250; fewer where the mesh has too few vertices.
    """
    if not 1 <= bones <= MOST_BONES:
        raise ValueError(f"expected bones in [1, {MOST_BONES}], got {bones}")
    first, groups = _unique_trajectories(vertices)
    track = vertices[:, first]
    # Centred and of size one, so that tolerances mean the same for every object.
    centre = track[0].mean(axis=0, dtype=np.float64)
    scale = max(object_size(vertices), 1e-12)
    fit = Fit((track[0] - centre) / scale, track, centre, scale)

    fit.bones = cluster_bones(fit, min(bones, max(1, len(first) // 4)))
    error = np.inf
    for _ in range(MOST_ROUNDS):
        before, error = error, fit_weights(fit, INFLUENCES)
        move_bones(fit)
        move_rest(fit)
        if error > (1 - ENOUGH) * before or error < 1e-14 * track[..., 0].size:
            break
    fit_weights(fit, INFLUENCES)
    return _in_world(fit, groups)


def skin_error(vertices: np.ndarray, skin: Skinning) -> SkinError:
    """How far the skin is from the animation [time, vertex, 3] it stands for."""
    size = max(object_size(vertices), 1e-12)
    total, worst = 0.0, 0.0
    for frame, truth in enumerate(vertices):
        squared = np.sum((skin.deform(frame) - truth) ** 2, axis=1)
        total += float(squared.mean())
        worst = max(worst, float(squared.max()))
    return SkinError(float(np.sqrt(total / len(vertices))) / size, float(np.sqrt(worst)) / size)


def object_size(vertices: np.ndarray) -> float:
    """The diagonal of the bounding box of the first frame of [time, vertex, 3]."""
    return float(np.linalg.norm(np.ptp(vertices[0], axis=0)))


def _unique_trajectories(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One index for every distinct vertex [distinct], and which distinct one each vertex is [vertex].

    Told by the first, middle and last frame: seam copies move together, others hardly meet three times.
    """
    count = len(vertices)
    three = np.concatenate([vertices[i] for i in (0, count // 2, count - 1)], axis=1)
    groups = weld_by_position(three)
    _, first = np.unique(groups, return_index=True)
    return np.asarray(first), groups


def _in_world(fit: Fit, groups: np.ndarray) -> Skinning:
    """Undoes the normalisation and copies the weights to all seam copies."""
    bones = fit.bones.copy()
    # World y = c + s (R (x - c) / s + t) = R x + (c - R c + s t) for rest x in world units.
    bones[..., 3] = fit.centre - fit.bones[..., :3] @ fit.centre + fit.scale * fit.bones[..., 3]
    rest = fit.centre + fit.scale * fit.rest
    return Skinning(rest[groups], fit.joints[groups], fit.weights[groups], bones)
