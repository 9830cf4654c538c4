"""Models as users bring them: the bending bar in another tessellation, turned, scaled and in two materials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pygltflib as gl
from bending_bar import HALF_WIDTH, LENGTH, bar_mesh, bend, curvature_at
from shapes import rotation

from lim_cli.export.gltf_buffer import BufferBuilder
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.geometry.normals import vertex_normals


def with_pointer(bar: Mesh, steps: int) -> Mesh:
    """The straight bar with a block at one end, that bends as the bar does."""
    block = bar_mesh(steps, 3)
    scale = np.array([0.5, 0.2, 0.9])
    moved = block.vertices * scale + np.array([HALF_WIDTH + 0.05, 0.3 * LENGTH, 0.08])
    return Mesh(
        np.concatenate([bar.vertices, moved.astype(np.float32)]),
        np.concatenate([bar.faces, block.faces + len(bar.vertices)]),
    )


def tracked_bar(frames: int = 8) -> TrackedMesh:
    """A fine bar with its pointer, followed exactly; it bends, 0.1 s a frame."""
    straight, times = with_pointer(bar_mesh(31, 4), 7), 0.1 * np.arange(frames)
    return TrackedMesh(np.stack([bend(straight.vertices, curvature_at(t)) for t in times]), straight.faces, times)


@dataclass(frozen=True)
class BarModel:
    """straight: [vertex, 3] of all of the file's vertices in its order, in the track's world, before any bending.

    scale, turn, shift: from the track's world to the file's.
    """

    path: Path
    straight: np.ndarray
    scale: float
    turn: np.ndarray
    shift: np.ndarray

    def truth(self, curvature: float) -> np.ndarray:
        """Where the vertices are in the file's world."""
        return self.scale * bend(self.straight, curvature) @ self.turn.T + self.shift


def bar_model(
    path: Path,
    curvature: float,
    *,
    scale: float = 3.0,
    turn: np.ndarray | None = None,
    shift: tuple[float, float, float] = (5.0, 1.0, -2.0),
) -> BarModel:
    """Writes a GLB of the bar bent by `curvature`: two nodes (one below a turned, scaled parent), two materials, UVs,
    a texture, extras everywhere, and things this program knows nothing of."""
    turn = rotation(70) if turn is None else turn
    shift_xyz = np.asarray(shift)
    bar, whole = bar_mesh(25, 4), with_pointer(bar_mesh(25, 4), 5)
    posed = scale * bend(whole.vertices, curvature) @ turn.T + shift_xyz
    count = len(bar.vertices)
    parent_turn, parent_scale, parent_shift = rotation(90, (1, 0, 0)), 0.5, np.array([1.0, 2.0, 3.0])
    pointer = (posed[count:] - parent_shift) @ parent_turn / parent_scale
    parts = [(posed[:count], bar.faces), (pointer, whole.faces[len(bar.faces) :] - count)]
    buffer = BufferBuilder()
    meshes = []
    for number, (vertices, faces) in enumerate(parts):
        points = vertices.astype(np.float32)
        uv = (points[:, :2] - points[:, :2].min(0)) / np.ptp(points[:, :2], axis=0)
        attributes = gl.Attributes(
            POSITION=buffer.add_array(points, target=gl.ARRAY_BUFFER),
            NORMAL=buffer.add_array(vertex_normals(points, faces), target=gl.ARRAY_BUFFER),
            TEXCOORD_0=buffer.add_array(uv.astype(np.float32), target=gl.ARRAY_BUFFER),
        )
        halves = [faces[: len(faces) // 2], faces[len(faces) // 2 :]] if number == 0 else [faces]
        primitives = [
            gl.Primitive(
                attributes=attributes,
                indices=buffer.add_array(half.astype(np.uint16).ravel(), target=gl.ELEMENT_ARRAY_BUFFER),
                material=index,
                extras={"half": index},
            )
            for index, half in enumerate(halves)
        ]
        meshes.append(gl.Mesh(name=f"mesh{number}", primitives=primitives, extras={"author": "somebody"}))
    document = gl.GLTF2(
        asset=gl.Asset(version="2.0", generator="another program", copyright="somebody"),
        scene=0,
        scenes=[gl.Scene(nodes=[0, 1], extras={"shelf": 7})],
        nodes=[
            gl.Node(name="bar", mesh=0, extras={"price": 3}),
            gl.Node(
                name="holder", children=[2], translation=parent_shift.tolist(), scale=[parent_scale] * 3,
                rotation=[float(np.sqrt(0.5)), 0.0, 0.0, float(np.sqrt(0.5))],
            ),
            gl.Node(name="pointer", mesh=1),
        ],
        meshes=meshes,
        materials=[
            gl.Material(name="red", pbrMetallicRoughness=gl.PbrMetallicRoughness(baseColorFactor=[1, 0, 0, 1])),
            gl.Material(name="blue", extras={"mood": "blue"}),
        ],
    )  # fmt: skip
    document.accessors, document.bufferViews = buffer.accessors, buffer.views
    document.buffers = [gl.Buffer(byteLength=buffer.length)]
    document.set_binary_blob(buffer.blob())
    document.save_binary(str(path))
    return BarModel(path, whole.vertices, scale, turn, shift_xyz)
