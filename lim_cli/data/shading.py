"""Colour of surface points: textures, interpolated normals, Lambert and Blinn-Phong under one light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.data.animated_object import Light
from lim_cli.data.gltf_animation import Paint


@dataclass(frozen=True)
class Recolouring:
    """A change of a rig's base colours: albedo' = clip(gain[material] * (matrix @ albedo)).

    matrix [3, 3], gain [material, 3].
    """

    matrix: np.ndarray
    gain: np.ndarray


class Painter:
    """Looks up base colours; textures lie end to end in a single array, so that one gather reads them all."""

    def __init__(self, paint: Paint, recolouring: Recolouring | None = None) -> None:
        self._paint, self._recolouring = paint, recolouring
        sizes = np.array([t.shape[:2] for t in paint.textures], np.int64).reshape(-1, 2)
        self._sizes = sizes
        self._starts = np.concatenate([[0], np.cumsum(sizes.prod(1))])[:-1].astype(np.int64)
        flat = [t.reshape(-1, 3) for t in paint.textures]
        self._texels = np.concatenate(flat) if flat else np.zeros((0, 3), np.uint8)

    def albedo(self, faces: np.ndarray, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
        """Base colour [N, 3] of points given by face [N] and bary [N, 3]; `faces` [F, 3] as in the rig."""
        paint = self._paint
        material = paint.face_material[face]
        colour = paint.material_colour[material]
        if len(paint.vertex_colour):
            colour = colour * np.einsum("nk,nkc->nc", bary, paint.vertex_colour[faces[face]])
        if paint.textures:
            texture = paint.material_texture[material]
            with_texture = np.flatnonzero(texture >= 0)
            chosen = face[with_texture]
            uv = np.einsum("nk,nkc->nc", bary[with_texture], paint.uv[faces[chosen]])
            colour = colour.copy()
            colour[with_texture] *= self._bilinear(texture[with_texture], uv)
        if self._recolouring is not None:
            colour = np.clip(self._recolouring.gain[material] * (colour @ self._recolouring.matrix.T), 0, 1)
        result: np.ndarray = colour.astype(np.float32)
        return result

    def _bilinear(self, texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """Colours [N, 3] at uv [N, 2] of the textures [N]; texel centres at +0.5."""
        height, width = self._sizes[texture].T
        start, wrap = self._starts[texture], self._paint.texture_wrap[texture]
        x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
        left, top = np.floor(x), np.floor(y)
        right_part, bottom_part = (x - left)[:, None], (y - top)[:, None]
        columns = [_wrapped(left + k, width, wrap[:, 0]) for k in (0, 1)]
        rows = [start + _wrapped(top + k, height, wrap[:, 1]) * width for k in (0, 1)]
        upper = (1 - right_part) * self._texels[rows[0] + columns[0]] + right_part * self._texels[rows[0] + columns[1]]
        lower = (1 - right_part) * self._texels[rows[1] + columns[0]] + right_part * self._texels[rows[1] + columns[1]]
        result: np.ndarray = ((1 - bottom_part) * upper + bottom_part * lower) / 255
        return result


def shade(albedo: np.ndarray, normal: np.ndarray, to_eye: np.ndarray | None, light: Light) -> np.ndarray:
    """Lit colour [N, 3] in [0, 1]: Lambert and, where `to_eye` [N, 3] is given, a Blinn-Phong highlight."""
    facing = np.maximum(normal @ np.asarray(light.direction, np.float32), 0)[:, None]
    lit = albedo * (np.asarray(light.ambient, np.float32) + np.asarray(light.colour, np.float32) * facing)
    if to_eye is not None and light.specular > 0:
        half = to_eye + np.asarray(light.direction, np.float32)
        half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-6)
        highlight = light.specular * np.maximum((normal * half).sum(1), 0) ** light.gloss
        lit = lit + np.where(facing > 0, highlight[:, None], 0) * np.asarray(light.colour, np.float32)
    clipped: np.ndarray = np.clip(lit, 0, 1).astype(np.float32)
    return clipped


def vertex_normals(vertices: np.ndarray, faces: np.ndarray, smoothing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals of vertices [V, 3], area-weighted over their smoothing group, and of faces [F, 3]."""
    corners = vertices[faces]
    face_normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    group = smoothing[faces].reshape(-1)
    count = int(smoothing.max()) + 1
    weights = np.repeat(face_normal, 3, 0)
    summed = np.stack([np.bincount(group, weights[:, axis], count) for axis in range(3)], -1)
    return _unit(summed)[smoothing], _unit(face_normal)


def _wrapped(index: np.ndarray, size: np.ndarray, wrap: np.ndarray) -> np.ndarray:
    """Texel numbers for repeat (0), clamp (1) and mirror (2)."""
    index = index.astype(np.int64)
    result: np.ndarray = np.where(wrap == 1, np.clip(index, 0, size - 1), index % size)
    if (wrap == 2).any():
        folded = index % (2 * size)
        result = np.where(wrap == 2, np.where(folded < size, folded, 2 * size - 1 - folded), result)
    return result


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: np.ndarray = (vectors / np.maximum(length, 1e-20)).astype(np.float32)
    return unit
