"""How vertices are stored in a GLB: as floats, or as the integers of KHR_mesh_quantization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pygltflib as gl

from lim_cli.export.gltf_buffer import BufferBuilder, as_indices
from lim_cli.geometry.triangle_strip import triangle_strip


@dataclass(frozen=True)
class Frame:
    """Where stored positions are in the world: world = centre + scale stored."""

    centre: tuple[float, float, float]
    scale: float
    quantized: bool

    @staticmethod
    def world() -> Frame:
        return Frame((0.0, 0.0, 0.0), 1.0, False)

    @staticmethod
    def around(vertices: np.ndarray, *, quantized: bool) -> Frame:
        """Centred on vertices [..., 3]. Quantised, the stored box is [-0.5, 0.5]^3, so that any delta fits [-1, 1]."""
        points = vertices.reshape(-1, 3)
        low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
        x, y, z = (float(value) for value in (low + high) / 2)
        # a hair more than the box: its ends lie at +-16383, and not at 16383.5, which is rounded away from zero
        scale = max(float((high - low).max()), 1e-9) * 32767 / 32766
        return Frame((x, y, z), scale if quantized else 1.0, quantized)

    def pack(self, vertices: np.ndarray) -> np.ndarray:
        """World positions [vertex, 3] as they are stored: float32, or int16 in steps of scale / 32767."""
        if self == Frame.world():
            return np.asarray(vertices, dtype=np.float32)
        unit = (vertices.astype(np.float64) - np.asarray(self.centre)) / self.scale
        return np.asarray(np.round(unit * 32767), np.int16) if self.quantized else np.asarray(unit, np.float32)

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        """World positions [vertex, 3] float64 of packed ones."""
        unit = stored / 32767.0 if self.quantized else stored.astype(np.float64)
        return np.asarray(np.asarray(self.centre) + self.scale * unit)


def base_attributes(buffer: BufferBuilder, positions: np.ndarray, normals: np.ndarray, frame: Frame) -> dict[str, int]:
    """Accessors of POSITION (packed already) and NORMAL."""
    packed = frame.quantized
    normal = to_bytes(normals) if packed else normals
    return {
        "POSITION": buffer.add_array(positions, target=gl.ARRAY_BUFFER, normalized=packed),
        "NORMAL": buffer.add_array(normal, target=gl.ARRAY_BUFFER, normalized=packed),
    }


def texture_coordinates(buffer: BufferBuilder, uv: np.ndarray, frame: Frame) -> int:
    """The accessor of TEXCOORD_0 [vertex, 2]."""
    values = np.round(uv * 65535).astype(np.uint16) if frame.quantized else uv.astype(np.float32)
    return buffer.add_array(values, target=gl.ARRAY_BUFFER, normalized=frame.quantized)


def face_indices(buffer: BufferBuilder, faces: np.ndarray, vertices: int) -> int:
    """The accessor of faces [face, 3]."""
    return _indices(buffer, faces.ravel(), vertices)


def strip_indices(buffer: BufferBuilder, faces: np.ndarray, vertices: int) -> int:
    """The accessor of faces [face, 3] as one triangle strip."""
    return _indices(buffer, triangle_strip(faces), vertices)


def _indices(buffer: BufferBuilder, corners: np.ndarray, vertices: int) -> int:
    return buffer.add_array(as_indices(corners, vertices), target=gl.ELEMENT_ARRAY_BUFFER)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Values in [-1, 1] as normalized int8."""
    return np.asarray(np.round(np.clip(values, -1.0, 1.0) * 127), dtype=np.int8)
