"""What is in a GLB: sizes, bytes, motion, and who can read it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
from PIL import Image

from lim_cli.core.errors import PARSER_ERRORS, InputError
from lim_cli.export.draco import DRACO, compression_of, has_draco
from lim_cli.export.engines import MORPH, SKIN, SPARSE, STRIPS, acceptance
from lim_cli.export.glb_playback import AnimatedGlb
from lim_cli.geometry.triangle_strip import strip_faces

COMPRESSION = {DRACO, "EXT_meshopt_compression", "KHR_meshopt_compression"}


@dataclass(frozen=True)
class Motion:
    """How the vertices move, against where they are at time zero; lengths in parts of the object's size.

    The size is the diagonal of the bounding box at time zero. mean and max displacement: over vertices and keys;
    max_speed: of any vertex between two keys, sizes per second.
    """

    mean_displacement: float
    max_displacement: float
    max_speed: float


@dataclass(frozen=True)
class Bytes:
    """geometry: base vertices and faces, and whatever else Draco compressed with them. animation: morph targets,
    joints, weights, bind matrices and keys.

    texture: pictures. other: JSON and padding.
    """

    geometry: int
    animation: int
    texture: int
    other: int


@dataclass(frozen=True)
class GlbSummary:
    """duration: seconds. extent: size at time zero along x, y, z, world units.

    frames: different key times. targets: morph targets; parts: meshes that play one after
    the other; joints: of the skin, its root included. texture_size: (height, width), None without one.
    frame_names: of the targets. sparse: whether sparse accessors are used. interpolation_error: see `ExportInfo`;
    skin_error: rms and max, in parts of the object's size; None where the file does not say.
    motion: None where the vertices are stored in a compression that is not read here (Draco is, with DracoPy).
    engines: engine -> feature of the file -> whether it is read there, see `export.engines`.
    """

    path: str
    size_bytes: int
    bytes: Bytes
    vertices: int
    faces: int
    frames: int
    targets: int
    parts: int
    joints: int
    duration: float
    extent: tuple[float, float, float]
    motion: Motion | None
    skin_error: dict[str, float] | None
    interpolation_error: float | None
    texture_size: tuple[int, int] | None
    frame_names: tuple[str, ...]
    sparse: bool
    extensions: tuple[str, ...]
    engines: dict[str, dict[str, str]]
    generator: str


def inspect_glb(path: Path) -> GlbSummary:
    """Summary of a GLB.

    Raises:
        InputError: the file is absent, no GLB, damaged, or holds no mesh.
    """
    try:
        return _summary(Path(path), AnimatedGlb(path))
    except (*PARSER_ERRORS, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is damaged or no glTF 2.0 that can be read here ({error}).") from error


def _summary(path: Path, glb: AnimatedGlb) -> GlbSummary:
    document, notes = glb.document, glb.notes
    parts = int(notes.get("parts", 1))
    meshes = document.meshes[:1] if parts > 1 else document.meshes
    primitives = [primitive for mesh in meshes for primitive in mesh.primitives]
    positions = [document.accessors[p.attributes.POSITION].count for p in primitives]
    used = tuple(document.extensionsUsed or ())
    keys = glb.key_times
    compressed = COMPRESSION & set(used)
    readable = not compressed or (compressed == {DRACO} and has_draco())
    extent = np.ptp(glb.vertices(0.0), axis=0) if readable else np.zeros(3)
    sparse = any(accessor.sparse is not None for accessor in document.accessors)
    targets = sum(len(p.targets or []) for mesh in document.meshes for p in mesh.primitives)
    strips = any(p.mode == gl.TRIANGLE_STRIP for p in primitives)
    features = (
        (MORPH,) * (targets > 0) + (SKIN,) * bool(document.skins) + (SPARSE,) * sparse + (STRIPS,) * strips + used
    )
    return GlbSummary(
        path=str(path),
        size_bytes=path.stat().st_size,
        bytes=_bytes(path, document),
        vertices=sum(positions),
        faces=sum(_faces(glb, p) for p in primitives),
        frames=len(keys),
        targets=targets,
        parts=parts,
        joints=len(document.skins[0].joints) if document.skins else 0,
        duration=float(keys[-1]),
        extent=(float(extent[0]), float(extent[1]), float(extent[2])),
        motion=_motion(glb, keys) if readable else None,
        skin_error=notes.get("skin_error"),
        interpolation_error=notes.get("interpolation_error"),
        texture_size=_texture_size(document, glb.blob),
        frame_names=tuple(name for mesh in document.meshes for name in (mesh.extras or {}).get("targetNames", ())),
        sparse=sparse,
        extensions=used,
        engines=acceptance(features),
        generator=document.asset.generator or "",
    )


def _faces(glb: AnimatedGlb, primitive: gl.Primitive) -> int:
    """Triangles that a primitive draws; those of a strip that only join two stretches do not count."""
    if primitive.indices is None:
        corners = glb.document.accessors[primitive.attributes.POSITION].count
    elif primitive.mode == gl.TRIANGLE_STRIP:
        return len(strip_faces(glb.array(primitive.indices)[:, 0]))
    else:
        corners = glb.document.accessors[primitive.indices].count
    if primitive.mode in (gl.TRIANGLE_STRIP, gl.TRIANGLE_FAN):
        return max(corners - 2, 0)
    return corners // 3 if primitive.mode in (None, gl.TRIANGLES) else 0


def _motion(glb: AnimatedGlb, keys: np.ndarray) -> Motion:
    first = last = glb.vertices(float(keys[0])).astype(np.float64)
    size = max(float(np.linalg.norm(np.ptp(first, axis=0))), 1e-12)
    total, largest, speed = 0.0, 0.0, 0.0
    for before, time in pairwise(keys):
        now = glb.vertices(float(time)).astype(np.float64)
        moved = np.linalg.norm(now - first, axis=1) / size
        total, largest = total + float(moved.mean()), max(largest, float(moved.max()))
        speed = max(speed, float(np.linalg.norm(now - last, axis=1).max()) / size / float(time - before))
        last = now
    return Motion(total / len(keys), largest, speed)


def _bytes(path: Path, document: gl.GLTF2) -> Bytes:
    """Splits the file by what refers to which buffer view; a view counts once."""
    still: set[int] = set()
    moving: set[int] = set()
    for mesh in document.meshes:
        for primitive in mesh.primitives:
            for name, index in vars(primitive.attributes).items():
                if isinstance(index, int):
                    (moving if name.startswith(("JOINTS", "WEIGHTS")) else still).add(index)
            if primitive.indices is not None:
                still.add(primitive.indices)
            for target in primitive.targets or []:
                values = target if isinstance(target, dict) else vars(target)
                moving |= {index for index in values.values() if isinstance(index, int)}
    moving |= {skin.inverseBindMatrices for skin in document.skins if skin.inverseBindMatrices is not None}
    for animation in document.animations:
        moving |= {index for sampler in animation.samplers for index in (sampler.input, sampler.output)}
    pictures = {image.bufferView for image in document.images if image.bufferView is not None}
    entries = [compression_of(primitive) for mesh in document.meshes for primitive in mesh.primitives]
    geometry_views = _views(document, still) | {entry["bufferView"] for entry in entries if entry is not None}
    animation_views = _views(document, moving)
    sizes = [view.byteLength for view in document.bufferViews]
    geometry = sum(sizes[i] for i in geometry_views)
    animation = sum(sizes[i] for i in animation_views - geometry_views)
    texture = sum(sizes[i] for i in pictures)
    return Bytes(geometry, animation, texture, path.stat().st_size - geometry - animation - texture)


def _views(document: gl.GLTF2, accessors: set[int]) -> set[int]:
    found: set[Any] = set()
    for index in accessors:
        accessor = document.accessors[index]
        found.add(accessor.bufferView)
        if accessor.sparse is not None:
            found |= {accessor.sparse.indices.bufferView, accessor.sparse.values.bufferView}
    return found - {None}


def _texture_size(document: gl.GLTF2, blob: bytes) -> tuple[int, int] | None:
    if not document.images or document.images[0].bufferView is None:
        return None
    view = document.bufferViews[document.images[0].bufferView]
    start = view.byteOffset or 0
    with Image.open(io.BytesIO(blob[start : start + view.byteLength])) as image:
        return image.height, image.width
