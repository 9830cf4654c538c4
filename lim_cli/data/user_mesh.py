"""A user's own model as one still mesh in the file's world frame, and how to get back to the file's own vertices."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.data.gltf_file import GltfFile
from lim_cli.data.gltf_reading import (
    hierarchy,
    position_deltas,
    rest_nodes,
    shown_nodes,
    skin_bones,
    skin_weights,
    triangles,
)
from lim_cli.export.driven_gltf import parse_document
from lim_cli.export.glb_file import pack_glb
from lim_cli.geometry.mesh import Mesh

if TYPE_CHECKING:
    from pygltflib import Primitive

_TRIANGLE_MODES = (None, 4, 5, 6)
CONVERTED = (".obj", ".ply", ".stl")
"""Read through trimesh, which makes a GLB of them."""


@dataclass(frozen=True)
class VertexArray:
    """The vertices of one or more primitives of one node.

    node, mesh, primitives: their numbers in the file. rows: of `UserMesh.mesh.vertices`. faces: [face, 3] into them.
    world_from_local: [vertex, 3, 3] or [1, 3, 3], what turns the file's own offsets into the world's.
    normals, tangents: [vertex, 3] as the file has them, or None.
    weights: of the morph targets the file has already, as it shows them.
    """

    node: int
    mesh: int
    primitives: tuple[int, ...]
    rows: slice
    faces: np.ndarray
    world_from_local: np.ndarray
    normals: np.ndarray | None
    tangents: np.ndarray | None
    weights: tuple[float, ...]

    def local_offsets(self, offsets: np.ndarray) -> np.ndarray:
        """World offsets [vertex, 3] in the frame of the file's vertices."""
        return np.asarray(np.einsum("vab,vb->va", np.linalg.pinv(self.world_from_local), offsets))

    def world_normals(self, normals: np.ndarray) -> np.ndarray:
        """Unit [vertex, 3] of the file's own: the inverse transpose of what turns offsets."""
        return _unit(np.einsum("vba,vb->va", np.linalg.pinv(self.world_from_local), normals))

    def local_normals(self, normals: np.ndarray) -> np.ndarray:
        return _unit(np.einsum("vba,vb->va", self.world_from_local, normals))

    def world_directions(self, directions: np.ndarray) -> np.ndarray:
        """Unit [vertex, 3]: directions along the surface, such as tangents."""
        return _unit(np.einsum("vab,vb->va", self.world_from_local, directions))

    def local_directions(self, directions: np.ndarray) -> np.ndarray:
        return _unit(self.local_offsets(directions))


@dataclass(frozen=True)
class UserMesh:
    """mesh: all that the file's scene shows, still, in its world frame; vertices not drawn by faces are in it too.

    is_skinned, is_animated: whether the file could move it by itself.
    """

    path: Path
    mesh: Mesh
    arrays: tuple[VertexArray, ...]
    is_skinned: bool
    is_animated: bool


def check_mesh(path: Path) -> None:
    """Raises InputError if a mesh cannot be read, before anything else is done."""
    if not path.is_file():
        raise InputError(f"There is no mesh {path}; give a .glb, .gltf, .obj, .ply or .stl file.")
    if path.suffix.lower() not in (".glb", ".gltf", *CONVERTED):
        raise InputError(f"Cannot read the mesh {path}; give a .glb, .gltf, .obj, .ply or .stl file.")


def read_user_mesh(path: Path) -> UserMesh:
    """A .glb, or a .gltf with its files beside it.

    Raises:
        InputError: not glTF, broken, without triangles, compressed, or it points outside its folder.
    """
    try:
        return _read(GltfFile(path))
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise InputError(f"Cannot read {path} as glTF: {error}. Export it again as glTF 2.0 binary.") from error


def convert_to_glb(path: Path, target: Path) -> None:
    """Writes an .obj, .ply or .stl as a GLB, matt: such files know no metal, which glTF takes things for unless told.

    Raises:
        InputError: it cannot be read.
    """
    import trimesh

    try:
        scene = trimesh.load_scene(path, process=False, maintain_order=True)
        for mesh in scene.geometry.values():
            colours = mesh.vertex_attributes.pop("color", None)
            if colours is not None:  # beside texture coordinates without a picture
                mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=colours)
        data = scene.export(file_type="glb", include_normals=True)
    except Exception as error:  # whatever a loader of broken files may raise
        raise InputError(f"Cannot read {path}: {error}. Export it as GLB.") from error
    document, blob = parse_document(data)
    materials = document.setdefault("materials", [])
    for primitive in (p for mesh in document.get("meshes", []) for p in mesh["primitives"]):
        if "material" not in primitive:
            primitive["material"] = len(materials)
            materials.append({})
    for material in materials:
        material.setdefault("pbrMetallicRoughness", {}).update(metallicFactor=0.0, roughnessFactor=1.0)
    target.write_bytes(pack_glb(document, blob))


def _read(file: GltfFile) -> UserMesh:
    order, parents = hierarchy(file)
    place = {node: i for i, node in enumerate(order)}
    world = rest_nodes(file, order, parents).matrices.copy()
    for i, parent in enumerate(parents):
        if parent >= 0:
            world[i] = world[parent] @ world[i]
    vertices: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    arrays: list[VertexArray] = []
    for node in shown_nodes(file):
        index = file.gltf.nodes[node].mesh
        if index is None:
            continue
        for primitives in _sharing(file.gltf.meshes[index].primitives):
            array, positions = _vertex_array(file, node, index, primitives, world, place, sum(map(len, vertices)))
            mirrored = np.linalg.det(array.world_from_local[0]) < 0
            faces.append((array.faces[:, ::-1] if mirrored else array.faces) + array.rows.start)
            vertices.append(positions)
            arrays.append(array)
    if not sum(map(len, faces)):
        raise InputError(f"{file.path} holds no triangles.")
    mesh = Mesh(np.concatenate(vertices), np.concatenate(faces).astype(np.int32))
    if not np.isfinite(mesh.vertices).all():
        raise InputError(f"{file.path} holds positions that are not finite.")
    skinned = any(file.gltf.nodes[a.node].skin is not None for a in arrays)
    return UserMesh(file.path, mesh, tuple(arrays), skinned, bool(file.gltf.animations))


def _sharing(primitives: list[Primitive]) -> list[tuple[int, ...]]:
    """Numbers of the primitives that share their vertices."""
    groups: dict[tuple[int | None, ...], list[int]] = {}
    for number, primitive in enumerate(primitives):
        a = primitive.attributes
        if a.POSITION is not None:
            groups.setdefault((a.POSITION, a.NORMAL, a.TANGENT, a.JOINTS_0), []).append(number)
    return [tuple(numbers) for numbers in groups.values()]


def _vertex_array(
    file: GltfFile,
    node: int,
    mesh: int,
    primitives: tuple[int, ...],
    world: np.ndarray,
    place: dict[int, int],
    first: int,
) -> tuple[VertexArray, np.ndarray]:
    """The array, and its vertices [vertex, 3] float64 in the world frame. first: its row in the whole mesh."""
    members = [file.gltf.meshes[mesh].primitives[number] for number in primitives]
    attributes = {k: v for k, v in vars(members[0].attributes).items() if isinstance(v, int)}
    local = file.accessor(attributes["POSITION"]).astype(np.float64)
    targets = [t if isinstance(t, dict) else vars(t) for t in members[0].targets or []]
    given = [*(file.node_weights.get(node) or file.gltf.meshes[mesh].weights or []), *[0.0] * len(targets)]
    for target, weight in zip(targets, given, strict=False):
        if weight:
            local = local + weight * position_deltas(file, target, len(local))
    drawn = [triangles(file, p, len(local)) for p in members if p.mode in _TRIANGLE_MODES]
    faces = np.concatenate([np.zeros((0, 3), np.int64), *drawn])
    if len(faces) and (faces.min() < 0 or faces.max() >= len(local)):
        raise InputError(f"{file.path} has a face that names a vertex it does not have.")
    matrices = world[place[node]][None]
    skin = file.gltf.nodes[node].skin
    if skin is not None and "JOINTS_0" in attributes:  # a skinned mesh stands where its joints are
        joints, weights = skin_weights(file, attributes)
        bones = np.stack([world[bone.node] @ bone.inverse_bind for bone in skin_bones(file, skin, place)])
        matrices = np.einsum("vk,vkab->vab", weights.astype(np.float64), bones[joints])
    positions = np.einsum("vab,vb->va", np.broadcast_to(matrices[:, :3, :3], (len(local), 3, 3)), local)
    extras = {
        name: file.accessor(attributes[name])[:, :3].astype(np.float64) if name in attributes else None
        for name in ("NORMAL", "TANGENT")
    }
    array = VertexArray(
        node=node,
        mesh=mesh,
        primitives=primitives,
        rows=slice(first, first + len(local)),
        faces=faces,
        world_from_local=np.ascontiguousarray(matrices[:, :3, :3]),
        normals=extras["NORMAL"],
        tangents=extras["TANGENT"],
        weights=tuple(float(w) for w in given[: len(targets)]),
    )
    return array, positions + matrices[:, :3, 3]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30))
