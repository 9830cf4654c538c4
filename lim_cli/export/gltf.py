"""Animated GLB: one morph target per output frame (glTF 2.0, sec. 3.7.2.2).

Readers may honour only 8 morphed attributes at a time; with one target per frame and linear interpolation
between neighbouring frames no more than two weights are ever above zero. Every target morphs NORMAL too,
since a target without it freezes the lighting.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pygltflib as gl
from PIL import Image

import lim_cli
from lim_cli.core.errors import NumericalError
from lim_cli.core.files import atomic_path
from lim_cli.export.frame_thinning import choose_frames
from lim_cli.export.gltf_buffer import BufferBuilder
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.normals import vertex_normals, weld_by_position

QUANTIZATION = "KHR_mesh_quantization"
UNLIT = "KHR_materials_unlit"
# Dropped frames may be off by this part of the object's size; a pixel of a 4K render is 2.5 times more.
DROP_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ExportInfo:
    """What was written.

    kept_frames: indices of the track's frames in the file. targets: morph targets, one less than kept frames.
    interpolation_error: largest distance of a dropped frame's vertex from where playback puts it, world
        units.
    size_bytes: of the file. duration: seconds. vertices: split at UV seams.
    """

    path: Path
    size_bytes: int
    vertices: int
    faces: int
    frames: int
    kept_frames: tuple[int, ...]
    targets: int
    duration: float
    interpolation_error: float


def write_glb(
    path: Path,
    textured: TexturedTrack,
    *,
    name: str = "object",
    frame_names: Sequence[str] | None = None,
    quantize: bool = False,
    sparse: bool = False,
    max_targets: int = 240,
    unlit: bool = False,
    texture_format: Literal["png", "jpeg"] = "png",
) -> ExportInfo:
    """Writes a textured, tracked mesh as an animated GLB.

    The first frame is the base mesh, with all weights zero. Time starts at 0 in the file.

    Args:
        frame_names: one per frame of the track; `frame_0000` ... when left out.
        quantize: KHR_mesh_quantization: int16 positions, int8 normals, uint16 UVs; about half the bytes,
            error below 2e-5 of the moving object's extent. Blender, three.js and Babylon.js read it.
        sparse: store only the vertices that move, where that is smaller.
        max_targets: popular viewers break above 241 to 256 targets; further frames are dropped where linear
            interpolation misses them least.
        unlit: KHR_materials_unlit: shows the texture as it is. Off by default: the texture carries the clip's
            light, but a rough, lit surface keeps its relief in every scene, and readers without the extension
            show it lit anyway.
        texture_format: `jpeg` (quality 92) is several times smaller than `png`.

    Raises:
        OutputError: the file cannot be written.
        NumericalError: a vertex is NaN or infinite.
    """
    vertices, times = textured.track.vertices, textured.track.times
    if not np.isfinite(vertices).all():
        raise NumericalError("The tracked mesh holds NaN or infinite vertices and cannot be exported.")
    if max_targets < 1:
        raise ValueError(f"expected max_targets >= 1, got {max_targets}")
    if frame_names is not None and len(frame_names) != len(times):
        raise ValueError(f"expected {len(times)} frame names, got {len(frame_names)}")
    extent = float(np.ptp(vertices.reshape(-1, 3), axis=0).max())
    kept, error = choose_frames(vertices, times, max_frames=max_targets + 1, tolerance=DROP_TOLERANCE * extent)
    names = [frame_names[i] if frame_names else f"frame_{i:04d}" for i in kept]

    buffer = BufferBuilder()
    box = _Box.around(vertices[kept]) if quantize else None
    primitive = _primitive(buffer, textured, kept, box, sparse)
    mesh = gl.Mesh(name=name, primitives=[primitive])
    if len(kept) > 1:
        mesh.extras = {"targetNames": names[1:]}
        mesh.weights = [0.0] * (len(kept) - 1)
    image = buffer.add_bytes(_encode_texture(textured.texture, texture_format))
    node = gl.Node(name=name, mesh=0)
    if box is not None:
        node.scale, node.translation = [box.scale] * 3, list(box.centre)
    extensions = [QUANTIZATION] * quantize
    document = gl.GLTF2(
        asset=gl.Asset(version="2.0", generator=f"lim {lim_cli.__version__}"),
        scene=0,
        scenes=[gl.Scene(nodes=[0])],
        nodes=[node],
        meshes=[mesh],
        materials=[_material(name, unlit)],
        textures=[gl.Texture(source=0, sampler=0)],
        images=[gl.Image(bufferView=image, mimeType=f"image/{texture_format}", name=f"{name}_colour")],
        samplers=[
            gl.Sampler(
                magFilter=gl.LINEAR,
                minFilter=gl.LINEAR_MIPMAP_LINEAR,
                wrapS=gl.CLAMP_TO_EDGE,
                wrapT=gl.CLAMP_TO_EDGE,
            )
        ],
        animations=[_animation(buffer, times[kept] - times[0])] if len(kept) > 1 else [],
        extensionsUsed=extensions + [UNLIT] * unlit,
        extensionsRequired=extensions,
    )
    document.accessors, document.bufferViews = buffer.accessors, buffer.views
    document.buffers = [gl.Buffer(byteLength=buffer.length)]
    document.set_binary_blob(buffer.blob())
    with atomic_path(path) as partial:
        document.save_binary(str(partial))
    return ExportInfo(
        path=Path(path),
        size_bytes=Path(path).stat().st_size,
        vertices=vertices.shape[1],
        faces=len(textured.track.faces),
        frames=len(times),
        kept_frames=tuple(int(i) for i in kept),
        targets=len(kept) - 1,
        duration=float(times[-1] - times[0]),
        interpolation_error=error,
    )


@dataclass(frozen=True)
class _Box:
    """Quantised position q in [-0.5, 0.5] stands for centre + scale q; any delta fits into [-1, 1]."""

    centre: tuple[float, float, float]
    scale: float

    @staticmethod
    def around(vertices: np.ndarray) -> _Box:
        points = vertices.reshape(-1, 3).astype(np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        x, y, z = (float(value) for value in (low + high) / 2)
        return _Box((x, y, z), max(float((high - low).max()), 1e-9))

    def quantize(self, vertices: np.ndarray) -> np.ndarray:
        """World [vertex, 3] -> int16 steps of scale / 32767."""
        unit = (vertices.astype(np.float64) - np.asarray(self.centre)) / self.scale
        return np.asarray(np.round(unit * 32767), dtype=np.int16)


def _primitive(
    buffer: BufferBuilder, textured: TexturedTrack, kept: np.ndarray, box: _Box | None, sparse: bool
) -> gl.Primitive:
    """Base attributes, indices and the morph targets' deltas."""
    track = textured.track
    welded = weld_by_position(track.vertices[kept[0]])
    positions = [track.vertices[i] if box is None else box.quantize(track.vertices[i]) for i in kept]
    normals = [vertex_normals(track.vertices[i], track.faces, welded) for i in kept]
    normalized = box is not None
    base_normal = normals[0] if box is None else _to_bytes(normals[0])
    uv = textured.uv.astype(np.float32) if box is None else np.round(textured.uv * 65535).astype(np.uint16)
    small = track.vertices.shape[1] <= 65535
    indices = track.faces.astype(np.uint16 if small else np.uint32).ravel()
    targets = []
    for position, normal in zip(positions[1:], normals[1:], strict=True):
        morph = {"POSITION": _add_delta(buffer, position - positions[0], normalized, sparse)}
        change = normal - normals[0]
        fits = box is not None and float(np.abs(change).max()) <= 1.0  # int8 deltas end at one
        packed = _to_bytes(change) if fits else change
        morph["NORMAL"] = _add_delta(buffer, packed, fits, sparse)
        targets.append(gl.Attributes(**morph))
    return gl.Primitive(
        attributes=gl.Attributes(
            POSITION=buffer.add_array(positions[0], target=gl.ARRAY_BUFFER, normalized=normalized),
            NORMAL=buffer.add_array(base_normal, target=gl.ARRAY_BUFFER, normalized=normalized),
            TEXCOORD_0=buffer.add_array(uv, target=gl.ARRAY_BUFFER, normalized=normalized),
        ),
        indices=buffer.add_array(indices, target=gl.ELEMENT_ARRAY_BUFFER),
        material=0,
        mode=gl.TRIANGLES,
        targets=targets,
    )


def _add_delta(buffer: BufferBuilder, delta: np.ndarray, normalized: bool, sparse: bool) -> int:
    index_bytes = 2 if len(delta) <= 65535 else 4
    row_bytes = delta.shape[1] * delta.itemsize
    moved = int(np.count_nonzero(np.any(delta != 0, axis=1)))
    if sparse and moved * (row_bytes + index_bytes) < len(delta) * row_bytes:
        return buffer.add_sparse(delta, normalized=normalized)
    return buffer.add_array(delta, target=gl.ARRAY_BUFFER, normalized=normalized)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(np.clip(values, -1.0, 1.0) * 127), dtype=np.int8)


def _material(name: str, unlit: bool) -> gl.Material:
    """Rough and not metallic: highlights are in the texture already."""
    surface = gl.PbrMetallicRoughness(baseColorTexture=gl.TextureInfo(index=0), metallicFactor=0.0, roughnessFactor=1.0)
    return gl.Material(
        name=f"{name}_material",
        pbrMetallicRoughness=surface,
        alphaMode=gl.OPAQUE,
        alphaCutoff=None,
        doubleSided=False,
        extensions={UNLIT: {}} if unlit else {},
    )


def _animation(buffer: BufferBuilder, times: np.ndarray) -> gl.Animation:
    """Keyframe n sets weight n-1 to one and all others to zero; between keyframes two weights cross-fade."""
    weights = np.eye(len(times), len(times) - 1, k=-1, dtype=np.float32)
    sampler = gl.AnimationSampler(
        input=buffer.add_array(times.astype(np.float32)),
        output=buffer.add_array(weights.ravel()),
        interpolation="LINEAR",
    )
    channel = gl.AnimationChannel(sampler=0, target=gl.AnimationChannelTarget(node=0, path="weights"))
    return gl.Animation(name="motion", samplers=[sampler], channels=[channel])


def _encode_texture(texture: np.ndarray, kind: Literal["png", "jpeg"]) -> bytes:
    stream = io.BytesIO()
    options = {"quality": 92, "subsampling": 0} if kind == "jpeg" else {"optimize": False}
    Image.fromarray(texture).save(stream, format=kind.upper(), **options)
    return stream.getvalue()
