"""Reads a GLB back: what is in it, and where its vertices are at a given time."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pygltflib as gl
from PIL import Image

from lim_cli.core.errors import PARSER_ERRORS, InputError
from lim_cli.export.gltf_buffer import read_accessor


@dataclass(frozen=True)
class GlbSummary:
    """duration: seconds. extent: size of the first frame along x, y, z, world units.

    texture_size: (height, width), None without one. frame_names: of the targets.
    """

    path: str
    size_bytes: int
    vertices: int
    faces: int
    targets: int
    duration: float
    extent: tuple[float, float, float]
    texture_size: tuple[int, int] | None
    frame_names: tuple[str, ...]
    extensions: tuple[str, ...]
    generator: str


def inspect_glb(path: Path) -> GlbSummary:
    """Summary of the first mesh of a GLB.

    Raises:
        InputError: the file is absent, damaged, no GLB, or holds no mesh.
    """
    try:
        return _summary(path)
    except PARSER_ERRORS as error:
        raise InputError(f"{path} is damaged or not built as lim builds a GLB; export it again.") from error


def _summary(path: Path) -> GlbSummary:
    document, blob = _load(path)
    mesh = document.meshes[0]
    primitive = mesh.primitives[0]
    positions = document.accessors[primitive.attributes.POSITION]
    corners = document.accessors[primitive.indices].count if primitive.indices is not None else positions.count
    x, y, z = (float(value) for value in np.ptp(read_back(path, 0.0), axis=0))
    inputs = [s.input for animation in document.animations for s in animation.samplers]
    return GlbSummary(
        path=str(path),
        size_bytes=Path(path).stat().st_size,
        vertices=positions.count,
        faces=corners // 3,
        targets=len(primitive.targets or []),
        duration=max((float(document.accessors[i].max[0]) for i in inputs), default=0.0),
        extent=(x, y, z),
        texture_size=_texture_size(document, blob),
        frame_names=tuple((mesh.extras or {}).get("targetNames", ())),
        extensions=tuple(document.extensionsUsed or ()),
        generator=document.asset.generator or "",
    )


def read_back(path: Path, time: float) -> np.ndarray:
    """Vertices [vertex, 3] float32, world frame, as a viewer shows them `time` seconds into the animation.

    Times outside the animation show its ends. Reads what `write_glb` writes: one mesh, one animation of its
    weights, a node with scale and translation only.

    Raises:
        InputError: the file is absent, no GLB, or holds no mesh.
    """
    document, blob = _load(path)
    primitive = document.meshes[0].primitives[0]
    vertices = read_accessor(document, primitive.attributes.POSITION, blob).astype(np.float64)
    for target, weight in enumerate(weights_at(document, blob, time)):
        if weight != 0.0:
            morph = primitive.targets[target]
            index = morph["POSITION"] if isinstance(morph, dict) else morph.POSITION
            vertices += weight * read_accessor(document, index, blob)
    node = document.nodes[0]
    scale = np.asarray(node.scale or [1.0, 1.0, 1.0])
    centre = np.asarray(node.translation or [0.0, 0.0, 0.0])
    return np.asarray(vertices * scale + centre, dtype=np.float32)


def weights_at(document: gl.GLTF2, blob: bytes, time: float) -> np.ndarray:
    """Morph weights [target] at a time, by linear interpolation of the animation."""
    if not document.animations:
        return np.asarray(document.meshes[0].weights or [], dtype=np.float64)
    sampler = document.animations[0].samplers[0]
    times = read_accessor(document, sampler.input, blob)[:, 0].astype(np.float64)
    weights = read_accessor(document, sampler.output, blob).reshape(len(times), -1)
    end = int(np.clip(np.searchsorted(times, time, side="right"), 1, len(times) - 1))
    alpha = float(np.clip((time - times[end - 1]) / (times[end] - times[end - 1]), 0.0, 1.0))
    return np.asarray((1 - alpha) * weights[end - 1] + alpha * weights[end], dtype=np.float64)


def _load(path: Path) -> tuple[gl.GLTF2, bytes]:
    try:
        with open(path, "rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if magic != b"glTF":
        raise InputError(f"{path} is not a GLB file.")
    document = gl.GLTF2().load_binary(str(path))
    if not document.meshes:
        raise InputError(f"{path} holds no mesh.")
    return document, document.binary_blob()


def _texture_size(document: gl.GLTF2, blob: bytes) -> tuple[int, int] | None:
    if not document.images or document.images[0].bufferView is None:
        return None
    view = document.bufferViews[document.images[0].bufferView]
    start = view.byteOffset or 0
    with Image.open(io.BytesIO(blob[start : start + view.byteLength])) as image:
        return image.height, image.width
