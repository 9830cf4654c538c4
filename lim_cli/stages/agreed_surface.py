"""A triplane's surface as the tracer uses it: cut at the mattes, as points, with its own colours."""

from __future__ import annotations

import numpy as np
import torch

from lim_cli.geometry.inflation import Balls
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.silhouettes import Silhouette
from lim_cli.geometry.surface_pull import ColouredSurface
from lim_cli.stages.networks import Networks
from lim_cli.stages.surface import FieldQuery, Lattice, NoObjectError, box_around


def coloured_surface(
    networks: Networks,
    triplane: torch.Tensor,
    vertices: np.ndarray,
    silhouettes: list[list[Silhouette]],
    *,
    level: float,
    resolution: int,
    most: int,
) -> ColouredSurface | None:
    """A keyframe's own surface and colours; None where its triplane holds nothing near the mesh."""
    found = surface_near(
        networks, triplane, vertices, silhouettes, margin=0.3, level=level, resolution=resolution, most=most
    )
    if found is None:
        return None
    positions, normals = found
    return ColouredSurface(positions, normals, FieldQuery(networks.lrm.field, triplane).values(positions))


def surface_near(
    networks: Networks,
    triplane: torch.Tensor,
    vertices: np.ndarray,
    silhouettes: list[list[Silhouette]],
    *,
    margin: float,
    level: float,
    resolution: int,
    most: int,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Points and normals [sample, 3] of the surface within `margin` of the vertices' box, `most` at most."""
    lattice = Lattice.of(networks.lrm.field, triplane, resolution=resolution, bounds=box_around(vertices, margin))
    mesh = agreed_surface(lattice, silhouettes, level)
    if mesh is None:
        return None
    normals = vertex_normals(mesh.vertices, mesh.faces)
    keep = np.arange(len(mesh.vertices))
    if len(keep) > most:
        keep = np.linspace(0, len(keep) - 1, most).astype(np.int64)
    return mesh.vertices[keep], normals[keep]


def agreed_surface(
    lattice: Lattice,
    silhouettes: list[list[Silhouette]],
    level: float,
    *,
    added: Balls | None = None,
    min_fraction: float = 0.02,
) -> Mesh | None:
    """The surface cut at all silhouettes; at fewer of them, the least trusted (last) first, if nothing is left."""
    for count in range(len(silhouettes), -1, -1):
        trusted = [s for group in silhouettes[:count] for s in group]
        try:
            return lattice.surface(level, silhouettes=trusted, added=added, min_fraction=min_fraction)
        except NoObjectError:
            continue
    return None
