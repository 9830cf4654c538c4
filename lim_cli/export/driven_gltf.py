"""Adds morph targets and one animation to a model somebody else made; everything else in the file stays as it is.

The file's JSON is edited as it stands and not through a class model, since those drop what they do not know.
"""

from __future__ import annotations

import copy
import json
import mimetypes
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.core.files import atomic_path
from lim_cli.export.glb_file import BINARY_CHUNK, JSON_CHUNK, glb_head, uri_bytes

_FLOAT, _ARRAY_BUFFER = 5126, 34962
_KINDS = {1: "SCALAR", 3: "VEC3"}


@dataclass(frozen=True)
class MorphPatch:
    """Morph targets for some primitives of one node, in the frame of the file's own vertices.

    node, mesh, primitives: their numbers in the file. positions: [target, vertex, 3] deltas. normals, tangents: the
    same, or None where the file has none. weights: of the targets the file has already; they are held.
    """

    node: int
    mesh: int
    primitives: tuple[int, ...]
    positions: np.ndarray
    normals: np.ndarray | None
    tangents: np.ndarray | None
    weights: tuple[float, ...]


def write_driven_glb(
    path: Path,
    source: Path,
    patches: Sequence[MorphPatch],
    times: np.ndarray,
    weights: np.ndarray,
    names: Sequence[str],
) -> None:
    """Writes `source` (.glb or .gltf) with the patches as a GLB that plays them.

    Its own animations are left out, since they would play on top. Buffers and pictures from its folder come into the
    file that is written; pictures from elsewhere are referred to from `path`.

    Args:
        times: [key] seconds from 0. weights: [key, target] of the new targets. names: [target].

    Raises:
        OutputError: the file cannot be written, or would be too large. InputError: `source` is no glTF, or what it
            refers to is not there.
    """
    document, blob = read_document(source)
    editor = _Editor(document, blob, source)
    document.pop("animations", None)
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []
    sampler_of: dict[tuple[float, ...], int] = {}
    clock = editor.add(times.astype(np.float32)[:, None])
    owner: dict[int, int] = {}  # mesh -> the node it was changed for
    mesh_of: dict[int, int] = {}  # node -> its mesh now
    originals = copy.deepcopy(document["meshes"])
    for patch in patches:
        if patch.node not in mesh_of:
            mesh_of[patch.node] = patch.mesh
            if owner.setdefault(patch.mesh, patch.node) != patch.node:  # two nodes show one mesh, but move apart
                mesh_of[patch.node] = len(document["meshes"])
                document["meshes"].append(copy.deepcopy(originals[patch.mesh]))
                document["nodes"][patch.node]["mesh"] = mesh_of[patch.node]
            _name_targets(document, patch, mesh_of[patch.node], names)
            held = patch.weights
            if held not in sampler_of:
                values = np.concatenate([np.tile(np.asarray(held, np.float32), (len(times), 1)), weights], axis=1)
                sampler_of[held] = len(samplers)
                output = editor.add(values.astype(np.float32).reshape(-1, 1))
                samplers.append({"input": clock, "output": output, "interpolation": "LINEAR"})
            channels.append({"sampler": sampler_of[held], "target": {"node": patch.node, "path": "weights"}})
        _add_targets(editor, document["meshes"][mesh_of[patch.node]], patch)
    _place_pictures(editor, document, source, path.parent)
    document["animations"] = [{"name": "motion", "channels": channels, "samplers": samplers}]
    head, parts = editor.finish()
    with atomic_path(path) as partial, open(partial, "wb") as stream:
        stream.write(head)
        stream.writelines(parts)


def read_document(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON of a .glb or .gltf, and the GLB's binary chunk (empty where there is none).

    Raises:
        InputError: it is neither, or broken.
    """
    try:
        return parse_document(path.read_bytes())
    except (OSError, ValueError, KeyError, struct.error, RecursionError) as error:
        raise InputError(f"Cannot read {path} as glTF: {error}. Export it again as glTF 2.0 binary.") from error


def parse_document(data: bytes) -> tuple[dict[str, Any], bytes]:
    """`read_document` of a file's bytes.

    Raises:
        ValueError, KeyError, struct.error, RecursionError: they are neither, or broken.
    """
    if data[:4] != b"glTF":
        return _object(json.loads(data)), b""
    chunks: dict[int, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        length, kind = struct.unpack_from("<II", data, at)
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length
    return _object(json.loads(chunks[JSON_CHUNK])), chunks.get(BINARY_CHUNK, b"")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("its JSON is no object")
    return value


class _Editor:
    """Appends arrays to the binary chunk of a document, which takes in its other buffers."""

    def __init__(self, document: dict[str, Any], blob: bytes, source: Path) -> None:
        self._document = document
        self._parts: list[bytes | memoryview] = []
        self._length = 0
        starts = []
        buffers = document.get("buffers", [])
        for buffer in buffers:
            starts.append(self._length)
            self._append(uri_bytes(source, buffer["uri"]) if "uri" in buffer else blob)
        for view in document.get("bufferViews", []):
            if start := starts[view["buffer"]]:
                view["byteOffset"] = view.get("byteOffset", 0) + start
            view["buffer"] = 0
        document["buffers"] = [{k: v for k, v in (buffers or [{}])[0].items() if k != "uri"}]

    def _append(self, data: bytes | memoryview) -> None:
        """Ends on a multiple of 4."""
        size = len(data)
        self._parts += [data, b"\0" * (-size % 4)]
        self._length += size + (-size % 4)

    def add(self, values: np.ndarray, *, vertices: bool = False) -> int:
        """A float accessor over values [count, component]; its number."""
        data = np.ascontiguousarray(values, np.float32)
        views = self._document.setdefault("bufferViews", [])
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": data.nbytes}
        views.append({**view, "target": _ARRAY_BUFFER} if vertices else view)
        self._append(data.data.cast("B"))
        accessors = self._document.setdefault("accessors", [])
        accessors.append(
            {
                "bufferView": len(views) - 1,
                "componentType": _FLOAT,
                "count": len(data),
                "type": _KINDS[data.shape[1]],
                "min": data.min(axis=0).tolist(),
                "max": data.max(axis=0).tolist(),
            }
        )
        return len(accessors) - 1

    def add_file(self, data: bytes) -> int:
        """A buffer view over a whole file; its number."""
        views = self._document.setdefault("bufferViews", [])
        views.append({"buffer": 0, "byteOffset": self._length, "byteLength": len(data)})
        self._append(data)
        return len(views) - 1

    def finish(self) -> tuple[bytes, list[bytes | memoryview]]:
        """The file's head, and what follows it."""
        self._document["buffers"][0]["byteLength"] = self._length
        return glb_head(self._document, self._length), self._parts


def _add_targets(editor: _Editor, mesh: dict[str, Any], patch: MorphPatch) -> None:
    targets = []
    for number, positions in enumerate(patch.positions):
        target = {"POSITION": editor.add(positions, vertices=True)}
        for name, deltas in (("NORMAL", patch.normals), ("TANGENT", patch.tangents)):
            if deltas is not None:
                target[name] = editor.add(deltas[number], vertices=True)
        targets.append(target)
    for number in patch.primitives:
        primitive = mesh["primitives"][number]
        primitive["targets"] = [*primitive.get("targets", []), *targets]


def _name_targets(document: dict[str, Any], patch: MorphPatch, number: int, names: Sequence[str]) -> None:
    """Weights and names of all targets of one mesh."""
    mesh, node = document["meshes"][number], document["nodes"][patch.node]
    mesh["weights"] = [*patch.weights, *[0.0] * len(names)]
    if "weights" in node:
        node["weights"] = list(mesh["weights"])
    extras = mesh.setdefault("extras", {})
    if isinstance(extras, dict):
        had = list(extras.get("targetNames", []))[: len(patch.weights)]
        had += [f"target_{i}" for i in range(len(had), len(patch.weights))]
        extras["targetNames"] = [*had, *names]


def _place_pictures(editor: _Editor, document: dict[str, Any], source: Path, new: Path) -> None:
    """Pictures from the source's folder go into the file; names of others become those seen from the new folder."""
    old = source.parent
    for image in document.get("images", []):
        uri = image.get("uri")
        if uri is None or uri.startswith("data:") or "://" in uri:
            continue
        path = Path(os.path.normpath(unquote(uri)))
        if not path.is_absolute() and path.parts[:1] != ("..",):
            image["bufferView"] = editor.add_file(uri_bytes(source, image.pop("uri")))
            image["mimeType"] = mimetypes.guess_type(path.name)[0] or "image/png"
        elif old.resolve() != new.resolve():
            image["uri"] = quote(Path(os.path.relpath(old.resolve() / unquote(uri), new.resolve())).as_posix())
