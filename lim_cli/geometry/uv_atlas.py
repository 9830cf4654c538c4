"""One UV atlas for a mesh, by xatlas."""

from __future__ import annotations

import numpy as np
import xatlas

from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import face_normals

# Share of the square texture that charts usually fill once packed.
_EXPECTED_FILL = 0.55


def unwrap(
    mesh: Mesh, texture_size: int, *, padding: int = 4, max_cost: float = 8.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts the surface into charts and packs them into one square.

    Args:
        mesh: any triangle mesh.
        texture_size: edge of the square texture, texels; charts lie about `padding` texels apart.
        max_cost: xatlas' chart growing limit; larger gives fewer, larger charts with more distortion.

    Returns:
        vertex_map [vertex'] int32: the mesh vertex each split vertex copies; faces [face, 3] int32
        into the split vertices, in the mesh's face order; uv [vertex', 2] float32 in [0, 1], origin top left.
    """
    if len(mesh.faces) == 0:
        raise ValueError("expected a mesh with at least one face to unwrap")
    charts = xatlas.ChartOptions()
    charts.max_cost = max_cost
    charts.max_iterations = 1
    pack = xatlas.PackOptions()
    pack.padding = padding
    pack.bilinear = True
    # With a fixed resolution xatlas may open a second page, whose UVs would overlap the first. With a fixed
    # density it grows one page instead, which is scaled to the square below.
    area = 0.5 * float(np.linalg.norm(face_normals(mesh.vertices, mesh.faces), axis=1).sum())
    pack.texels_per_unit = texture_size * float(np.sqrt(_EXPECTED_FILL / max(area, 1e-12)))
    atlas = xatlas.Atlas()
    atlas.add_mesh(
        np.ascontiguousarray(mesh.vertices, np.float32),
        np.ascontiguousarray(mesh.faces, np.uint32),
    )
    atlas.generate(chart_options=charts, pack_options=pack)
    vertex_map, faces, uv = atlas[0]
    page = np.array([atlas.width, atlas.height], np.float32)
    square = (uv * (page / page.max())).astype(np.float32)
    return vertex_map.astype(np.int32), faces.astype(np.int32), np.clip(square, 0.0, 1.0)
