"""Small .glb files of known motion: a cube of side 2 that a node, a bone or a morph target moves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
from PIL import Image

QUARTER_TURN = (0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5))  # 90 degrees about +Y
FACE_COLOURS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1))  # +x -x +y -y +z -z
_COMPONENTS = {"f4": 5126, "u1": 5121, "u2": 5123, "u4": 5125}


def cube() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """positions [24, 3], normals [24, 3], faces [12, 3]; four vertices a side, wound outwards."""
    positions, normals, faces = [], [], []
    for axis in range(3):
        for sign in (1.0, -1.0):
            normal, u = np.zeros(3), np.zeros(3)
            normal[axis], u[(axis + 1) % 3] = sign, 1
            v = np.cross(normal, u)
            first = len(positions)
            positions += [normal - u - v, normal + u - v, normal + u + v, normal - u + v]
            normals += [normal] * 4
            faces += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
    return np.array(positions, np.float32), np.array(normals, np.float32), np.array(faces, np.uint16)


def rotation_y(degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    return np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])


class GlbBuilder:
    """Collects arrays into one buffer; `gltf` is open to change until `save`."""

    def __init__(self) -> None:
        self.gltf = gl.GLTF2(asset=gl.Asset(version="2.0"), scenes=[gl.Scene(nodes=[])], scene=0)
        self._data = bytearray()

    def view(self, data: bytes) -> int:
        self._data += b"\0" * (-len(self._data) % 4)
        self.gltf.bufferViews.append(gl.BufferView(buffer=0, byteOffset=len(self._data), byteLength=len(data)))
        self._data += data
        return len(self.gltf.bufferViews) - 1

    def array(self, values: Any, dtype: str = "f4", *, normalized: bool = False) -> int:
        values = np.asarray(values, dtype)
        kind = "SCALAR" if values.ndim == 1 else "MAT4" if values.ndim == 3 else f"VEC{values.shape[1]}"
        self.gltf.accessors.append(
            gl.Accessor(
                bufferView=self.view(values.tobytes()),
                componentType=_COMPONENTS[dtype],
                count=len(values),
                type=kind,
                normalized=normalized,
            )
        )
        return len(self.gltf.accessors) - 1

    def sparse(self, count: int, where: list[int], values: Any) -> int:
        """A VEC3 accessor that is zero but for a few rows."""
        self.gltf.accessors.append(
            gl.Accessor(
                componentType=5126,
                count=count,
                type="VEC3",
                sparse=gl.Sparse(
                    count=len(where),
                    indices=gl.AccessorSparseIndices(
                        bufferView=self.view(np.array(where, "u2").tobytes()), componentType=5123
                    ),
                    values=gl.AccessorSparseValues(bufferView=self.view(np.array(values, "f4").tobytes())),
                ),
            )
        )
        return len(self.gltf.accessors) - 1

    def node(self, *, root: bool = True, **fields: Any) -> int:
        self.gltf.nodes.append(gl.Node(**fields))
        if root:
            self.gltf.scenes[0].nodes.append(len(self.gltf.nodes) - 1)
        return len(self.gltf.nodes) - 1

    def cube_mesh(self, *, coloured: bool = False, targets: list[int] | None = None, **attributes: int) -> int:
        """A mesh of one primitive, or of six with a material each."""
        positions, normals, faces = cube()
        shared = gl.Attributes(POSITION=self.array(positions), NORMAL=self.array(normals), **attributes)
        morphs = [{"POSITION": t} for t in targets or []]
        groups = faces.reshape(6, 6) if coloured else [faces.reshape(-1)]
        primitives = []
        for side, indices in enumerate(groups):
            material = None
            if coloured:
                material = len(self.gltf.materials)
                factor = [*map(float, FACE_COLOURS[side]), 1.0]
                self.gltf.materials.append(
                    gl.Material(pbrMetallicRoughness=gl.PbrMetallicRoughness(baseColorFactor=factor))
                )
            primitives.append(
                gl.Primitive(attributes=shared, indices=self.array(indices, "u2"), material=material, targets=morphs)
            )
        self.gltf.meshes.append(gl.Mesh(primitives=primitives))
        return len(self.gltf.meshes) - 1

    def texture(self, pixels: np.ndarray) -> int:
        """A material whose base colour is a picture uint8 [height, width, 3]."""
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "png")
        self.gltf.images.append(gl.Image(bufferView=self.view(stream.getvalue()), mimeType="image/png"))
        self.gltf.textures.append(gl.Texture(source=len(self.gltf.images) - 1))
        reference = gl.TextureInfo(index=len(self.gltf.textures) - 1)
        self.gltf.materials.append(
            gl.Material(pbrMetallicRoughness=gl.PbrMetallicRoughness(baseColorTexture=reference))
        )
        return len(self.gltf.materials) - 1

    def animate(self, node: int, path: str, times: Any, values: Any, interpolation: str = "LINEAR") -> None:
        """One more channel of the animation 'move'."""
        if not self.gltf.animations:
            self.gltf.animations.append(gl.Animation(name="move", samplers=[], channels=[]))
        animation = self.gltf.animations[0]
        animation.samplers.append(
            gl.AnimationSampler(input=self.array(times), output=self.array(values), interpolation=interpolation)
        )
        animation.channels.append(
            gl.AnimationChannel(
                sampler=len(animation.samplers) - 1, target=gl.AnimationChannelTarget(node=node, path=path)
            )
        )

    def save(self, path: Path) -> Path:
        self.gltf.buffers = [gl.Buffer(byteLength=len(self._data))]
        self.gltf.set_binary_blob(bytes(self._data))
        self.gltf.save_binary(str(path))
        return path


def turning_cube(path: Path) -> Path:
    """Six colours; its node turns 90 degrees about +Y from second 1 to second 3."""
    builder = GlbBuilder()
    node = builder.node(mesh=builder.cube_mesh(coloured=True))
    builder.animate(node, "rotation", [1.0, 3.0], [(0, 0, 0, 1), QUARTER_TURN])
    return builder.save(path)
