"""A rig as a JSON header and one array per number type, to be stored without pickling; and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.data.gltf_animation import Animation, ChannelGroup, MorphPart, Nodes, Paint, Rig

VERSION = 1


def pack_rig(rig: Rig, texture_size: int = 256) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header (plain JSON values) and blobs by dtype name; key values and skin weights shrink to 16 bits."""
    blobs: dict[str, list[np.ndarray]] = {}
    used: dict[str, int] = {}

    def put(array: np.ndarray, dtype: str) -> list[Any]:
        flat = np.ascontiguousarray(array, dtype).reshape(-1)
        start = used.get(dtype, 0)
        blobs.setdefault(dtype, []).append(flat)
        used[dtype] = start + flat.size
        return [dtype, start, list(array.shape)]

    paint = rig.paint
    header: dict[str, Any] = {
        "name": rig.name,
        "nodes": {f.name: put(getattr(rig.nodes, f.name), "float64") for f in dataclasses.fields(Nodes)},
        "bone_nodes": put(rig.bone_nodes, "int32"),
        "inverse_bind": put(rig.inverse_bind, "float32"),
        "positions": put(rig.positions, "float32"),
        "faces": put(rig.faces, "int32"),
        "smoothing": put(rig.smoothing, "int32"),
        "joints": put(rig.joints, "int16"),
        "joint_weights": put(np.round(rig.joint_weights * 65535), "uint16"),
        "morphs": [
            {
                "node": m.node,
                "first": m.first,
                "weights": put(m.weights, "float32"),
                "deltas": put(m.deltas, "float32"),
            }
            for m in rig.morphs
        ],
        "paint": {
            "face_material": put(paint.face_material, "int16"),
            "uv": put(paint.uv if paint.textures else np.zeros((0, 2)), "float32"),
            "vertex_colour": put(np.round(paint.vertex_colour * 255), "uint8"),
            "material_colour": put(paint.material_colour, "float32"),
            "material_texture": put(paint.material_texture, "int16"),
            "textures": [put(reduced(t, texture_size), "uint8") for t in paint.textures],
            "texture_wrap": put(paint.texture_wrap, "int16"),
        },
        "animations": [
            {
                "name": a.name,
                "start": a.start,
                "end": a.end,
                "groups": [
                    {
                        "path": g.path,
                        "interpolation": g.interpolation,
                        "times": put(g.times, "float32"),
                        "nodes": put(g.nodes, "int32"),
                        # Translations may be large against the motion in them; the rest lies about 1.
                        "values": put(g.values, "float32" if g.path == "translation" else "float16"),
                    }
                    for g in a.groups
                ],
            }
            for a in rig.animations
        ],
    }
    return header, {dtype: np.concatenate(parts) for dtype, parts in blobs.items()}


def unpack_rig(header: dict[str, Any], blobs: dict[str, np.ndarray]) -> Rig:
    """The inverse of `pack_rig`.

    Raises:
        InputError: header and blobs do not fit together.
    """

    def get(place: list[Any]) -> np.ndarray:
        dtype, start, shape = place
        count = int(np.prod(shape))
        return blobs[dtype][start : start + count].reshape(shape)

    try:
        weights = get(header["joint_weights"]).astype(np.float32)
        paint, positions = header["paint"], get(header["positions"])
        uv = get(paint["uv"])
        return Rig(
            name=header["name"],
            nodes=Nodes(
                parents=get(header["nodes"]["parents"]).astype(np.int32),
                **{k: get(v) for k, v in header["nodes"].items() if k != "parents"},
            ),
            bone_nodes=get(header["bone_nodes"]),
            inverse_bind=get(header["inverse_bind"]).astype(np.float64),
            positions=positions,
            faces=get(header["faces"]),
            smoothing=get(header["smoothing"]),
            joints=get(header["joints"]).astype(np.int32),
            joint_weights=weights / weights.sum(1, keepdims=True),
            morphs=tuple(
                MorphPart(m["node"], m["first"], get(m["weights"]), get(m["deltas"])) for m in header["morphs"]
            ),
            paint=Paint(
                face_material=get(paint["face_material"]).astype(np.int32),
                uv=uv if len(uv) else np.zeros((len(positions), 2), np.float32),
                vertex_colour=get(paint["vertex_colour"]).astype(np.float32) / 255,
                material_colour=get(paint["material_colour"]),
                material_texture=get(paint["material_texture"]).astype(np.int32),
                textures=tuple(get(t) for t in paint["textures"]),
                texture_wrap=get(paint["texture_wrap"]).astype(np.int32),
            ),
            animations=tuple(
                Animation(
                    a["name"],
                    a["start"],
                    a["end"],
                    tuple(
                        ChannelGroup(g["path"], g["interpolation"], get(g["times"]), get(g["nodes"]), get(g["values"]))
                        for g in a["groups"]
                    ),
                )
                for a in header["animations"]
            ),
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"The packed asset is incomplete: {error}. Write the pack again.") from error


def reduced(texture: np.ndarray, size: int) -> np.ndarray:
    """A texture averaged down by whole steps until no side exceeds `size`."""
    step = -(-max(texture.shape[:2]) // size)
    if step <= 1:
        return texture
    height, width = (max(s // step, 1) for s in texture.shape[:2])
    rows, columns = min(step, texture.shape[0]), min(step, texture.shape[1])
    blocks = texture[: height * rows, : width * columns].reshape(height, rows, width, columns, 3)
    small: np.ndarray = np.round(blocks.mean((1, 3))).astype(np.uint8)
    return small
