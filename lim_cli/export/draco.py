"""Meshes compressed by Draco, as glTF holds them (KHR_draco_mesh_compression).

The compressed mesh has an order of vertices of its own: what its order costs is most of what compression saves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pygltflib as gl

from lim_cli.core.errors import MissingError
from lim_cli.export.gltf_buffer import LARGEST_BYTES, BufferBuilder, as_indices

DRACO = "KHR_draco_mesh_compression"
POSITION_BITS = 14  # half a step is 3e-5 of the object's extent
NORMAL_BITS = 10
UV_BITS = 14  # half a step is an eighth of a pixel of a texture of 4096
_JOINTS, _WEIGHTS = 0, 1
"""Numbers of the attributes that Draco has no kind of its own for."""
_KINDS = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 3}
"""Draco's own kinds."""


def has_draco() -> bool:
    """Whether DracoPy is installed."""
    try:
        import DracoPy  # noqa: F401
    except ImportError:
        return False
    return True


def require_draco() -> None:
    """Raises MissingError where DracoPy is not installed."""
    if not has_draco():
        raise MissingError("Draco compression needs DracoPy; run pip install 'lim-cli[draco]'.")


def compression_of(primitive: gl.Primitive) -> dict[str, Any] | None:
    """What the extension says of a primitive: its `bufferView`, and `attributes` by name; None of a plain one."""
    return (primitive.extensions or {}).get(DRACO)


def add_compressed(
    buffer: BufferBuilder,
    *,
    positions: np.ndarray,
    normals: np.ndarray,
    uv: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    faces: np.ndarray,
) -> tuple[gl.Primitive, np.ndarray]:
    """A skinned primitive without a material, its mesh compressed in one buffer view; and its positions

    [stored vertex, 3] float32 as they are read back.

    positions, normals [vertex, 3], uv [vertex, 2] float; joints, weights [vertex, 4] uint8, which stay exact, the
    weights in parts of 255; faces [face, 3].

    Raises:
        MissingError: DracoPy is not installed.
    """
    require_draco()
    import DracoPy

    data = DracoPy.encode(
        np.asarray(positions, np.float32),
        np.asarray(faces, np.uint32),
        quantization_bits=POSITION_BITS,
        compression_level=10,
        tex_coord=np.asarray(uv, np.float64),
        tex_coord_quantization_bits=UV_BITS,
        normals=np.asarray(normals, np.float64),
        normal_quantization_bits=NORMAL_BITS,
        generic_attributes={_JOINTS: joints, _WEIGHTS: weights},
    )
    mesh = _decoded(data)
    of_kind = {attribute["attribute_type"]: attribute["unique_id"] for attribute in mesh.attributes}
    numbers = {name: of_kind[kind] for name, kind in _KINDS.items()} | {"JOINTS_0": _JOINTS, "WEIGHTS_0": _WEIGHTS}
    stored = {name: mesh.get_attribute_by_unique_id(number)["data"] for name, number in numbers.items()}
    view = buffer.add_bytes(data)
    accessors = {
        name: buffer.add_absent(values, bounds=name == "POSITION", normalized=name == "WEIGHTS_0")
        for name, values in stored.items()
    }
    primitive = gl.Primitive(
        attributes=gl.Attributes(**accessors),
        indices=buffer.add_absent(as_indices(mesh.faces.reshape(-1, 1), len(stored["POSITION"])), bounds=False),
        mode=gl.TRIANGLES,
        extensions={DRACO: {"bufferView": view, "attributes": numbers}},
    )
    return primitive, stored["POSITION"]


def read_compressed(document: gl.GLTF2, primitive: gl.Primitive, blob: bytes) -> dict[int, np.ndarray]:
    """Values [count, component] of a compressed primitive's accessors, by accessor: float32, or integers.

    Raises:
        MissingError: DracoPy is not installed. ValueError: the data is damaged or not what the accessors say.
    """
    require_draco()
    entry = primitive.extensions[DRACO]
    view = document.bufferViews[entry["bufferView"]]
    named = {name: index for name, index in vars(primitive.attributes).items() if isinstance(index, int)}
    counts = [document.accessors[index].count for index in (*named.values(), primitive.indices)]
    if not 0 <= max(counts) <= LARGEST_BYTES // 64:
        raise ValueError(f"a compressed mesh declares {max(counts)} elements")
    start = view.byteOffset or 0
    mesh = _decoded(bytes(blob[start : start + view.byteLength]))
    found = {primitive.indices: mesh.faces.reshape(-1, 1)}
    for name, number in entry["attributes"].items():
        values = mesh.get_attribute_by_unique_id(number)["data"]
        found[named[name]] = values / np.float32(255) if document.accessors[named[name]].normalized else values
    if any(document.accessors[index].count != len(values) for index, values in found.items()):
        raise ValueError("a compressed mesh is not as large as the file says")
    return found


def _decoded(data: bytes) -> Any:
    """DracoPy's mesh of bytes of its own or others' making.

    Raises:
        ValueError: they are damaged.
    """
    import DracoPy

    try:
        return DracoPy.decode(data)
    except (DracoPy.FileTypeException, RuntimeError) as error:
        raise ValueError("a compressed mesh is damaged") from error
