"""Animated GLB (glTF 2.0): one mesh, one material, one texture; moved by morph targets or by bones."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pygltflib as gl
from PIL import Image

import lim_cli
from lim_cli.core.errors import NumericalError
from lim_cli.core.files import atomic_path
from lim_cli.export.draco import DRACO
from lim_cli.export.frame_thinning import choose_frames
from lim_cli.export.glb_file import pack_glb, without_defaults
from lim_cli.export.gltf_buffer import BufferBuilder
from lim_cli.export.gltf_morph import add_morphs
from lim_cli.export.gltf_packing import Frame
from lim_cli.export.gltf_skin import add_skin
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.skinning import SkinError, decompose, skin_error

QUANTIZATION = "KHR_mesh_quantization"
UNLIT = "KHR_materials_unlit"
# Dropped frames may be off by this part of the object's size; a pixel of a 4K render is 2.5 times more.
DROP_TOLERANCE = 1e-4
MAX_TARGETS = 240
"""Of one mesh: three.js, filament and the Khronos viewer break above 241 to 256."""

Motion = Literal["morph", "skin"]
TextureFormat = Literal["png", "jpeg"]


@dataclass(frozen=True)
class ExportInfo:
    """What was written.

    kept_frames: indices of the track's frames in the file. targets: morph targets, one less than the kept frames of
    each part. parts: meshes that play one after the other. bones: 0 for morph animation.
    interpolation_error: largest distance of a dropped frame's vertex from where playback puts it, world units.
    skin_error: of the file's vertices at the frames; None for morph animation.
    size_bytes: of the file. duration: seconds. vertices: split at UV seams.
    """

    path: Path
    size_bytes: int
    vertices: int
    faces: int
    frames: int
    kept_frames: tuple[int, ...]
    targets: int
    parts: int
    bones: int
    duration: float
    interpolation_error: float
    skin_error: SkinError | None


def write_glb(
    path: Path,
    textured: TexturedTrack,
    *,
    name: str = "object",
    frame_names: Sequence[str] | None = None,
    motion: Motion = "morph",
    bones: int = 32,
    quantize: bool = False,
    draco: bool = False,
    sparse: bool = False,
    max_targets: int = MAX_TARGETS,
    unlit: bool = False,
    texture_format: TextureFormat = "png",
) -> ExportInfo:
    """Writes a textured, tracked mesh as an animated GLB.

    Unanimated, it shows the first frame. Time starts at 0 in the file.

    Args:
        frame_names: of the morph targets, one per frame of the track; `frame_0000` ... when left out.
        motion: `morph` keeps every vertex of every frame; `skin` fits `bones` bones with up to four weights per
            vertex, tens of times smaller, and says how far off it is.
        quantize: KHR_mesh_quantization: int16 positions, int8 normals, uint16 UVs, error below 2e-5 of the moving
            object's extent. A skin's faces become a triangle strip too: nothing that core glTF with this extension
            can hold is smaller.
        draco: KHR_draco_mesh_compression: a third of that again, for readers that have a decoder. The vertices have
            an order of their own. Skins only, in place of quantize.
        sparse: store only the vertices that move, where that is smaller. Morph animation only.
        max_targets: of one mesh. Where there are more frames, those are dropped that linear interpolation replaces
            within `DROP_TOLERANCE`; where that is not enough, the clip is split over several meshes that play one
            after the other.
        unlit: KHR_materials_unlit: shows the texture as it is. Off by default: the texture carries the clip's
            light, but a rough, lit surface keeps its relief in every scene, and readers without the extension
            show it lit anyway.
        texture_format: `jpeg` (quality 92) is several times smaller than `png`.

    Raises:
        OutputError: the file cannot be written.
        NumericalError: a vertex is NaN or infinite.
        MissingError: draco, and DracoPy is not installed.
    """
    vertices, times = textured.track.vertices, textured.track.times
    if not np.isfinite(vertices).all():
        raise NumericalError("The tracked mesh holds NaN or infinite vertices and cannot be exported.")
    if max_targets < 1:
        raise ValueError(f"expected max_targets >= 1, got {max_targets}")
    if draco and (quantize or motion != "skin"):
        raise ValueError("draco is for skins, in place of quantize")
    if frame_names is not None and len(frame_names) != len(times):
        raise ValueError(f"expected {len(times)} frame names, got {len(frame_names)}")

    buffer = BufferBuilder()
    document = _document(name, unlit)
    kept, dropped_error, parts, error = np.arange(len(times)), 0.0, 1, None
    if motion == "skin":
        skin = decompose(vertices, bones=bones)
        bones = skin.bones.shape[1]
        frame = Frame.around(skin.rest, quantized=True) if quantize else Frame.world()
        stored = add_skin(document, buffer, textured, skin, name=name, frame=frame, compressed=draco)
        error = skin_error(vertices, stored)
    else:
        extent = float(np.ptp(vertices.reshape(-1, 3), axis=0).max())
        if len(times) > max_targets + 1:
            kept, dropped_error = choose_frames(vertices, times, tolerance=DROP_TOLERANCE * extent)
        bones, split = 0, len(kept) > max_targets + 1
        frame = Frame.around(vertices, quantized=quantize) if quantize or split else Frame.world()
        names = [frame_names[int(i)] if frame_names else f"frame_{i:04d}" for i in kept]
        parts = add_morphs(
            document, buffer, textured, kept, names, name=name, frame=frame, sparse=sparse, max_targets=max_targets
        )

    image = buffer.add_bytes(_encode_texture(textured.texture, texture_format))
    document.images = [gl.Image(bufferView=image, mimeType=f"image/{texture_format}", name=f"{name}_colour")]
    document.extensionsRequired = [QUANTIZATION] * quantize + [DRACO] * draco
    document.extensionsUsed = [*document.extensionsRequired, *[UNLIT] * unlit]
    document.asset.extras = {"lim": _notes(len(times), parts, dropped_error, error)}
    document.accessors, document.bufferViews = buffer.accessors, buffer.views
    document.buffers = [gl.Buffer(byteLength=buffer.length)]
    plain = without_defaults(json.loads(document.gltf_to_json()))
    with atomic_path(path) as partial:
        partial.write_bytes(pack_glb(plain, buffer.blob()))
    return ExportInfo(
        path=Path(path),
        size_bytes=Path(path).stat().st_size,
        vertices=buffer.accessors[document.meshes[0].primitives[0].attributes.POSITION].count,
        faces=len(textured.track.faces),
        frames=len(times),
        kept_frames=tuple(int(i) for i in kept),
        targets=0 if motion == "skin" else len(kept) - 1,
        parts=parts,
        bones=bones,
        duration=float(times[-1] - times[0]),
        interpolation_error=dropped_error,
        skin_error=error,
    )


def _document(name: str, unlit: bool) -> gl.GLTF2:
    """A scene without nodes, with the material and its texture's sampler."""
    # Rough and not metallic: highlights are in the texture already.
    surface = gl.PbrMetallicRoughness(baseColorTexture=gl.TextureInfo(index=0), metallicFactor=0.0, roughnessFactor=1.0)
    material = gl.Material(
        name=f"{name}_material",
        pbrMetallicRoughness=surface,
        alphaMode=gl.OPAQUE,
        alphaCutoff=None,
        doubleSided=False,
        extensions={UNLIT: {}} if unlit else {},
    )
    sampler = gl.Sampler(
        magFilter=gl.LINEAR, minFilter=gl.LINEAR_MIPMAP_LINEAR, wrapS=gl.CLAMP_TO_EDGE, wrapT=gl.CLAMP_TO_EDGE
    )
    return gl.GLTF2(
        asset=gl.Asset(version="2.0", generator=f"lim {lim_cli.__version__}"),
        scene=0,
        scenes=[gl.Scene(nodes=[])],
        materials=[material],
        textures=[gl.Texture(source=0, sampler=0)],
        samplers=[sampler],
    )


def _notes(frames: int, parts: int, dropped_error: float, error: SkinError | None) -> dict[str, Any]:
    """What `lim inspect` says beyond what the format itself holds."""
    notes: dict[str, Any] = {"frames": frames, "parts": parts, "interpolation_error": dropped_error}
    if error is not None:
        notes["skin_error"] = {"rms": error.rms, "max": error.max}
    return notes


def _encode_texture(texture: np.ndarray, kind: TextureFormat) -> bytes:
    stream = io.BytesIO()
    options = {"quality": 92, "subsampling": 0} if kind == "jpeg" else {"compress_level": 9}
    Image.fromarray(texture).save(stream, format=kind.upper(), **options)
    return stream.getvalue()
