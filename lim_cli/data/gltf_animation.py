"""A rig as plain arrays (nodes, bones, morph targets, key frames) and its vertices at a time.

glTF 2.0, sections 3.7 (geometry, skins, morph targets), 3.5 (nodes) and 3.11 (animations). Nothing here
knows the file format, so that a rig may come from a .glb or from a compact pack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lim_cli.core.errors import InputError

Path = Literal["translation", "rotation", "scale", "weights"]
Interpolation = Literal["LINEAR", "STEP", "CUBICSPLINE"]


@dataclass(frozen=True)
class Nodes:
    """The node hierarchy at rest, parents before children.

    parents [N] (-1: root); translation [N, 3], rotation [N, 4] (x, y, z, w), scale [N, 3];
    matrices [N, 4, 4]: parent_from_node at rest (the only truth for nodes given by a matrix).
    """

    parents: np.ndarray
    translation: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    matrices: np.ndarray


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that share path, interpolation and key times.

    times [key]; nodes [channel]; values [key, part, channel, width] with one part, or three
    (in-tangent, value, out-tangent) for CUBICSPLINE.
    """

    path: Path
    interpolation: Interpolation
    times: np.ndarray
    nodes: np.ndarray
    values: np.ndarray

    def sample(self, seconds: float) -> np.ndarray:
        """Values [channel, width] at a time, held beyond the first and last key."""
        times, values = self.times, self.values
        middle = values[:, values.shape[1] // 2]
        if seconds <= times[0] or len(times) == 1:
            return _unit(middle[0]) if self.path == "rotation" else middle[0]
        if seconds >= times[-1]:
            return _unit(middle[-1]) if self.path == "rotation" else middle[-1]
        left = int(np.searchsorted(times, seconds, side="right")) - 1
        step = float(times[left + 1] - times[left])
        t = (seconds - float(times[left])) / step
        if self.interpolation == "STEP":
            result = middle[left]
        elif self.interpolation == "CUBICSPLINE":
            result = _hermite(middle[left], step * values[left, 2], middle[left + 1], step * values[left + 1, 0], t)
        elif self.path == "rotation":
            return slerp(_unit(middle[left]), _unit(middle[left + 1]), t)
        else:
            result = (1 - t) * middle[left] + t * middle[left + 1]
        return _unit(result) if self.path == "rotation" else result


@dataclass(frozen=True)
class Animation:
    """One named clip; it runs over [start, end] seconds."""

    name: str
    start: float
    end: float
    groups: tuple[ChannelGroup, ...]


@dataclass(frozen=True)
class MorphPart:
    """Morph targets of the vertices [first, first + count): deltas [target, count, 3], weights

    at rest [target]."""

    node: int
    first: int
    weights: np.ndarray
    deltas: np.ndarray


@dataclass(frozen=True)
class Paint:
    """What a surface looks like, everything in sRGB-encoded colour.

    face_material [F] (-1, no material, finds the last entry); uv [V, 2] (origin top left);
    vertex_colour [V, 3] or [0, 3] where there is none;
    material_colour [M, 3]; material_texture [M] (-1: none); textures: uint8 [height, width, 3] each;
    texture_wrap [texture, 2]: 0 repeat, 1 clamp, 2 mirror, for u and v.
    """

    face_material: np.ndarray
    uv: np.ndarray
    vertex_colour: np.ndarray
    material_colour: np.ndarray
    material_texture: np.ndarray
    textures: tuple[np.ndarray, ...]
    texture_wrap: np.ndarray


@dataclass(frozen=True)
class Rig:
    """One asset: a triangle soup whose vertices follow bones and morph weights.

    positions [V, 3] at bind; faces [F, 3]; smoothing [V]: vertices of one number share a shading normal;
    joints [V, K] into the bones, joint_weights [V, K] (rows sum to 1). Bone b moves by
    world(bone_nodes[b]) @ inverse_bind[b]; unskinned meshes hang on one bone with an identity bind.
    """

    name: str
    nodes: Nodes
    bone_nodes: np.ndarray
    inverse_bind: np.ndarray
    positions: np.ndarray
    faces: np.ndarray
    smoothing: np.ndarray
    joints: np.ndarray
    joint_weights: np.ndarray
    morphs: tuple[MorphPart, ...]
    paint: Paint
    animations: tuple[Animation, ...]

    def animation(self, name: str) -> Animation:
        """The animation of that name.

        Raises:
            InputError: there is none; the names present are listed.
        """
        for animation in self.animations:
            if animation.name == name:
                return animation
        known = ", ".join(a.name for a in self.animations) or "none"
        raise InputError(f"'{self.name}' has no animation '{name}'; it has: {known}.")

    def evaluate(self, animation_name: str | None, seconds: float) -> np.ndarray:
        """Vertices [V, 3] float32 in the asset's own world frame; no name: the rest pose."""
        groups = () if animation_name is None else self.animation(animation_name).groups
        # 1. Local matrices of the animated nodes and morph weights at the time.
        local, morph_weights = self._animated(groups, seconds)
        # 2. World matrices down the hierarchy, then bones.
        world = local.copy()
        for node, parent in enumerate(self.nodes.parents):
            if parent >= 0:
                world[node] = world[parent] @ local[node]
        bones = (world[self.bone_nodes] @ self.inverse_bind)[:, :3].reshape(-1, 12).astype(np.float32)
        # 3. Morph, then linear blend skinning.
        positions = self._morphed(morph_weights)
        blended = self.joint_weights[:, 0, None] * bones[self.joints[:, 0]]
        for k in range(1, self.joints.shape[1]):
            blended += self.joint_weights[:, k, None] * bones[self.joints[:, k]]
        matrices = blended.reshape(-1, 3, 4)
        moved: np.ndarray = np.einsum("vij,vj->vi", matrices[:, :, :3], positions) + matrices[:, :, 3]
        return moved

    def _animated(self, groups: tuple[ChannelGroup, ...], seconds: float) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        nodes = self.nodes
        local = nodes.matrices.astype(np.float64)
        parts = {"translation": nodes.translation, "rotation": nodes.rotation, "scale": nodes.scale}
        touched: list[np.ndarray] = []
        morph_weights: dict[int, np.ndarray] = {}
        for group in groups:
            values = group.sample(seconds)
            if group.path == "weights":
                morph_weights.update(zip(group.nodes.tolist(), values, strict=True))
                continue
            if parts[group.path] is getattr(nodes, group.path):
                parts[group.path] = parts[group.path].astype(np.float64)
            parts[group.path][group.nodes] = values
            touched.append(group.nodes)
        if touched:
            moved = np.unique(np.concatenate(touched))
            local[moved] = compose(parts["translation"][moved], parts["rotation"][moved], parts["scale"][moved])
        return local, morph_weights

    def _morphed(self, morph_weights: dict[int, np.ndarray]) -> np.ndarray:
        if not self.morphs:
            return self.positions
        positions = self.positions.copy()
        for part in self.morphs:
            weights = morph_weights.get(part.node, part.weights)[: len(part.deltas)]
            count = part.deltas.shape[1]
            positions[part.first : part.first + count] += np.tensordot(
                weights.astype(np.float32), part.deltas[: len(weights)], 1
            )
        return positions


def compose(translation: np.ndarray, rotation: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Matrices [N, 4, 4] = T R S from [N, 3], unit quaternions [N, 4] (x, y, z, w) and [N, 3]."""
    x, y, z, w = np.moveaxis(np.asarray(rotation, np.float64), -1, 0)
    matrices = np.zeros((len(translation), 4, 4))
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - z * w),
        2 * (x * z + y * w),
    )
    matrices[:, 1, 0], matrices[:, 1, 1], matrices[:, 1, 2] = (
        2 * (x * y + z * w),
        1 - 2 * (x * x + z * z),
        2 * (y * z - x * w),
    )
    matrices[:, 2, 0], matrices[:, 2, 1], matrices[:, 2, 2] = (
        2 * (x * z - y * w),
        2 * (y * z + x * w),
        1 - 2 * (x * x + y * y),
    )
    matrices[:, :3, :3] *= np.asarray(scale)[:, None, :]
    matrices[:, :3, 3] = translation
    matrices[:, 3, 3] = 1
    return matrices


def slerp(start: np.ndarray, end: np.ndarray, t: float) -> np.ndarray:
    """Unit quaternions [N, 4] along the shorter arc (glTF appendix C.4)."""
    cosine = np.sum(start * end, -1, keepdims=True)
    end = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), 0, 1))
    sine = np.sin(angle)
    near = sine < 1e-4
    safe = np.where(near, 1, sine)
    left = np.where(near, 1 - t, np.sin((1 - t) * angle) / safe)
    right = np.where(near, t, np.sin(t * angle) / safe)
    return _unit(left * start + right * end)


def _hermite(
    start: np.ndarray, out_tangent: np.ndarray, end: np.ndarray, in_tangent: np.ndarray, t: float
) -> np.ndarray:
    """Cubic Hermite spline with tangents already multiplied by the key interval (glTF appendix C.5)."""
    t2, t3 = t * t, t * t * t
    result: np.ndarray = (
        (2 * t3 - 3 * t2 + 1) * start
        + (t3 - 2 * t2 + t) * out_tangent
        + (3 * t2 - 2 * t3) * end
        + (t3 - t2) * in_tangent
    )
    return result


def _unit(quaternions: np.ndarray) -> np.ndarray:
    wide = np.asarray(quaternions, np.float64)
    unit: np.ndarray = wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)
    return unit
