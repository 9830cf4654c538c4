"""Reads a glTF 2.0 file into a `Rig`: nodes, skins, morph targets and triangles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lim_cli.core.errors import PARSER_ERRORS, InputError
from lim_cli.data.gltf_animation import MorphPart, Nodes, Paint, Rig, compose
from lim_cli.data.gltf_channels import read_animations
from lim_cli.data.gltf_file import GltfFile
from lim_cli.data.gltf_materials import read_materials, texture_coordinates, vertex_colours

if TYPE_CHECKING:
    from pygltflib import Primitive

_TRIANGLES, _STRIP, _FAN = 4, 5, 6


@dataclass(frozen=True)
class _Part:
    """One primitive of one node. Arrays by vertex, joints into all bones, faces into its own vertices."""

    node: int
    material: int
    positions: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    joint_weights: np.ndarray
    deltas: np.ndarray
    morph_weights: np.ndarray
    smoothing: np.ndarray
    uv: np.ndarray
    colour: np.ndarray | None


@dataclass(frozen=True)
class Bone:
    """node: the rig's number; inverse_bind [4, 4]."""

    node: int
    inverse_bind: np.ndarray


def read_rig(path: Path, *, texture_size: int = 1024) -> Rig:
    """One .glb (or .gltf with its files beside it) as a rig; textures are reduced to `texture_size`.

    Raises:
        InputError: not glTF, broken, without triangles, compressed, or it points outside its folder.
    """
    path = Path(path)
    try:
        return _rig(GltfFile(path), texture_size)
    except PARSER_ERRORS as error:
        raise InputError(f"Cannot read {path} as glTF: {error}. Export it again as glTF 2.0 binary.") from error


def _rig(file: GltfFile, texture_size: int) -> Rig:
    # 1. Nodes, parents first; meshes of the shown scene; bones.
    order, parents = hierarchy(file)
    place = {node: i for i, node in enumerate(order)}
    parts, bones = _parts(file, place)
    if not parts:
        raise InputError(f"{file.path} holds no triangles.")
    if not all(np.isfinite(p.positions).all() for p in parts):
        raise InputError(f"{file.path} holds positions that are not finite.")
    # 2. Everything into one triangle soup.
    firsts = np.cumsum([0] + [len(p.positions) for p in parts])[:-1]
    groups = np.cumsum([0] + [int(p.smoothing.max()) + 1 for p in parts])[:-1]
    width = max(p.joints.shape[1] for p in parts)
    materials = read_materials(file, texture_size)
    coloured = any(p.colour is not None for p in parts)
    colours = [np.ones_like(p.positions) if p.colour is None else p.colour for p in parts if coloured]
    return Rig(
        name=file.path.stem,
        nodes=rest_nodes(file, order, parents),
        bone_nodes=np.array([b.node for b in bones], np.int32),
        inverse_bind=np.stack([b.inverse_bind for b in bones]),
        positions=np.concatenate([p.positions for p in parts]),
        faces=np.concatenate([p.faces + f for p, f in zip(parts, firsts, strict=True)]).astype(np.int32),
        smoothing=np.concatenate([p.smoothing + g for p, g in zip(parts, groups, strict=True)]).astype(np.int32),
        joints=np.concatenate([_widened(p.joints, width) for p in parts]),
        joint_weights=np.concatenate([_widened(p.joint_weights, width) for p in parts]),
        morphs=tuple(
            MorphPart(p.node, int(f), p.morph_weights, p.deltas)
            for p, f in zip(parts, firsts, strict=True)
            if len(p.deltas)
        ),
        paint=Paint(
            face_material=np.concatenate([np.full(len(p.faces), p.material, np.int32) for p in parts]),
            uv=np.concatenate([p.uv for p in parts]),
            vertex_colour=np.concatenate(colours) if colours else np.zeros((0, 3), np.float32),
            material_colour=materials.colour,
            material_texture=materials.texture,
            textures=materials.textures,
            texture_wrap=materials.wrap,
        ),
        animations=read_animations(file, place),
    )


def hierarchy(file: GltfFile) -> tuple[list[int], list[int]]:
    """All node numbers, parents first (joints may lie outside the scene), and the place of each parent."""
    nodes = file.gltf.nodes
    parent = {child: i for i, node in enumerate(nodes) for child in node.children or []}
    order: list[int] = []
    stack = [i for i in reversed(range(len(nodes))) if i not in parent]
    while stack and len(order) <= len(nodes):
        order.append(stack.pop())
        stack.extend(reversed(nodes[order[-1]].children or []))
    if sorted(order) != list(range(len(nodes))):
        raise InputError(f"{file.path} has nodes that are not a tree.")
    place = {node: i for i, node in enumerate(order)}
    return order, [place[parent[node]] if node in parent else -1 for node in order]


def rest_nodes(file: GltfFile, order: list[int], parents: list[int]) -> Nodes:
    nodes = [file.gltf.nodes[i] for i in order]
    translation = np.array([n.translation or (0, 0, 0) for n in nodes], np.float64).reshape(-1, 3)
    rotation = np.array([n.rotation or (0, 0, 0, 1) for n in nodes], np.float64).reshape(-1, 4)
    scale = np.array([n.scale or (1, 1, 1) for n in nodes], np.float64).reshape(-1, 3)
    matrices = compose(translation, rotation, scale)
    for i, node in enumerate(nodes):
        if node.matrix is not None:
            matrices[i] = np.array(node.matrix, np.float64).reshape(4, 4).T  # glTF matrices are column-major
    return Nodes(np.array(parents, np.int32), translation, rotation, scale, matrices)


def shown_nodes(file: GltfFile) -> Iterator[int]:
    """Nodes of the default scene, depth first; every node where the file names no scene."""
    if not file.gltf.scenes:
        yield from range(len(file.gltf.nodes))
        return
    stack = list(reversed(file.gltf.scenes[file.gltf.scene or 0].nodes or []))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(file.gltf.nodes[node].children or []))


def _parts(file: GltfFile, place: dict[int, int]) -> tuple[list[_Part], list[Bone]]:
    parts: list[_Part] = []
    bones: list[Bone] = []
    first_bone: dict[int, int] = {}  # by skin
    for index in shown_nodes(file):
        node = file.gltf.nodes[index]
        if node.mesh is None:
            continue
        mesh = file.gltf.meshes[node.mesh]
        if node.skin is None:
            offset = len(bones)
            bones.append(Bone(place[index], np.eye(4)))
        else:
            if node.skin not in first_bone:
                first_bone[node.skin] = len(bones)
                bones.extend(skin_bones(file, node.skin, place))
            offset = first_bone[node.skin]
        rest = file.node_weights.get(index) or mesh.weights or []
        for primitive in mesh.primitives:
            skin_size = 0 if node.skin is None else len(file.gltf.skins[node.skin].joints)
            part = _part(file, primitive, place[index], offset, skin_size, rest)
            if part is not None:
                parts.append(part)
    return parts, bones


def skin_bones(file: GltfFile, skin_index: int, place: dict[int, int]) -> list[Bone]:
    skin = file.gltf.skins[skin_index]
    binds = np.tile(np.eye(4), (len(skin.joints), 1, 1))
    if skin.inverseBindMatrices is not None:
        binds = file.accessor(skin.inverseBindMatrices).astype(np.float64).reshape(-1, 4, 4).transpose(0, 2, 1)
    return [Bone(place[joint], binds[i]) for i, joint in enumerate(skin.joints)]


def _part(
    file: GltfFile, primitive: Primitive, node: int, first_bone: int, skin_size: int, rest: list[float]
) -> _Part | None:
    """A primitive of triangles; None if it is something else or empty. skin_size: joints, or 0."""
    attributes = {k: v for k, v in vars(primitive.attributes).items() if isinstance(v, int)}
    if primitive.mode not in (None, _TRIANGLES, _STRIP, _FAN) or "POSITION" not in attributes:
        return None
    positions = file.accessor(attributes["POSITION"]).astype(np.float32)
    faces = triangles(file, primitive, len(positions))
    if not len(faces):
        return None
    if faces.min() < 0 or faces.max() >= len(positions):
        raise InputError(f"{file.path} has a face that names a vertex it does not have.")
    joints, weights = np.zeros((len(positions), 1), np.int32), np.ones((len(positions), 1), np.float32)
    if skin_size and "JOINTS_0" in attributes:
        joints, weights = skin_weights(file, attributes)
        if joints.max() >= skin_size:
            raise InputError(f"{file.path} has a vertex that names a joint its skin does not have.")
    targets = [t if isinstance(t, dict) else vars(t) for t in primitive.targets or []]
    deltas = [position_deltas(file, target, len(positions)) for target in targets]
    normals = file.accessor(attributes["NORMAL"]).astype(np.float32) if "NORMAL" in attributes else None
    uv, colour = (
        texture_coordinates(file, primitive, attributes, len(positions)),
        vertex_colours(file, attributes),
    )
    if normals is None:  # flat shading is asked for: no two faces share a vertex
        corners = faces.reshape(-1)
        faces = np.arange(len(corners)).reshape(-1, 3)
        smoothing = np.arange(len(corners)) // 3
    else:
        corners, faces = np.unique(faces, return_inverse=True)
        faces = faces.reshape(-1, 3)
        smoothing = _smoothing(positions[corners], normals[corners])
    return _Part(
        node=node,
        material=-1 if primitive.material is None else primitive.material,
        positions=positions[corners],
        faces=faces,
        joints=(joints[corners] + first_bone).astype(np.int32),
        joint_weights=weights[corners],
        deltas=np.stack(deltas)[:, corners] if deltas else np.zeros((0, len(corners), 3), np.float32),
        morph_weights=np.array([*rest, *([0.0] * len(deltas))][: len(deltas)], np.float32),
        smoothing=smoothing,
        uv=uv[corners],
        colour=None if colour is None else colour[corners],
    )


def triangles(file: GltfFile, primitive: Primitive, count: int) -> np.ndarray:
    """Triangles [F, 3] of a list, a strip or a fan."""
    whole = primitive.indices is None
    indices = np.arange(count) if whole else file.accessor(primitive.indices)[:, 0].astype(np.int64)
    if primitive.mode == _STRIP:
        faces = np.stack([indices[:-2], indices[1:-1], indices[2:]], -1)
        faces[1::2] = faces[1::2][:, [1, 0, 2]]
        return faces
    if primitive.mode == _FAN:
        return np.stack([indices[1:-1], indices[2:], np.full(len(indices) - 2, indices[0])], -1)
    return indices[: len(indices) // 3 * 3].reshape(-1, 3)


def position_deltas(file: GltfFile, target: dict[str, int | None], count: int) -> np.ndarray:
    """Position deltas [V, 3] of one morph target; zeros if it moves no positions."""
    index = target.get("POSITION")
    return np.zeros((count, 3), np.float32) if index is None else file.accessor(index).astype(np.float32)


def skin_weights(file: GltfFile, attributes: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every set of JOINTS_n and WEIGHTS_n side by side, [V, K] each; rows of weights sum to 1."""
    sets = [n for n in range(8) if f"JOINTS_{n}" in attributes and f"WEIGHTS_{n}" in attributes]
    joints = np.concatenate([file.accessor(attributes[f"JOINTS_{n}"]) for n in sets], 1).astype(np.int32)
    weights = np.concatenate([file.accessor(attributes[f"WEIGHTS_{n}"]) for n in sets], 1).astype(np.float32)
    weights = np.maximum(np.nan_to_num(weights), 0)
    weights[weights.sum(1) == 0, 0] = 1
    weights /= weights.sum(1, keepdims=True)
    used = int(np.flatnonzero(np.any(weights > 0, axis=0)).max()) + 1  # empty slots only cost time
    return np.where(weights > 0, joints, 0)[:, :used], weights[:, :used]


def _smoothing(positions: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Group numbers [V]: equal position and normal share one, so that texture seams show no crease."""
    size = max(float(np.abs(positions).max()), 1e-12)
    keys = np.concatenate([np.round(positions / size * 1e5), np.round(normals * 1e2)], 1).astype(np.int64)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)


def _widened(values: np.ndarray, width: int) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))
