"""A few control nodes on any mesh, joined as its surface is: small enough to solve for, however fine the mesh.

Nodes are vertices of the mesh; every other vertex belongs to the node nearest along the surface (a geodesic Voronoi
diagram), and the faces that meet three cells make the nodes' own mesh. Small parts that touch nothing (eyes, buttons)
are tied to what they are nearest to by extra faces, so that they travel with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from lim_cli.geometry.normals import vertex_normals

# Vertices this near (parts of the mesh's size) are one point of the surface.
WELD = 1e-6
# Parts further apart than this share of the mesh's size are not tied.
LONGEST_TIE = 0.1
# Longer parts than this share find their own way, such as two legs side by side.
LARGEST_TIED = 0.35
# Smaller ones, such as eyes, know nothing that what they sit on does not know better.
SPECK = 0.1
TIES = 12


@dataclass(frozen=True)
class ControlGraph:
    """positions [node, 3] and unit normals [node, 3] float64, world frame.

    faces: [face, 3] int32 over nodes, ties included. node_of: [vertex] the node each vertex of the mesh belongs to.
    is_speck: [node] bool, of a part so small that it only hangs on another.
    is_whole: every welded vertex is a node itself.
    """

    positions: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    node_of: np.ndarray
    is_speck: np.ndarray
    is_whole: bool

    def edges(self) -> np.ndarray:
        """[edge, 2] int64, both directions, each once."""
        pairs = np.concatenate([self.faces[:, [i, j]] for i in range(3) for j in range(3) if i != j])
        return np.unique(pairs.astype(np.int64), axis=0)


def control_graph(vertices: np.ndarray, faces: np.ndarray, *, most_nodes: int = 3000) -> ControlGraph:
    """Nodes for a mesh of vertices [vertex, 3] and faces [face, 3]; `most_nodes` or a few more."""
    size = max(float(np.ptp(vertices, axis=0).max()), 1e-12)
    _, first, group = np.unique(np.round(vertices / (WELD * size)), axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    points, welded = vertices[first].astype(np.float64), group[faces]
    welded = welded[(welded[:, 0] != welded[:, 1]) & (welded[:, 1] != welded[:, 2]) & (welded[:, 2] != welded[:, 0])]
    normals = vertex_normals(points, welded).astype(np.float64)
    lengths = _edge_lengths(points, welded)
    _, part = connected_components(lengths, directed=False)
    drawn = np.zeros(len(points), bool)
    drawn[welded.ravel()] = True
    nodes = _choose(points, normals, part, np.flatnonzero(drawn), size, most_nodes)
    owner = np.full(len(points), -1)
    if len(nodes) < int(drawn.sum()):
        _, _, source = dijkstra(lengths, directed=False, indices=nodes, min_only=True, return_predecessors=True)
        number = np.full(len(points) + 1, -1)
        number[nodes] = np.arange(len(nodes))
        reached = drawn & (source >= 0)
        owner[reached] = number[source[reached]]
    else:
        owner[nodes] = np.arange(len(nodes))
    lone = owner < 0  # no face draws them, or their part has no node
    if lone.any():
        owner[lone] = cKDTree(points[nodes]).query(points[lone])[1]
    cells = np.sort(owner[welded], axis=1)
    distinct = (cells[:, 0] != cells[:, 1]) & (cells[:, 1] != cells[:, 2])
    own = np.unique(cells[distinct], axis=0)
    ties, specks = _ties(points[nodes], own, size)
    return ControlGraph(
        positions=points[nodes],
        normals=normals[nodes],
        faces=np.concatenate([own, ties]).astype(np.int32),
        node_of=owner[group],
        is_speck=specks,
        is_whole=len(nodes) == int(drawn.sum()),
    )


def _edge_lengths(points: np.ndarray, faces: np.ndarray) -> sparse.csr_matrix:
    pairs = np.unique(np.sort(np.concatenate([faces[:, [i, i - 1]] for i in range(3)]), axis=1), axis=0)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return sparse.csr_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))


def _choose(
    points: np.ndarray, normals: np.ndarray, part: np.ndarray, drawn: np.ndarray, size: float, most: int
) -> np.ndarray:
    """One vertex for each cell of space, part of the mesh and side it faces; cells grow until that is few enough."""
    if len(drawn) <= most:
        return drawn
    axis = np.abs(normals[drawn]).argmax(axis=1)
    apart = part[drawn] if int(part[drawn].max()) < most // 4 else np.zeros(len(drawn))  # leaves, hair: too many parts
    side = 2 * axis + (np.take_along_axis(normals[drawn], axis[:, None], 1)[:, 0] > 0)
    cell, nodes = size / 200, drawn
    while len(nodes) > most and cell < size:
        grid = np.floor(points[drawn] / cell)
        keys = np.concatenate([grid, apart[:, None], side[:, None]], axis=1).astype(np.int64)
        _, chosen = np.unique(keys, axis=0, return_index=True)
        nodes, cell = np.sort(drawn[chosen]), cell * 1.15
    return nodes


def _ties(points: np.ndarray, faces: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Faces [tie, 3] that join each small part to what is nearest to it, and which nodes [node] are specks."""
    count = len(points)
    specks = np.zeros(count, bool)
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]]) if len(faces) else np.zeros((0, 2), np.int64)
    joined = sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    parts, part = connected_components(joined, directed=False)
    if parts == 1:
        return np.zeros((0, 3), np.int64), specks
    ties: list[tuple[int, int, int]] = []
    largest = int(np.bincount(part).argmax())
    tree, near = cKDTree(points), min(64, count)
    spacing = float(np.median(np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1))) if len(pairs) else 0.0
    for number in range(parts):
        mine = np.flatnonzero(part == number)
        extent = float(np.ptp(points[mine], axis=0).max())
        if number == largest or extent > LARGEST_TIED * size:
            continue
        distance, other = tree.query(points[mine], k=near)
        distance = np.where(part[other] == number, np.inf, distance)
        if not np.isfinite(distance).any():  # a part of more vertices than were asked for
            outside = np.flatnonzero(part != number)
            found, index = cKDTree(points[outside]).query(points[mine], k=min(3, len(outside)))
            distance, other = found.reshape(len(mine), -1), outside[index].reshape(len(mine), -1)
        least = float(distance.min())
        if least > LONGEST_TIE * size + spacing:
            continue
        specks[mine] = extent <= SPECK * size
        best = np.argsort(distance.min(axis=1))[:TIES]
        best = best[distance[best].min(axis=1) <= 1.5 * least + 0.01 * size]
        for row in best:
            ends = other[row][np.argsort(distance[row])][: np.isfinite(distance[row]).sum()][:3]
            ties += [(int(mine[row]), int(ends[i]), int(ends[(i + 1) % len(ends)])) for i in range(len(ends))]
    if specks.mean() > 0.5:  # there is nothing but specks
        specks[:] = False
    return np.asarray([tie for tie in ties if len(set(tie)) == 3], np.int64).reshape(-1, 3), specks
