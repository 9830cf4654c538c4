"""Plays a GLB back: where its vertices are at a time, as a viewer shows them (glTF 2.0, sec. 3.5, 3.7 and 3.11)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
from scipy.spatial.transform import Rotation, Slerp

from lim_cli.core.errors import InputError
from lim_cli.export.draco import compression_of, read_compressed
from lim_cli.export.gltf_buffer import read_accessor

REST = {"translation": (0.0, 0.0, 0.0), "rotation": (0.0, 0.0, 0.0, 1.0), "scale": (1.0, 1.0, 1.0)}


class AnimatedGlb:
    """The first scene and the first animation of a GLB file.

    Of meshes that play one after the other (see `gltf_morph`) only the one whose turn it is counts. Keys of
    CUBICSPLINE channels are joined by straight lines.

    Raises:
        InputError: the file is absent, no GLB, or holds no mesh.
    """

    def __init__(self, path: Path) -> None:
        self.document, self.blob = _load(path)
        self._arrays: dict[int, np.ndarray] = {}
        self._compressed = {
            accessor: primitive
            for mesh in self.document.meshes
            for primitive in mesh.primitives
            for accessor in _compressed_accessors(primitive)
        }
        self._channels: dict[tuple[int, str], gl.AnimationSampler] = {}
        if self.document.animations:
            animation = self.document.animations[0]
            for channel in animation.channels:
                if channel.target.node is not None:
                    self._channels[channel.target.node, channel.target.path] = animation.samplers[channel.sampler]

    @property
    def notes(self) -> dict[str, Any]:
        """What `write_glb` noted in the file; empty for files of other programs."""
        extras = self.document.asset.extras
        notes = extras.get("lim", {}) if isinstance(extras, dict) else {}
        return notes if isinstance(notes, dict) else {}

    @property
    def key_times(self) -> np.ndarray:
        """The times of all keys [key] float64 seconds, increasing; one zero where nothing is animated."""
        inputs = {sampler.input for sampler in self._channels.values()}
        times = [self.array(index)[:, 0].astype(np.float64) for index in sorted(inputs)]
        return np.unique(np.concatenate(times)) if times else np.zeros(1)

    def array(self, index: int) -> np.ndarray:
        """An accessor's values [count, component]."""
        if index not in self._arrays:
            primitive = self._compressed.get(index)
            if primitive is not None:
                self._arrays |= read_compressed(self.document, primitive, self.blob)
            else:
                self._arrays[index] = read_accessor(self.document, index, self.blob)
        return self._arrays[index]

    def vertices(self, time: float) -> np.ndarray:
        """World positions [vertex, 3] float32 at a time; times outside the animation show its ends."""
        worlds = self._worlds(time)
        found = [(node, worlds[node]) for node in sorted(worlds) if self.document.nodes[node].mesh is not None]
        if int(self.notes.get("parts", 1)) > 1:
            found = [max(found, key=lambda entry: abs(np.linalg.det(entry[1][:3, :3])))]
        placed = []
        for node, world in found:
            mesh = self.document.meshes[self.document.nodes[node].mesh]
            weights = self.weights(node, time)
            for primitive in mesh.primitives:
                points = self._morphed(primitive, weights)
                placed.append(
                    self._skinned(node, primitive, points, worlds)
                    if self._is_skinned(node, primitive)
                    else points @ world[:3, :3].T + world[:3, 3]
                )
        return np.concatenate(placed).astype(np.float32)

    def weights(self, node: int, time: float) -> np.ndarray:
        """Morph weights [target] of a node's mesh at a time."""
        sampler = self._channels.get((node, "weights"))
        if sampler is not None:
            return self._sample(sampler, "weights", time)
        own = getattr(self.document.nodes[node], "weights", None)
        return np.asarray(own or self.document.meshes[self.document.nodes[node].mesh].weights or [], np.float64)

    def _morphed(self, primitive: gl.Primitive, weights: np.ndarray) -> np.ndarray:
        points = self.array(primitive.attributes.POSITION).astype(np.float64)
        for target, weight in zip(primitive.targets or [], weights, strict=False):
            index = target.get("POSITION") if isinstance(target, dict) else target.POSITION
            if weight != 0.0 and index is not None:
                points = points + weight * self.array(index)
        return points

    def _is_skinned(self, node: int, primitive: gl.Primitive) -> bool:
        return self.document.nodes[node].skin is not None and primitive.attributes.JOINTS_0 is not None

    def _skinned(
        self, node: int, primitive: gl.Primitive, points: np.ndarray, worlds: dict[int, np.ndarray]
    ) -> np.ndarray:
        skin = self.document.skins[self.document.nodes[node].skin]
        matrices = np.stack([worlds[joint] for joint in skin.joints])
        if skin.inverseBindMatrices is not None:
            inverse = self.array(skin.inverseBindMatrices).astype(np.float64).reshape(-1, 4, 4).transpose(0, 2, 1)
            matrices = matrices @ inverse
        joints = self.array(primitive.attributes.JOINTS_0).astype(np.int64)
        weights = self.array(primitive.attributes.WEIGHTS_0).astype(np.float64)
        blended = np.einsum("vk,vkij->vij", weights, matrices[joints])
        return np.asarray(np.einsum("vij,vj->vi", blended[:, :3, :3], points) + blended[:, :3, 3])

    def _worlds(self, time: float) -> dict[int, np.ndarray]:
        """world_from_node [4, 4] of every node of the scene."""
        scene = self.document.scenes[self.document.scene or 0]
        worlds: dict[int, np.ndarray] = {}
        stack = [(node, np.eye(4)) for node in scene.nodes]
        while stack:
            node, parent = stack.pop()
            worlds[node] = parent @ self._local(node, time)
            stack += [(child, worlds[node]) for child in self.document.nodes[node].children or []]
        return worlds

    def _local(self, index: int, time: float) -> np.ndarray:
        node = self.document.nodes[index]
        if node.matrix:
            return np.asarray(node.matrix, np.float64).reshape(4, 4).T
        value = {}
        for path, rest in REST.items():
            sampler = self._channels.get((index, path))
            still = getattr(node, path) or rest
            value[path] = np.asarray(still, np.float64) if sampler is None else self._sample(sampler, path, time)
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_quat(value["rotation"]).as_matrix() * value["scale"]
        matrix[:3, 3] = value["translation"]
        return matrix

    def _sample(self, sampler: gl.AnimationSampler, path: str, time: float) -> np.ndarray:
        """The channel's value [component] at a time."""
        times = self.array(sampler.input)[:, 0].astype(np.float64)
        values = self.array(sampler.output).astype(np.float64).reshape(len(times), -1)
        if sampler.interpolation == "CUBICSPLINE":
            values = np.split(values, 3, axis=1)[1]  # in-tangent, value, out-tangent
        end = int(np.searchsorted(times, time, side="right"))
        if end == 0 or end == len(times) or sampler.interpolation == "STEP":
            return np.asarray(values[max(end - 1, 0)])
        alpha = (time - times[end - 1]) / (times[end] - times[end - 1])
        if path == "rotation":
            return np.asarray(Slerp([0.0, 1.0], Rotation.from_quat(values[end - 1 : end + 1]))(alpha).as_quat())
        return np.asarray((1 - alpha) * values[end - 1] + alpha * values[end])


def _compressed_accessors(primitive: gl.Primitive) -> list[int]:
    """Those whose values Draco holds."""
    entry = compression_of(primitive)
    if entry is None:
        return []
    return [primitive.indices, *(getattr(primitive.attributes, name) for name in entry["attributes"])]


def _load(path: Path) -> tuple[gl.GLTF2, bytes]:
    try:
        with open(path, "rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if magic != b"glTF":
        raise InputError(f"{path} is not a GLB file.")
    try:
        document = gl.GLTF2().load_binary(str(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise InputError(f"{path} is a damaged GLB file.") from error
    if not document.meshes:
        raise InputError(f"{path} holds no mesh.")
    return document, document.binary_blob()
