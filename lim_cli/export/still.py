"""One still mesh with colours at its vertices, as .ply or .obj."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from lim_cli.core.errors import OutputError
from lim_cli.core.files import atomic_path
from lim_cli.geometry.mesh import Mesh


def write_still(path: Path, mesh: Mesh, colours: np.ndarray | None = None) -> None:
    """colours: [vertex, 3] in [0, 1].

    Raises:
        OutputError: the suffix is neither .ply nor .obj, or the file cannot be written.
    """
    if path.suffix.lower() not in (".ply", ".obj"):
        raise OutputError(f"Cannot write a mesh as '{path.name}'; use a name ending in .ply or .obj.")
    rgba = None
    if colours is not None:
        opaque = np.ones((len(colours), 1))
        rgba = (np.concatenate([colours, opaque], 1) * 255 + 0.5).clip(0, 255).astype(np.uint8)
    work = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=rgba, process=False)
    with atomic_path(path) as partial:
        work.export(partial)
