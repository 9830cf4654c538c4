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
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from lim_cli.export.bone_keys import BoneKeys, bone_keys, played
from lim_cli.export.draco import add_compressed
from lim_cli.export.gltf_buffer import BufferBuilder
from lim_cli.export.gltf_packing import Frame, base_attributes, face_indices, strip_indices, texture_coordinates
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.normals import vertex_normals, weld_by_position
from lim_cli.geometry.skinning import Skinning, object_size

WEIGHT_LEVELS = 255
KEY_TOLERANCE = 5e-4
"""Of the object's size: what leaving out a bone's keys may move a vertex, a tenth of what the skin itself is off."""


def add_skin(
    document: gl.GLTF2,
    buffer: BufferBuilder,
    textured: TexturedTrack,
    skin: Skinning,
    *,
    name: str,
    frame: Frame,
    compressed: bool = False,
) -> Skinning:
    """Adds mesh, skin, joints and animation to the document; the skin as stored, after rounding and thinning.

    frame: of the stored positions; quantized stores faces as a triangle strip. compressed: the mesh by Draco, in
    the world's frame. Both also store rotations in 16 bits (32).

    Raises:
        MissingError: compressed, and DracoPy is not installed.
    """
    track = textured.track
    weights = round_weights(skin.weights, WEIGHT_LEVELS)
    joints = np.where(weights > 0, skin.joints + 1, 0).astype(np.uint8)  # joint 0 is the root; at most 251 fit a byte
    shares, normals = weights.astype(np.uint8), rest_normals(skin, track)
    bones = skin.bones.shape[1]
    if compressed:
        primitive, placed = add_compressed(
            buffer, positions=skin.rest, normals=normals, uv=textured.uv, joints=joints, weights=shares,
            faces=track.faces,
        )  # fmt: skip
        rest = placed[cKDTree(placed).query(skin.rest)[1]].astype(np.float64)
    else:
        stored = frame.pack(skin.rest)
        primitive = _primitive(buffer, textured, stored, normals, joints, shares, frame)
        rest = frame.unpack(stored)
    primitive.material = 0

    centres = bone_centres(skin)
    keys = _keys(skin, centres, track, quantized=frame.quantized or compressed)
    first = len(document.nodes)  # the mesh; then the root, then the bones
    document.nodes.append(gl.Node(name=name, mesh=len(document.meshes), skin=len(document.skins)))
    document.nodes.append(gl.Node(name=f"{name}_root", children=list(range(first + 2, first + 2 + bones))))
    for bone in range(bones):
        document.nodes.append(
            gl.Node(
                name=f"bone_{bone:03d}",
                rotation=_short(Rotation.from_quat(keys[bone].rotations[0].astype(np.float64)).as_quat()),
                translation=_short(keys[bone].translations[0]),
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
        document.animations.append(_animation(buffer, track.times - track.times[0], keys, first + 2))
    return replace(
        skin,
        rest=rest,
        weights=weights / WEIGHT_LEVELS,
        bones=np.stack(
            [_as_bone(bone, centre, track.times) for bone, centre in zip(keys, centres, strict=True)], axis=1
        ),
    )


def _primitive(
    buffer: BufferBuilder,
    textured: TexturedTrack,
    positions: np.ndarray,
    normals: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    frame: Frame,
) -> gl.Primitive:
    """The mesh as it is, positions packed already."""
    attributes = gl.Attributes(
        **base_attributes(buffer, positions, normals, frame),
        TEXCOORD_0=texture_coordinates(buffer, textured.uv, frame),
        JOINTS_0=buffer.add_array(joints, target=gl.ARRAY_BUFFER),
        WEIGHTS_0=buffer.add_array(weights, target=gl.ARRAY_BUFFER, normalized=True),
    )
    faces = textured.track.faces
    indices = (strip_indices if frame.quantized else face_indices)(buffer, faces, len(positions))
    mode = gl.TRIANGLE_STRIP if frame.quantized else gl.TRIANGLES
    return gl.Primitive(attributes=attributes, indices=indices, mode=mode)


def _keys(skin: Skinning, centres: np.ndarray, track: TrackedMesh, *, quantized: bool) -> list[BoneKeys]:
    """The keys of every bone."""
    rotations, translations = bone_motion(skin, centres)
    tolerance = KEY_TOLERANCE * object_size(track.vertices)
    vertex, influence = np.nonzero(skin.weights > 0)
    bone, weight = skin.joints[vertex, influence], skin.weights[vertex, influence]
    radii = np.zeros(len(centres))  # a vertex feels a turn by its weight times its distance
    np.maximum.at(radii, bone, weight * np.linalg.norm(skin.rest[vertex] - centres[bone], axis=1))
    return [
        bone_keys(
            rotations[:, b], translations[:, b], track.times, radius=radii[b], tolerance=tolerance, quantized=quantized
        )
        for b in range(len(centres))
    ]


def _as_bone(keys: BoneKeys, centre: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What a bone's keys make of it at all times [time, 3, 4]; see `Skinning`."""
    turns, moves = played(keys, times)
    return np.concatenate([turns, (moves - turns @ centre)[..., None]], axis=2)


def _short(values: np.ndarray) -> list[float]:
    """As many digits as float32 holds."""
    return [round(float(value), 7) for value in values]


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


def _animation(buffer: BufferBuilder, times: np.ndarray, keys: list[BoneKeys], first: int) -> gl.Animation:
    """Bones with the same key times share them."""
    sets = list({bone.frames.tobytes(): bone.frames for bone in keys}.values())
    inputs = buffer.add_arrays([times[frames].astype(np.float32)[:, None] for frames in sets], bounds=True)
    clocks = {frames.tobytes(): accessor for frames, accessor in zip(sets, inputs, strict=True)}
    turns = buffer.add_arrays([bone.rotations for bone in keys], normalized=keys[0].rotations.dtype == np.int16)
    moves = buffer.add_arrays([bone.translations for bone in keys])
    samplers: list[gl.AnimationSampler] = []
    channels: list[gl.AnimationChannel] = []
    for number, bone in enumerate(keys):
        for path, output in (("rotation", turns[number]), ("translation", moves[number])):
            target = gl.AnimationChannelTarget(node=first + number, path=path)
            channels.append(gl.AnimationChannel(sampler=len(samplers), target=target))
            clock = clocks[bone.frames.tobytes()]
            samplers.append(gl.AnimationSampler(input=clock, output=output, interpolation="LINEAR"))
    return gl.Animation(name="motion", samplers=samplers, channels=channels)
