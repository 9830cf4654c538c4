"""Moves any mesh of an object by a tracked surface of the same object (past the paper).

The mesh lies aligned with the track at a base time. Its control nodes follow the rigid frames of the surface they are
bound to; an as-rigid-as-possible fit on the mesh itself settles where these disagree or say nothing, so that parts
joined in the mesh stay joined. The other vertices are carried by the nodes near them along the surface (embedded
deformation, Sumner et al. 2007).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.control_graph import ControlGraph, control_graph
from lim_cli.geometry.mesh import TrackedMesh
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.surface_binding import bind
from lim_cli.geometry.surface_frames import surface_frames

# Radius of the surroundings that give a tracked vertex its frame, in parts of the object's size.
FRAME_RADIUS = 0.04
# How far along the mesh the as-rigid-as-possible fit evens out what the surface says, in parts of the object's size.
RIGID_LENGTH = 0.1
STIFFNESS_RANGE = (0.5, 30.0)
ITERATIONS = 6
# How much a speck's own match counts beside the part it hangs on.
SPECK_CONFIDENCE = 0.02
CARRIERS = 8


def drive(
    vertices: np.ndarray,
    faces: np.ndarray,
    track: TrackedMesh,
    base: int,
    *,
    most_nodes: int = 3000,
    each: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Where the mesh is at each time of the track: [time, vertex, 3] float64; at `base` it is as given.

    Args:
        vertices: [vertex, 3], the track's world frame, posed as the track at `base`. faces: [face, 3].
        most_nodes: how many control nodes at most, or a few more.
        each: called after each time.
    """
    vertices = vertices.astype(np.float64)
    size = max(float(np.ptp(track.vertices[base], axis=0).max()), 1e-12)
    graph = control_graph(vertices, faces, most_nodes=most_nodes)
    frames = surface_frames(track.vertices, track.faces, base, FRAME_RADIUS * size)
    rest = track.vertices[base].astype(np.float64)
    normals = vertex_normals(rest, track.faces).astype(np.float64)
    binding = bind(graph, frames, rest, normals)
    wanted = frames.move(binding.label, graph.positions)  # [time, node, 3]

    solver = ArapSolver(graph.positions, graph.faces)
    confidence = np.where(graph.is_speck, SPECK_CONFIDENCE, 1.0) * binding.confidence
    stiffness = _stiffness(graph, RIGID_LENGTH * size)
    nodes = np.empty(wanted.shape)
    nodes[base] = graph.positions
    for time, before in _outwards(base, len(wanted)):
        nodes[time] = solver.fit(nodes[before], wanted[time], confidence, stiffness=stiffness, iterations=ITERATIONS)
        each()
    return _carry(vertices, graph, nodes, base)


def _stiffness(graph: ControlGraph, length: float) -> float:
    """The stiffness that reaches `length` far: the fit's screened Laplacian decays over sqrt(2 stiffness) edges."""
    edges = graph.edges()
    if not len(edges):
        return STIFFNESS_RANGE[0]
    edge = np.median(np.linalg.norm(graph.positions[edges[:, 0]] - graph.positions[edges[:, 1]], axis=1))
    return float(np.clip(0.5 * (length / max(float(edge), 1e-12)) ** 2, *STIFFNESS_RANGE))


def _outwards(base: int, count: int) -> list[tuple[int, int]]:
    """(time, the time before it on the way from base) for all but base."""
    return [(t, t - 1) for t in range(base + 1, count)] + [(t, t + 1) for t in range(base - 1, -1, -1)]


def _carry(vertices: np.ndarray, graph: ControlGraph, nodes: np.ndarray, base: int) -> np.ndarray:
    """All vertices from the nodes [time, node, 3]: [time, vertex, 3]."""
    if graph.is_whole:
        result = nodes[:, graph.node_of] + (vertices - graph.positions[graph.node_of])
    else:
        carriers, weights = _carriers(vertices, graph)
        frames = surface_frames(nodes, graph.faces, base, 0.0)
        result = np.zeros((len(nodes), *vertices.shape))
        for slot in range(carriers.shape[1]):
            node = carriers[:, slot]
            offset = vertices - graph.positions[node]
            for time in range(len(nodes)):
                moved = np.einsum("vab,vb->va", frames.rotations[time, node], offset) + nodes[time, node]
                result[time] += weights[:, slot, None] * moved
    result[base] = vertices
    return np.asarray(result)


def _carriers(vertices: np.ndarray, graph: ControlGraph) -> tuple[np.ndarray, np.ndarray]:
    """Each vertex's own node and that node's nearest neighbours on the graph: [vertex, K], weights [vertex, K]."""
    count = len(graph.positions)
    edges = graph.edges()
    length = np.linalg.norm(graph.positions[edges[:, 0]] - graph.positions[edges[:, 1]], axis=1)
    order = np.lexsort((length, edges[:, 0]))
    rank = np.arange(len(order)) - np.searchsorted(edges[order, 0], edges[order, 0])
    around = np.repeat(np.arange(count)[:, None], CARRIERS, axis=1)  # a node without neighbours carries alone
    kept = rank < CARRIERS - 1
    around[edges[order[kept], 0], rank[kept] + 1] = edges[order[kept], 1]
    carriers = around[graph.node_of]
    distance = np.linalg.norm(vertices[:, None] - graph.positions[carriers], axis=2)
    reach = 1.001 * distance.max(axis=1, keepdims=True) + 1e-12
    weights = np.square(1.0 - distance / reach)
    return carriers, weights / weights.sum(axis=1, keepdims=True)
