"""A z-buffer rasterizer on the CPU: which face is at each pixel, where on it, and how deep.

Cameras have OpenCV axes; pixel centres are at +0.5. Faces are drawn from both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.core.cached_njit import cached_njit

NEAR = 1e-4


@dataclass(frozen=True)
class Raster:
    """What each pixel sees.

    face_index: [height, width] int32, -1 where nothing is.
    barycentric: [height, width, 3] float32, perspective-correct; 0 where nothing is.
    depth: [height, width] float32 camera z; infinity where nothing is.
    """

    face_index: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """[height, width] bool: something is there."""
        return self.face_index >= 0


def rasterize(
    vertices: np.ndarray,
    faces: np.ndarray,
    world_from_camera: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
) -> Raster:
    """Draws a mesh into one camera.

    Args:
        vertices: [vertex, 3], world frame.
        faces: [face, 3] int32. A face that reaches behind the camera is left out.
        world_from_camera: [4, 4], OpenCV axes.
        intrinsics: [4]: fx, fy, cx, cy in pixels.
        size: (height, width).
    """
    local = camera_points(vertices, world_from_camera)
    depth = local[:, 2]
    inverse = np.where(depth > NEAR, 1.0 / np.maximum(depth, NEAR), 0.0)
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    pixels = np.stack([local[:, 0] * inverse * fx + cx, local[:, 1] * inverse * fy + cy], axis=1)
    return _rasterize(pixels, inverse, faces, size)


def rasterize_uv(uv: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> Raster:
    """Draws an atlas: uv [vertex, 2] in [0, 1], origin top left, into (height, width) texels; depth is 1."""
    pixels = uv.astype(np.float64) * np.array([size[1], size[0]])
    return _rasterize(pixels, np.ones(len(uv)), faces, size)


def camera_points(vertices: np.ndarray, world_from_camera: np.ndarray) -> np.ndarray:
    """World points [vertex, 3] -> camera points [vertex, 3] float64, OpenCV axes."""
    pose = np.asarray(world_from_camera, dtype=np.float64)
    return (np.asarray(vertices, dtype=np.float64) - pose[:3, 3]) @ pose[:3, :3]


def interpolate(raster: Raster, faces: np.ndarray, attribute: np.ndarray) -> np.ndarray:
    """Vertex attribute [vertex, channel] at every pixel [height, width, channel] float32; 0 where empty."""
    result = np.zeros((*raster.face_index.shape, attribute.shape[1]), np.float32)
    mask = raster.mask
    corners = attribute[faces[raster.face_index[mask]]]  # [pixel, 3, channel]
    result[mask] = np.einsum("pk,pkc->pc", raster.barycentric[mask], corners)
    return result


def _rasterize(pixels: np.ndarray, inverse: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> Raster:
    height, width = size
    face_index = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    nearest = np.zeros((height, width), np.float64)  # of inverse depth; 0 is infinitely far
    _fill(
        np.ascontiguousarray(pixels, dtype=np.float64),
        np.ascontiguousarray(inverse, dtype=np.float64),
        np.ascontiguousarray(faces, dtype=np.int32),
        face_index,
        barycentric,
        nearest,
    )
    with np.errstate(divide="ignore"):
        depth = (1.0 / nearest).astype(np.float32)
    return Raster(face_index, barycentric, depth)


@cached_njit()
def _fill(
    pixels: np.ndarray,
    inverse: np.ndarray,
    faces: np.ndarray,
    face_index: np.ndarray,
    barycentric: np.ndarray,
    nearest: np.ndarray,
) -> None:
    """Edge functions over each face's bounding box; inverse depth is linear in the image."""
    height, width = face_index.shape
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        if inverse[i] <= 0.0 or inverse[j] <= 0.0 or inverse[k] <= 0.0:
            continue
        ax, ay = pixels[i, 0], pixels[i, 1]
        bx, by = pixels[j, 0], pixels[j, 1]
        cx, cy = pixels[k, 0], pixels[k, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not abs(area) >= 1e-12:  # NaN is left out too
            continue
        # A pixel belongs when its centre, at index + 0.5, is inside.
        left = int(max(0.0, np.ceil(min(ax, bx, cx) - 0.5)))
        right = int(min(width - 1.0, np.floor(max(ax, bx, cx) - 0.5)))
        top = int(max(0.0, np.ceil(min(ay, by, cy) - 0.5)))
        bottom = int(min(height - 1.0, np.floor(max(ay, by, cy) - 0.5)))
        scale = 1.0 / area
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * scale
                v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * scale
                w = 1.0 - u - v
                if u < -1e-9 or v < -1e-9 or w < -1e-9:
                    continue
                u, v, w = u * inverse[i], v * inverse[j], w * inverse[k]
                total = u + v + w
                if total > nearest[row, column]:
                    nearest[row, column] = total
                    face_index[row, column] = face
                    barycentric[row, column, 0] = u / total
                    barycentric[row, column, 1] = v / total
                    barycentric[row, column, 2] = w / total
