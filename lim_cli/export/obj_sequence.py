"""A track as a folder of Wavefront OBJ files, one per frame, with one material and one texture for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lim_cli.core.errors import NumericalError
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.normals import vertex_normals, weld_by_position

MATERIAL = "material.mtl"
TEXTURE = "texture.png"


def frame_name(index: int, suffix: str) -> str:
    """`mesh_0000.obj` and so on."""
    return f"mesh_{index:04d}.{suffix}"


def write_obj_sequence(folder: Path, textured: TexturedTrack) -> None:
    """Fills an existing folder with mesh_0000.obj ..., material.mtl and texture.png.

    All files have the same vertices in the same order, the same faces and the same UVs (origin bottom left, as OBJ
    has it).

    Raises:
        NumericalError: a vertex is NaN or infinite.
    """
    track = textured.track
    if not np.isfinite(track.vertices).all():
        raise NumericalError("The tracked mesh holds NaN or infinite vertices and cannot be exported.")
    Image.fromarray(textured.texture).save(folder / TEXTURE)
    (folder / MATERIAL).write_text(f"newmtl surface\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {TEXTURE}\n")
    head = f"mtllib {MATERIAL}\nusemtl surface\n"
    texcoords = _rows("vt", np.stack([textured.uv[:, 0], 1 - textured.uv[:, 1]], axis=1))
    corners = np.repeat(track.faces + 1, 3, axis=1)
    faces = "".join("f {}/{}/{} {}/{}/{} {}/{}/{}\n".format(*row) for row in corners.tolist())
    welded = weld_by_position(track.vertices[0])
    for index, vertices in enumerate(track.vertices):
        normals = vertex_normals(vertices, track.faces, welded)
        text = head + _rows("v", vertices) + texcoords + _rows("vn", normals) + faces
        (folder / frame_name(index, "obj")).write_text(text)


def _rows(word: str, values: np.ndarray) -> str:
    line = word + " %.9g" * values.shape[1] + "\n"
    return "".join([line % tuple(row) for row in values.tolist()])
