"""Plain renders of a textured track: turntables and fixed views, without light, as the texture has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lim_cli.core.camera import Cameras
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.rasterize import interpolate, rasterize


def render_preview(
    textured: TexturedTrack,
    cameras: Cameras,
    size: tuple[int, int],
    background: tuple[int, int, int] = (255, 255, 255),
    *,
    frames: Sequence[int] | None = None,
    supersample: int = 2,
) -> np.ndarray:
    """All frames at once [frame, height, width, 3] uint8 sRGB; see `iterate_preview`."""
    shots = iterate_preview(textured, cameras, size, background, frames=frames, supersample=supersample)
    return np.stack(list(shots))


def iterate_preview(
    textured: TexturedTrack,
    cameras: Cameras,
    size: tuple[int, int],
    background: tuple[int, int, int] = (255, 255, 255),
    *,
    frames: Sequence[int] | None = None,
    supersample: int = 2,
) -> Iterator[np.ndarray]:
    """Renders [height, width, 3] uint8 sRGB, one after another, so that any clip length fits.

    Args:
        cameras: one for all frames (a fixed view), or one per frame (a turntable).
        size: (height, width) of the frames; the cameras are scaled to it.
        frames: indices into the track's times, in order; all of them when left out.
        supersample: rays per pixel edge.
    """
    indices = range(len(textured.track.times)) if frames is None else frames
    if len(cameras) not in (1, len(indices)):
        raise ValueError(f"expected 1 camera or {len(indices)}, got {len(cameras)}")
    scaled = cameras.resized((size[0] * supersample, size[1] * supersample))
    for shot, frame in enumerate(indices):
        camera = scaled[min(shot, len(scaled) - 1)]
        pose, intrinsics = camera.world_from_camera.cpu().numpy(), camera.intrinsics.cpu().numpy()
        raster = rasterize(textured.track.vertices[frame], textured.track.faces, pose, intrinsics, scaled.size)
        uv = interpolate(raster, textured.track.faces, textured.uv)
        image = np.full((*scaled.size, 3), background, np.float32)
        image[raster.mask] = sample_texture(textured.texture, uv[raster.mask])
        pooled = image.reshape(size[0], supersample, size[1], supersample, 3).mean(axis=(1, 3))
        yield np.round(pooled).astype(np.uint8)


def sample_texture(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear lookup: texture [height, width, 3] at uv [N, 2], origin top left -> [N, 3], 0 to 255."""
    height, width = texture.shape[:2]
    x = np.clip(uv[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip(uv[:, 1] * height - 0.5, 0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    dx, dy = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    upper = texture[top, left] * (1 - dx) + texture[top, right] * dx
    lower = texture[bottom, left] * (1 - dx) + texture[bottom, right] * dx
    return np.asarray(upper * (1 - dy) + lower * dy, dtype=np.float32)
