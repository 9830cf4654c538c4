"""Meshes drawn as tables judge them: unlit, on nothing, antialiased, straight-alpha RGBA."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lim_cli.core.camera import Cameras
from lim_cli.export.preview import sample_texture
from lim_cli.geometry.mesh import Mesh, TexturedTrack
from lim_cli.geometry.rasterize import Raster, interpolate, rasterize

_SUPERSAMPLING = 2


def draw_coloured(mesh: Mesh, colours: np.ndarray, cameras: Cameras) -> np.ndarray:
    """A mesh with colours [vertex, 3] in [0, 1] from every camera: [view, h, w, 4] uint8."""
    return _drawn(mesh, cameras, lambda raster: interpolate(raster, mesh.faces, colours))


def draw_textured(textured: TexturedTrack, frame: int, cameras: Cameras) -> np.ndarray:
    """One frame of a textured track from every camera: [view, h, w, 4] uint8."""

    def painted(raster: Raster) -> np.ndarray:
        uv = interpolate(raster, textured.track.faces, textured.uv)
        rgb = np.zeros((*raster.mask.shape, 3), np.float32)
        rgb[raster.mask] = sample_texture(textured.texture, uv[raster.mask]) / 255
        return rgb

    return _drawn(textured.track.at(frame), cameras, painted)


def _drawn(mesh: Mesh, cameras: Cameras, paint: Callable[[Raster], np.ndarray]) -> np.ndarray:
    """paint: what a raster shows, [h, w, 3] in [0, 1], 0 where empty."""
    height, width = cameras.size
    fine = cameras.resized((height * _SUPERSAMPLING, width * _SUPERSAMPLING))
    pictures = []
    for pose, intrinsics in zip(fine.world_from_camera.numpy(), fine.intrinsics.numpy(), strict=True):
        raster = rasterize(mesh.vertices, mesh.faces, pose, intrinsics, fine.size)
        rgba = np.concatenate([paint(raster), raster.mask[..., None]], -1)  # 0 where empty, so premultiplied
        rgba = rgba.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING, 4).mean((1, 3))
        rgba[..., :3] /= np.maximum(rgba[..., 3:], 1e-6)
        pictures.append((rgba.clip(0, 1) * 255 + 0.5).astype(np.uint8))
    return np.stack(pictures)
