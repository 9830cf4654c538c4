"""A track as a folder of binary PLY files, one per frame, coloured at the vertices from the texture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from lim_cli.core.errors import NumericalError
from lim_cli.export.obj_sequence import TEXTURE, frame_name
from lim_cli.export.preview import sample_texture
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.normals import vertex_normals, weld_by_position


def write_ply_sequence(folder: Path, textured: TexturedTrack) -> None:
    """Fills an existing folder with mesh_0000.ply ... and texture.png.

    All files have the same vertices in the same order and the same faces. A vertex carries its normal, its colour
    and its UV (properties s and t, origin bottom left, as MeshLab and Blender read them).

    Raises:
        NumericalError: a vertex is NaN or infinite.
    """
    track = textured.track
    if not np.isfinite(track.vertices).all():
        raise NumericalError("The tracked mesh holds NaN or infinite vertices and cannot be exported.")
    Image.fromarray(textured.texture).save(folder / TEXTURE)
    colours = np.round(sample_texture(textured.texture, textured.uv)).astype(np.uint8)
    opaque = np.full((len(colours), 1), 255, np.uint8)
    welded = weld_by_position(track.vertices[0])
    for index, vertices in enumerate(track.vertices):
        mesh = trimesh.Trimesh(
            vertices,
            track.faces,
            vertex_normals=vertex_normals(vertices, track.faces, welded),
            vertex_colors=np.concatenate([colours, opaque], axis=1),
            vertex_attributes={"s": textured.uv[:, 0], "t": 1 - textured.uv[:, 1]},
            process=False,
        )
        data = trimesh.exchange.ply.export_ply(mesh, encoding="binary", vertex_normal=True, include_attributes=True)
        (folder / frame_name(index, "ply")).write_bytes(data)
