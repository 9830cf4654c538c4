"""Skinned animation: bones that move and vertices that follow them (glTF 2.0, sec. 3.7.3).

All bones hang on one still root, side by side, since the decomposition knows no kinematic tree. A bone's node sits at
the middle of the vertices it moves, so that what lies between two frames stays near both. The mesh's node is a scene
root: its own transform does not count for a skinned mesh, and where positions are stored as integers the inverse bind
matrices undo it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pygltflib as gl
from scipy.spatial.transform import Rotation

from lim_cli.export.gltf_buffer import BufferBuilder
from lim_cli.export.gltf_packing import Frame, base_attributes, face_indices, texture_coordinates
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.normals import vertex_normals, weld_by_position
from lim_cli.geometry.skinning import Skinning


def add_skin(
    document: gl.GLTF2,
    buffer: BufferBuilder,
    textured: TexturedTrack,
    skin: Skinning,
    *,
    name: str,
    frame: Frame,
) -> Skinning:
    """Adds mesh, skin, joints and animation to the document; the skin as stored, after rounding.

    frame: of the stored positions; quantized also stores weights in 8 bits (16) and rotations in 16 bits (32).
    """
    track = textured.track
    stored = frame.pack(skin.rest)
    levels = 255 if frame.quantized else 65535
    weights = round_weights(skin.weights, levels)
    joints = np.where(weights > 0, skin.joints + 1, 0)  # joint 0 is the root; at most 251 fit a byte
    bones = skin.bones.shape[1]

    attributes = gl.Attributes(
        **base_attributes(buffer, stored, rest_normals(skin, track), frame),
        TEXCOORD_0=texture_coordinates(buffer, textured.uv, frame),
        JOINTS_0=buffer.add_array(joints.astype(np.uint8), target=gl.ARRAY_BUFFER),
        WEIGHTS_0=buffer.add_array(
            weights.astype(np.uint8 if levels == 255 else np.uint16), target=gl.ARRAY_BUFFER, normalized=True
        ),
    )
    indices = face_indices(buffer, track.faces, len(skin.rest))
    primitive = gl.Primitive(attributes=attributes, indices=indices, material=0, mode=gl.TRIANGLES)

    centres = bone_centres(skin)
    rotations, translations = bone_motion(skin, centres)
    first = len(document.nodes)  # the mesh; then the root, then the bones
    document.nodes.append(gl.Node(name=name, mesh=len(document.meshes), skin=len(document.skins)))
    document.nodes.append(gl.Node(name=f"{name}_root", children=list(range(first + 2, first + 2 + bones))))
    for bone in range(bones):
        document.nodes.append(
            gl.Node(
                name=f"bone_{bone:03d}",
                rotation=[float(value) for value in rotations[0, bone]],
                translation=[float(value) for value in translations[0, bone]],
            )
        )
    document.scenes[0].nodes += [first, first + 1]
    document.meshes.append(gl.Mesh(name=name, primitives=[primitive]))
    inverse = buffer.add_array(inverse_binds(centres, frame))
    document.skins.append(
        gl.Skin(
            name=f"{name}_skin",
            skeleton=first + 1,
            joints=list(range(first + 1, first + 2 + bones)),
            inverseBindMatrices=inverse,
        )
    )
    if len(track.times) > 1:
        animation = _animation(
            buffer, track.times - track.times[0], rotations, translations, first + 2, quantized=frame.quantized
        )
        document.animations.append(animation)
    return replace(skin, rest=frame.unpack(stored), weights=weights / levels)


def rest_normals(skin: Skinning, track: TrackedMesh) -> np.ndarray:
    """Unit normals at rest [vertex, 3] float32 that the skin turns nearest to those of all frames.

    Vertices are fitted one by one, which leaves the rest shape rougher than any frame; its own normals would show that.
    """
    welded = weld_by_position(track.vertices[0])
    sums = np.zeros(skin.rest.shape)
    for frame, vertices in enumerate(track.vertices):
        turns = np.einsum("vk,vkij->vij", skin.weights, skin.bones[frame, :, :, :3][skin.joints])
        sums += np.einsum("vij,vi->vj", turns, vertex_normals(vertices, track.faces, welded))
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    still = vertex_normals(skin.rest, track.faces, welded)
    return np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), still).astype(np.float32)


def round_weights(weights: np.ndarray, levels: int) -> np.ndarray:
    """Weights [vertex, influence] in whole steps that sum to exactly `levels`; the largest remainders go up."""
    exact = weights * levels
    whole = np.floor(exact).astype(np.int64)
    missing = levels - whole.sum(axis=1)
    rank = np.argsort(np.argsort(-(exact - whole), axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(whole + (rank < missing[:, None]))


def bone_centres(skin: Skinning) -> np.ndarray:
    """The weighted middle of the vertices each bone moves, at rest [bone, 3]; the object's where it moves none."""
    count = skin.bones.shape[1]
    flat, weights = skin.joints.ravel(), skin.weights.ravel()
    total = np.bincount(flat, weights, minlength=count)
    points = np.repeat(skin.rest, skin.joints.shape[1], axis=0)
    sums = np.stack([np.bincount(flat, weights * points[:, axis], minlength=count) for axis in range(3)], axis=1)
    used = total[:, None] > 1e-9
    return np.where(used, sums / np.maximum(total[:, None], 1e-9), skin.rest.mean(axis=0))


def bone_motion(skin: Skinning, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations [time, bone, 4] (x, y, z, w) and translations [time, bone, 3] of nodes that rest at `centres`.

    Of the two quaternions of a rotation the one nearer to the last frame's is taken, so that interpolation never goes
    the long way round.
    """
    time, bone = skin.bones.shape[:2]
    quaternions = Rotation.from_matrix(skin.bones[..., :3].reshape(-1, 3, 3)).as_quat().reshape(time, bone, 4)
    turned = np.einsum("tbi,tbi->tb", quaternions[1:], quaternions[:-1]) < 0
    signs = np.concatenate([np.ones((1, bone)), np.cumprod(np.where(turned, -1.0, 1.0), axis=0)])
    moved = np.einsum("tbij,bj->tbi", skin.bones[..., :3], centres) + skin.bones[..., 3]
    return quaternions * signs[..., None], moved


def inverse_binds(centres: np.ndarray, frame: Frame) -> np.ndarray:
    """[bone + 1, 16] column by column: stored positions to the root's space, then to each bone's, at rest."""
    matrices = np.tile(np.eye(4), (len(centres) + 1, 1, 1))
    matrices[:, :3, :3] *= frame.scale
    matrices[:, :3, 3] = frame.centre
    matrices[1:, :3, 3] -= centres
    return np.ascontiguousarray(matrices.transpose(0, 2, 1)).reshape(-1, 16).astype(np.float32)


def _animation(
    buffer: BufferBuilder,
    times: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    first: int,
    *,
    quantized: bool,
) -> gl.Animation:
    turns = np.round(rotations * 32767).astype(np.int16) if quantized else rotations.astype(np.float32)
    moves = translations.astype(np.float32)
    at = buffer.add_array(times.astype(np.float32))
    samplers: list[gl.AnimationSampler] = []
    channels: list[gl.AnimationChannel] = []
    for bone in range(rotations.shape[1]):
        for path, values in (("rotation", turns[:, bone]), ("translation", moves[:, bone])):
            target = gl.AnimationChannelTarget(node=first + bone, path=path)
            channels.append(gl.AnimationChannel(sampler=len(samplers), target=target))
            output = buffer.add_array(values, normalized=values.dtype == np.int16)
            samplers.append(gl.AnimationSampler(input=at, output=output, interpolation="LINEAR"))
    return gl.Animation(name="motion", samplers=samplers, channels=channels)
