"""The bones of a skinning decomposition: first by clustering trajectories, then one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

FRAMES_AT_ONCE = 64
CLUSTER_FRAMES = 48
CLUSTER_ROUNDS = 3
SEED_VERTICES = 12
STIFFNESS = 1e-5
"""How strongly a bone holds on to its last rotation: decides only where its vertices do not."""


@dataclass
class Fit:
    """A decomposition in the making; lengths are parts of the object's size, the first frame's mean is the origin.

    rest [vertex, 3]; track [time, vertex, 3] as given, of which `blocks` returns normalised pieces;
    bones [time, bone, 3, 4]; joints, weights [vertex, 4].
    """

    rest: np.ndarray
    track: np.ndarray
    centre: np.ndarray
    scale: float
    bones: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3, 4)))
    joints: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    weights: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """(frames, their positions [vertex, 3 frames])."""
        for start in range(0, len(self.track), FRAMES_AT_ONCE):
            frames = slice(start, min(start + FRAMES_AT_ONCE, len(self.track)))
            yield frames, self.positions(self.track[frames])

    def positions(self, track: np.ndarray) -> np.ndarray:
        """[time, vertex, 3] as given -> [vertex, 3 time], normalised."""
        moved = (track.astype(np.float64) - self.centre) / self.scale
        return np.ascontiguousarray(moved.transpose(1, 0, 2)).reshape(track.shape[1], -1)

    def homogeneous(self) -> np.ndarray:
        return np.concatenate([self.rest, np.ones((len(self.rest), 1))], axis=1)

    def products(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums over time from which every quadratic form follows.

        bone_bone [bone, 4, bone, 4]: A_b^T A_c; vertex_bone [vertex, bone, 4]: A_b^T y_v; squares [vertex]: |y_v|^2.
        """
        count = self.bones.shape[1]
        bone_bone = np.zeros((4 * count, 4 * count))
        vertex_bone = np.zeros((len(self.rest), 4 * count))
        squares = np.zeros(len(self.rest))
        for frames, positions in self.blocks():
            stacked = stack(self.bones[frames])
            bone_bone += stacked.T @ stacked
            vertex_bone += positions @ stacked
            squares += np.einsum("vn,vn->v", positions, positions)
        return bone_bone.reshape(count, 4, count, 4), vertex_bone.reshape(-1, count, 4), squares


def stack(bones: np.ndarray) -> np.ndarray:
    """Bones [time, bone, 3, 4] as one matrix [3 time, 4 bone] that takes homogeneous rest points to positions."""
    time, bone = bones.shape[:2]
    return np.ascontiguousarray(bones.transpose(0, 2, 1, 3)).reshape(3 * time, 4 * bone)


def rigid_fit(rest: np.ndarray, weights: np.ndarray, positions: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Weighted Procrustes at all times: min sum_v |w_v (R p_v + t) - q_v|^2 -> [time, 3, 4].

    rest [vertex, 3], weights [vertex], positions q [vertex, 3 time]; held [time, 3, 4]: the last answer, whose
    rotation decides where the vertices do not (on a line or in a point).
    """
    squares = max(float(np.sum(weights**2)), 1e-12)
    rest_mean = (weights**2) @ rest / squares
    mean = (weights @ positions / squares).reshape(-1, 3)
    arms = weights[:, None] * (rest - rest_mean)
    moments = (arms.T @ positions).reshape(3, -1, 3).transpose(1, 0, 2)  # [time, rest axis, axis]
    moments = moments + STIFFNESS * squares * held[:, :, :3].transpose(0, 2, 1)
    u, _, vt = np.linalg.svd(moments)
    flip = np.ones((len(moments), 3))
    flip[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = np.einsum("tji,tj,tkj->tik", vt, flip, u)
    return np.concatenate([rotation, (mean - rotation @ rest_mean)[..., None]], axis=2)


def cluster_bones(fit: Fit, count: int) -> np.ndarray:
    """First bones [time, count, 3, 4]: vertices that move rigidly together form clusters.

    As vector quantisers are trained (Linde, Buzo and Gray): the clusters with the largest error are split at a
    vertex that moves differently and lies far out, vertices go over to the motion that fits them best, motions are
    fitted anew. Clips longer than `CLUSTER_FRAMES` are clustered by that many of their frames.
    """
    chosen = np.unique(np.linspace(0, len(fit.track) - 1, min(len(fit.track), CLUSTER_FRAMES)).round().astype(int))
    few = Fit(fit.rest, fit.track[chosen], fit.centre, fit.scale)
    positions, points, tree = few.positions(few.track), fit.homogeneous(), cKDTree(fit.rest)
    still = np.broadcast_to(np.eye(3, 4), (len(chosen), 1, 3, 4))
    owner = np.zeros(len(fit.rest), np.int64)
    few.bones = _fit_clusters(few, positions, owner, still)
    error = _rigid_errors(few, positions, points)
    while few.bones.shape[1] < count:
        own = error[np.arange(len(owner)), owner]
        present = few.bones.shape[1]
        totals = np.bincount(owner, own, minlength=present)
        split = np.argsort(-totals, kind="stable")[: count - present]
        for cluster in split:
            members = np.flatnonzero(owner == cluster)
            if len(members) < 2:
                members = np.arange(len(owner))
            middle = fit.rest[members].mean(axis=0)
            score = own[members] * np.sum((fit.rest[members] - middle) ** 2, axis=1)
            seed = members[int(np.argmax(score))]
            near = tree.query(fit.rest[seed], k=min(SEED_VERTICES, len(owner)))[1]
            born = rigid_fit(fit.rest[near], np.ones(len(near)), positions[near], few.bones[:, cluster])
            few.bones = np.concatenate([few.bones, born[:, None]], axis=1)
        for _ in range(CLUSTER_ROUNDS):
            owner = np.argmin(_rigid_errors(few, positions, points), axis=1)
            few.bones = _fit_clusters(few, positions, owner, few.bones)
        error = _rigid_errors(few, positions, points)
        owner = np.argmin(error, axis=1)
    if len(chosen) == len(fit.track):
        return few.bones
    # The frames between: the same clusters, their motion fitted at every frame.
    whole = np.empty((len(fit.track), count, 3, 4))
    nearest = np.abs(np.arange(len(fit.track))[:, None] - chosen).argmin(axis=1)
    for frames, block in fit.blocks():
        whole[frames] = _fit_clusters(fit, block, owner, few.bones[nearest[frames]])
    return whole


def _fit_clusters(fit: Fit, positions: np.ndarray, owner: np.ndarray, held: np.ndarray) -> np.ndarray:
    bones = held.copy()
    for bone in range(held.shape[1]):
        members = np.flatnonzero(owner == bone)
        if len(members):
            ones = np.ones(len(members))
            bones[:, bone] = rigid_fit(fit.rest[members], ones, positions[members], held[:, bone])
    return bones


def _rigid_errors(fit: Fit, positions: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared distances, summed over time, of every vertex carried by every bone alone [vertex, bone]."""
    stacked = stack(fit.bones)
    count = fit.bones.shape[1]
    own = np.einsum("nbi,nbj->bij", *[stacked.reshape(-1, count, 4)] * 2)
    quadratic = np.einsum("vi,bij,vj->vb", points, own, points, optimize=True)
    linear = np.einsum("vbi,vi->vb", (positions @ stacked).reshape(-1, count, 4), points)
    return np.asarray(quadratic - 2 * linear + np.sum(positions**2, axis=1)[:, None])


def move_bones(fit: Fit) -> None:
    """Every bone in turn takes the rigid motion that fits best what the others leave over."""
    points, count = fit.homogeneous(), fit.bones.shape[1]
    vertex, influence = np.nonzero(fit.weights > 0)
    bone, weight = fit.joints[vertex, influence], fit.weights[vertex, influence]
    columns = (4 * bone[:, None] + np.arange(4)).ravel()
    values = (weight[:, None] * points[vertex]).ravel()
    weighted = csr_array((values, (np.repeat(vertex, 4), columns)), shape=(len(points), 4 * count))
    order = np.argsort(bone, kind="stable")
    ends = np.searchsorted(bone[order], np.arange(count + 1))
    for frames, positions in fit.blocks():
        left_over = positions - weighted @ stack(fit.bones[frames]).T
        for b in range(count):
            mine = order[ends[b] : ends[b + 1]]
            if len(mine) == 0:
                continue
            rows, w = vertex[mine], weight[mine]
            carried = w[:, None] * points[rows]
            wanted = left_over[rows] + carried @ fit.bones[frames, b].reshape(-1, 4).T
            fit.bones[frames, b] = rigid_fit(fit.rest[rows], w, wanted, fit.bones[frames, b])
            left_over[rows] = wanted - carried @ fit.bones[frames, b].reshape(-1, 4).T


def move_rest(fit: Fit) -> None:
    """The rest shape that all times together fit best; it hardly moves where times disagree on nothing."""
    bone_bone, vertex_bone, _ = fit.products()
    rows = np.arange(len(fit.rest))[:, None]
    blocks = bone_bone.transpose(0, 2, 1, 3)[fit.joints[:, :, None], fit.joints[:, None, :]]  # [vertex, 4, 4, 4, 4]
    form = np.einsum("vk,vl,vklij->vij", fit.weights, fit.weights, blocks, optimize=True)
    linear = np.einsum("vk,vki->vi", fit.weights, vertex_bone[rows, fit.joints])
    ridge = 1e-3 * len(fit.track)
    matrix = form[:, :3, :3] + ridge * np.eye(3)
    fit.rest = np.linalg.solve(matrix, (linear[:, :3] - form[:, :3, 3] + ridge * fit.rest)[..., None])[..., 0]
