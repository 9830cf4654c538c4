"""Numpy arrays to glTF accessors and back (glTF 2.0, sec. 3.6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygltflib as gl

COMPONENT: dict[np.dtype, int] = {
    np.dtype(np.int8): gl.BYTE,
    np.dtype(np.uint8): gl.UNSIGNED_BYTE,
    np.dtype(np.int16): gl.SHORT,
    np.dtype(np.uint16): gl.UNSIGNED_SHORT,
    np.dtype(np.uint32): gl.UNSIGNED_INT,
    np.dtype(np.float32): gl.FLOAT,
}
DTYPE = {code: dtype for dtype, code in COMPONENT.items()}
KIND = {1: gl.SCALAR, 2: gl.VEC2, 3: gl.VEC3, 4: gl.VEC4, 16: gl.MAT4}
WIDTH = {name: width for width, name in KIND.items()}
LARGEST_BYTES = 1 << 30
"""Of one accessor, which may declare any size without holding data."""


def as_indices(values: np.ndarray, vertices: int) -> np.ndarray:
    """Numbers of `vertices` vertices in as few bytes as they take."""
    return values.astype(np.uint16 if vertices <= 65535 else np.uint32)


class BufferBuilder:
    """Collects the binary chunk of a GLB with the buffer views and accessors that describe it."""

    def __init__(self) -> None:
        self.views: list[gl.BufferView] = []
        self.accessors: list[gl.Accessor] = []
        self._parts: list[bytes] = []
        self.length = 0

    def blob(self) -> bytes:
        return b"".join(self._parts)

    def add_bytes(self, data: bytes, *, target: int | None = None, stride: int | None = None) -> int:
        """A buffer view over `data`, aligned to 4 bytes; its index."""
        self.views.append(
            gl.BufferView(buffer=0, byteOffset=self.length, byteLength=len(data), byteStride=stride, target=target)
        )
        padded = data + b"\0" * (-len(data) % 4)
        self._parts.append(padded)
        self.length += len(padded)
        return len(self.views) - 1

    def add_array(self, values: np.ndarray, *, target: int | None = None, normalized: bool = False) -> int:
        """An accessor over values [count] or [count, component]; its index.

        Vertex rows are padded to multiples of 4 bytes.
        """
        rows = values.reshape(len(values), -1)
        row_bytes = rows.shape[1] * rows.itemsize
        stride = None
        data = np.ascontiguousarray(rows)
        if target == gl.ARRAY_BUFFER and row_bytes % 4:
            stride = row_bytes + (-row_bytes % 4)
            wide = np.zeros((len(rows), stride), np.uint8)
            wide[:, :row_bytes] = data.view(np.uint8).reshape(len(rows), row_bytes)
            data = wide
        view = self.add_bytes(data.tobytes(), target=target, stride=stride)
        return self._add_accessor(rows, bufferView=view, normalized=normalized)

    def add_arrays(self, arrays: Sequence[np.ndarray], *, normalized: bool = False, bounds: bool = False) -> list[int]:
        """Accessors over arrays [count, component] of one kind, each in its part of one buffer view; their indices.

        bounds: says the lowest and the highest value, which only positions and key times must.
        """
        parts = [np.ascontiguousarray(values).tobytes() for values in arrays]
        view = self.add_bytes(b"".join(parts))
        starts = np.cumsum([0, *map(len, parts)])
        return [
            self._add_accessor(values, bounds=bounds, bufferView=view, byteOffset=int(start), normalized=normalized)
            for values, start in zip(arrays, starts[:-1], strict=True)
        ]

    def add_sparse(self, values: np.ndarray, *, normalized: bool = False) -> int:
        """An accessor over values [count, component] that stores only the rows that are not all zero."""
        index = np.flatnonzero(np.any(values != 0, axis=1))
        if len(index) == 0:
            index = np.zeros(1, np.int64)  # an accessor must hold at least one entry
        small = as_indices(index, len(values))
        indices = self.add_bytes(small.tobytes())
        data = self.add_bytes(np.ascontiguousarray(values[index]).tobytes())
        sparse = gl.Sparse(
            count=len(index),
            indices=gl.AccessorSparseIndices(bufferView=indices, componentType=COMPONENT[small.dtype]),
            values=gl.AccessorSparseValues(bufferView=data),
        )
        # pygltflib's default byteOffset of 0 is an error without a buffer view.
        return self._add_accessor(values, sparse=sparse, byteOffset=None, normalized=normalized)

    def add_absent(self, values: np.ndarray, *, bounds: bool, normalized: bool = False) -> int:
        """An accessor that says what values [count, component] are like, and holds none: an extension does."""
        return self._add_accessor(values, bounds=bounds, byteOffset=None, normalized=normalized)

    def _add_accessor(self, rows: np.ndarray, *, bounds: bool = True, **fields: object) -> int:
        self.accessors.append(
            gl.Accessor(
                componentType=COMPONENT[rows.dtype],
                count=len(rows),
                type=KIND[rows.shape[1]],
                min=[value.item() for value in rows.min(axis=0)] if bounds else None,
                max=[value.item() for value in rows.max(axis=0)] if bounds else None,
                **fields,
            )
        )
        return len(self.accessors) - 1


def read_accessor(gltf: gl.GLTF2, index: int, blob: bytes) -> np.ndarray:
    """Values [count, component] of an accessor: float32 where normalized or float, else its integers."""
    accessor = gltf.accessors[index]
    dtype, width = DTYPE[accessor.componentType], WIDTH[accessor.type]
    if not 0 <= accessor.count <= LARGEST_BYTES // (width * dtype.itemsize):
        raise ValueError(f"an accessor declares {accessor.count} elements")
    values: np.ndarray = np.zeros((accessor.count, width), dtype)
    if accessor.bufferView is not None:
        values[:] = _read_view(gltf, accessor.bufferView, accessor.byteOffset or 0, accessor.count, width, dtype, blob)
    if accessor.sparse is not None:
        sparse = accessor.sparse
        kind = DTYPE[sparse.indices.componentType]
        where = _read_view(gltf, sparse.indices.bufferView, sparse.indices.byteOffset or 0, sparse.count, 1, kind, blob)
        values[where[:, 0]] = _read_view(
            gltf, sparse.values.bufferView, sparse.values.byteOffset or 0, sparse.count, width, dtype, blob
        )
    if accessor.normalized:
        return np.asarray(np.maximum(values / np.float32(np.iinfo(dtype).max), -1.0), dtype=np.float32)
    return values


def _read_view(
    gltf: gl.GLTF2, index: int, offset: int, count: int, width: int, dtype: np.dtype, blob: bytes
) -> np.ndarray:
    view = gltf.bufferViews[index]
    if view.buffer:
        raise ValueError("its arrays lie in other files")
    row_bytes = width * dtype.itemsize
    stride = view.byteStride or row_bytes
    start = (view.byteOffset or 0) + offset
    raw = np.frombuffer(blob, np.uint8, count=stride * (count - 1) + row_bytes, offset=start)
    rows = np.lib.stride_tricks.as_strided(raw, (count, row_bytes), (stride, 1), writeable=False)
    return np.ascontiguousarray(rows).view(dtype).reshape(count, width)
