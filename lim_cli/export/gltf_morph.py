"""Morph animation: one target per frame (glTF 2.0, sec. 3.7.2.2), in parts where there are too many for viewers.

Readers may honour only 8 morphed attributes at a time; with one target per frame and linear interpolation between
neighbouring frames no more than two weights are ever above zero. Every target morphs NORMAL too, since a target
without it freezes the lighting.

A long clip becomes several meshes of at most `max_targets` targets that play one after the other in one animation:
STEP keys of the nodes' scale show the mesh whose turn it is and shrink the others to a point inside it. Meshes share
their faces and UVs, and each starts with the frame that the one before ends with.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pygltflib as gl

from lim_cli.export.gltf_buffer import BufferBuilder
from lim_cli.export.gltf_packing import Frame, base_attributes, face_indices, texture_coordinates, to_bytes
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.normals import vertex_normals, weld_by_position

# Not zero: some engines refuse matrices that cannot be inverted.
HIDDEN = 1e-6
SHORTEST = 0.1
BENT = 0.002


def split_frames(count: int, max_targets: int) -> list[range]:
    """Runs of at most `max_targets` + 1 of `count` frames, equally long; each starts where the last one ends."""
    steps = max(count - 1, 1)
    parts = -(-steps // max_targets)
    ends = [round(i * steps / parts) for i in range(parts + 1)]
    return [range(first, min(last + 1, count)) for first, last in pairwise(ends)]


def add_morphs(
    document: gl.GLTF2,
    buffer: BufferBuilder,
    textured: TexturedTrack,
    kept: np.ndarray,
    names: Sequence[str],
    *,
    name: str,
    frame: Frame,
    sparse: bool,
    max_targets: int,
) -> int:
    """Adds meshes, nodes and the animation of the track's `kept` frames to the document; the number of parts.

    names: one per kept frame.
    """
    track = textured.track
    times = track.times[kept] - track.times[kept[0]]
    parts = split_frames(len(kept), max_targets)
    shared = (
        face_indices(buffer, track.faces, track.vertices.shape[1]),
        texture_coordinates(buffer, textured.uv, frame),
    )
    samplers: list[gl.AnimationSampler] = []
    channels: list[gl.AnimationChannel] = []

    def play(node: int, path: str, at: np.ndarray, values: np.ndarray, interpolation: str) -> None:
        channels.append(
            gl.AnimationChannel(sampler=len(samplers), target=gl.AnimationChannelTarget(node=node, path=path))
        )
        inputs = buffer.add_array(at.astype(np.float32))
        outputs = buffer.add_array(values.astype(np.float32))
        samplers.append(gl.AnimationSampler(input=inputs, output=outputs, interpolation=interpolation))

    for number, part in enumerate(parts):
        label = name if len(parts) == 1 else f"{name}_{number + 1}"
        primitive = _primitive(buffer, textured, kept[part.start : part.stop], frame, sparse, *shared)
        mesh = gl.Mesh(name=label, primitives=[primitive])
        node = gl.Node(name=label, mesh=len(document.meshes))
        if frame != Frame.world():
            node.scale, node.translation = [frame.scale] * 3, list(frame.centre)
        at = times[part.start : part.stop]
        if len(part) > 1:
            mesh.extras = {"targetNames": list(names[part.start + 1 : part.stop])}
            mesh.weights = [0.0] * (len(part) - 1)
            weights = np.eye(len(part), len(part) - 1, k=-1)
            play(len(document.nodes), "weights", at, weights.ravel(), "LINEAR")
        if len(parts) > 1:
            keys, shown = _turns(float(at[0]), float(at[-1]), number == 0, number == len(parts) - 1)
            scales = frame.scale * np.where(shown, 1.0, HIDDEN)
            play(len(document.nodes), "scale", keys, np.repeat(scales[:, None], 3, axis=1), "STEP")
            if number > 0:
                node.scale = [frame.scale * HIDDEN] * 3
        document.scenes[0].nodes.append(len(document.nodes))
        document.nodes.append(node)
        document.meshes.append(mesh)
    if channels:
        document.animations.append(gl.Animation(name="motion", samplers=samplers, channels=channels))
    return len(parts)


def _turns(start: float, end: float, first: bool, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Key times, and whether the part is seen from each on."""
    keys = ([] if first else [(0.0, False)]) + [(start, True)] + ([] if last else [(end, False)])
    return np.array([time for time, _ in keys]), np.array([seen for _, seen in keys])


def _primitive(
    buffer: BufferBuilder,
    textured: TexturedTrack,
    kept: np.ndarray,
    frame: Frame,
    sparse: bool,
    indices: int,
    texcoord: int,
) -> gl.Primitive:
    """Base attributes and the morph targets' deltas from the first kept frame."""
    track = textured.track
    welded = weld_by_position(track.vertices[kept[0]])
    base = frame.pack(track.vertices[kept[0]])
    base_normal = vertex_normals(track.vertices[kept[0]], track.faces, welded)
    attributes = gl.Attributes(**base_attributes(buffer, base, base_normal, frame), TEXCOORD_0=texcoord)
    targets = []
    for i in kept[1:]:
        normals = vertex_normals(track.vertices[i], track.faces, welded)
        short = short_change(base_normal, normals) if frame.quantized else None
        change = normals - base_normal if short is None else to_bytes(short)
        position = _add_delta(buffer, frame.pack(track.vertices[i]) - base, frame.quantized, sparse)
        normal = _add_delta(buffer, change, short is not None, sparse)
        targets.append(gl.Attributes(POSITION=position, NORMAL=normal))
    return gl.Primitive(attributes=attributes, indices=indices, material=0, mode=gl.TRIANGLES, targets=targets)


def short_change(base: np.ndarray, normals: np.ndarray) -> np.ndarray | None:
    """Changes [vertex, 3] in [-1, 1] after which unit normals `base` point where `normals` do; None where they cannot.

    Normalized integers end at one, while a normal that turns round changes by up to two. Viewers normalise what they
    add up, so its sum may be shorter than one: as short as it must be, but no shorter than SHORTEST, where a byte still
    holds its direction to five degrees. More than BENT of the vertices must not need that.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        longest = np.where(normals == 0, np.inf, (np.sign(normals) + base) / normals)  # component by component
    length = longest.min(1, keepdims=True)
    if np.mean(length < SHORTEST) > BENT:
        return None
    return np.asarray(np.clip(np.clip(length, SHORTEST, 1.0) * normals - base, -1.0, 1.0))


def _add_delta(buffer: BufferBuilder, delta: np.ndarray, normalized: bool, sparse: bool) -> int:
    index_bytes = 2 if len(delta) <= 65535 else 4
    row_bytes = delta.shape[1] * delta.itemsize
    moved = int(np.count_nonzero(np.any(delta != 0, axis=1)))
    if sparse and moved * (row_bytes + index_bytes) < len(delta) * row_bytes:
        return buffer.add_sparse(delta, normalized=normalized)
    return buffer.add_array(delta, target=gl.ARRAY_BUFFER, normalized=normalized)
