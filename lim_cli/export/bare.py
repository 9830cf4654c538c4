"""Renders of the bare surface: flat, lit from the camera's upper left, with its edges if asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lim_cli.core.camera import Cameras
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.geometry.normals import face_normals
from lim_cli.geometry.rasterize import rasterize

AMBIENT = 0.2
LIGHT_CAMERA = np.array([-0.6, -0.8, -1.0])
"""Towards the light, OpenCV axes."""
INSIDE = (220, 60, 60)
EDGE = (40, 70, 130)


def iterate_bare(
    track: TrackedMesh,
    camera: Cameras,
    size: tuple[int, int],
    *,
    frames: Sequence[int] | None = None,
    edges: bool = False,
    supersample: int = 2,
) -> Iterator[np.ndarray]:
    """Pictures [height, width, 3] uint8 on white of frames (all when left out), from the first of `camera`."""
    for frame in range(len(track.times)) if frames is None else frames:
        yield render_bare(track.at(frame), camera, size, edges=edges, supersample=supersample)


def render_bare(
    mesh: Mesh, camera: Cameras, size: tuple[int, int], *, edges: bool = False, supersample: int = 2
) -> np.ndarray:
    """Lambert's cosine of each face's own normal; a face seen from behind is red. [height, width, 3] uint8.

    edges: draws the borders of the faces, `1 / supersample` pixels wide.
    """
    scaled = camera.resized((size[0] * supersample, size[1] * supersample))
    pose, intrinsics = scaled.world_from_camera[0].cpu().numpy(), scaled.intrinsics[0].cpu().numpy()
    raster = rasterize(mesh.vertices, mesh.faces, pose, intrinsics, scaled.size)
    normals = face_normals(mesh.vertices.astype(np.float64), mesh.faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    light = pose[:3, :3] @ (LIGHT_CAMERA / np.linalg.norm(LIGHT_CAMERA))
    grey = 255 * (AMBIENT + (1 - AMBIENT) * np.clip(normals @ light, 0, 1)) * 0.9
    colours = np.repeat(grey[:, None], 3, axis=1)
    centres = mesh.vertices[mesh.faces].astype(np.float64).mean(axis=1)
    colours[np.einsum("fk,fk->f", normals, centres - pose[:3, 3]) > 0] = INSIDE
    image = np.full((*scaled.size, 3), 255.0)
    image[raster.mask] = colours[raster.face_index[raster.mask]]
    if edges:
        number = raster.face_index
        border = np.zeros(number.shape, bool)
        border[:, 1:] |= number[:, 1:] != number[:, :-1]
        border[1:] |= number[1:] != number[:-1]
        image[border] = EDGE
    pooled = image.reshape(size[0], supersample, size[1], supersample, 3).mean(axis=(1, 3))
    return np.asarray(pooled.round(), np.uint8)
