"""An open glTF file: its JSON through pygltflib, its bytes, and its accessors as arrays."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.export.glb_file import uri_bytes

_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_UNREADABLE = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_texture_basisu"}


LARGEST_BYTES = 1 << 30
"""Of one accessor, which may declare any size without holding data."""


class GltfFile:
    """A .glb, or a .gltf whose buffers and images lie in the file itself or in its folder.

    node_weights: morph weights that nodes set for themselves, by node index.
    """

    def __init__(self, path: Path) -> None:
        """Raises:
        InputError: there is no such file, or it needs a decoder this program lacks.
        """
        from pygltflib import GLTF2

        if not path.is_file():
            raise InputError(f"Cannot read {path}: no such file.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of what fails right after
            try:
                gltf = GLTF2().load(str(path))
            except RecursionError as error:
                raise InputError(f"Cannot read {path} as glTF: its JSON is nested too deeply.") from error
        if gltf is None:
            raise InputError(f"Cannot read {path} as glTF.")
        blocked = _UNREADABLE & set(gltf.extensionsRequired or [])
        if blocked:
            raise InputError(f"{path} needs {', '.join(sorted(blocked))}; export it without compression.")
        self.gltf, self.path = gltf, path
        self.node_weights = _node_weights(path)
        self._buffers: dict[int, bytes] = {}

    def uri_bytes(self, uri: str) -> bytes:
        """Bytes behind a data URI or a file in the asset's own folder.

        Raises:
            InputError: the URI is broken or leaves the folder.
        """
        return uri_bytes(self.path, uri)

    def view_bytes(self, index: int) -> bytes:
        """The bytes of a buffer view."""
        view = self.gltf.bufferViews[index]
        start = view.byteOffset or 0
        return self._buffer(view.buffer)[start : start + view.byteLength]

    def accessor(self, index: int) -> np.ndarray:
        """An accessor [count, width]; normalised integers come as float32 in [-1, 1] or [0, 1]."""
        accessor = self.gltf.accessors[index]
        dtype, width = np.dtype(_TYPES[accessor.componentType]), _WIDTHS[accessor.type]
        if not 0 <= accessor.count <= LARGEST_BYTES // (width * dtype.itemsize):
            raise InputError(f"{self.path} declares an accessor of {accessor.count} elements; export it again.")
        if accessor.bufferView is None:
            values = np.zeros((accessor.count, width), dtype)
        else:
            stride = self.gltf.bufferViews[accessor.bufferView].byteStride
            values = self._strided(accessor, accessor.count, width, dtype, stride)
        if accessor.sparse is not None:
            sparse = accessor.sparse
            where = self._strided(sparse.indices, sparse.count, 1, np.dtype(_TYPES[sparse.indices.componentType]))
            values = values.copy()
            values[where[:, 0]] = self._strided(sparse.values, sparse.count, width, dtype)
        if accessor.normalized and dtype.kind != "f":
            largest = 2 ** (8 * dtype.itemsize - (dtype.kind == "i")) - 1
            values = np.maximum(values.astype(np.float32) / largest, -1.0)
        return values

    def _strided(
        self, part: Any, count: int, width: int, dtype: np.dtype[Any], stride: int | None = None
    ) -> np.ndarray:
        """A view [count, width] of the buffer behind `part`, which names bufferView and byteOffset."""
        view = self.gltf.bufferViews[part.bufferView]
        data = self._buffer(view.buffer)
        start = (view.byteOffset or 0) + (part.byteOffset or 0)
        step = stride or width * dtype.itemsize
        if count and not 0 <= start + step * (count - 1) + width * dtype.itemsize <= len(data):
            raise InputError(f"{self.path} is truncated: an accessor reaches past its buffer.")
        return np.ndarray((count, width), dtype, data, start, (step, dtype.itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            uri = self.gltf.buffers[index].uri
            self._buffers[index] = self.gltf.binary_blob() if uri is None else self.uri_bytes(uri)
        return self._buffers[index]


def _node_weights(path: Path) -> dict[int, list[float]]:
    """Read from the JSON itself, since pygltflib drops them."""
    data = path.read_bytes()
    text = data[20 : 20 + struct.unpack_from("<I", data, 12)[0]] if data[:4] == b"glTF" else data
    nodes = json.loads(text).get("nodes", [])
    return {i: node["weights"] for i, node in enumerate(nodes) if node.get("weights")}
