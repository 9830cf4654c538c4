"""Base colours of glTF materials: factors, textures with their wrapping and transform, vertex colours."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.data.gltf_file import GltfFile
from lim_cli.video.clip import LARGEST_SIDE

if TYPE_CHECKING:
    from pygltflib import GLTF2, Primitive

_WRAPS = {10497: 0, 33071: 1, 33648: 2, None: 0}
_DEFAULT_COLOUR = 0.8  # as viewers show a surface without material


@dataclass(frozen=True)
class Materials:
    """colour [M + 1, 3] sRGB (the last is for faces without material), texture [M + 1] (-1: none),

    textures uint8 [height, width, 3], wrap [texture, 2].
    """

    colour: np.ndarray
    texture: np.ndarray
    textures: tuple[np.ndarray, ...]
    wrap: np.ndarray


def read_materials(file: GltfFile, texture_size: int) -> Materials:
    """Base colours of every material; textures are reduced so that no side exceeds `texture_size`."""
    gltf = file.gltf
    colours, chosen = [], []
    textures: list[np.ndarray] = []
    wraps: list[tuple[int, int]] = []
    slots: dict[int, int] = {}
    for material in gltf.materials or []:
        factor, texture = _base_colour(material)
        colours.append(srgb_from_linear(np.array(factor[:3], np.float32)))
        slot = -1
        if texture is not None:
            index = texture["index"]
            if index not in slots:
                slots[index] = len(textures)
                textures.append(_image(file, gltf.textures[index].source, texture_size))
                wraps.append(_wrap(gltf, gltf.textures[index].sampler))
            slot = slots[index]
        chosen.append(slot)
    colours.append(np.full(3, _DEFAULT_COLOUR, np.float32))
    chosen.append(-1)
    return Materials(
        np.stack(colours).astype(np.float32),
        np.array(chosen, np.int32),
        tuple(textures),
        np.array(wraps, np.int32).reshape(-1, 2),
    )


def texture_coordinates(file: GltfFile, primitive: Primitive, attributes: dict[str, int], count: int) -> np.ndarray:
    """UV [V, 2] of the base texture with KHR_texture_transform applied; zeros where there is none."""
    empty = np.zeros((count, 2), np.float32)
    if primitive.material is None:
        return empty
    _, texture = _base_colour(file.gltf.materials[primitive.material])
    if texture is None:
        return empty
    transform = (texture.get("extensions") or {}).get("KHR_texture_transform", {})
    channel = transform.get("texCoord", texture.get("texCoord") or 0)
    if f"TEXCOORD_{channel}" not in attributes:
        return empty
    uv = file.accessor(attributes[f"TEXCOORD_{channel}"]).astype(np.float32)
    angle = float(transform.get("rotation", 0.0))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    scaled = uv * np.array(transform.get("scale", (1.0, 1.0)))
    moved: np.ndarray = (scaled @ turn.T + np.array(transform.get("offset", (0.0, 0.0)))).astype(np.float32)
    return moved


def vertex_colours(file: GltfFile, attributes: dict[str, int]) -> np.ndarray | None:
    """COLOR_0 [V, 3] in sRGB, or None."""
    if "COLOR_0" not in attributes:
        return None
    return srgb_from_linear(np.clip(file.accessor(attributes["COLOR_0"]).astype(np.float32)[:, :3], 0, 1))


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
    """The sRGB transfer curve, values in [0, 1]."""
    linear = np.clip(linear, 0.0, 1.0)
    curve: np.ndarray = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curve.astype(np.float32)


def _base_colour(material: Any) -> tuple[list[float], dict[str, Any] | None]:
    """Linear factor and texture reference (index, texCoord, extensions) of a material."""
    old = (material.extensions or {}).get("KHR_materials_pbrSpecularGlossiness")
    if old is not None:
        return old.get("diffuseFactor", [1.0] * 4), old.get("diffuseTexture")
    pbr = material.pbrMetallicRoughness
    if pbr is None:
        return [1.0] * 4, None
    texture = pbr.baseColorTexture
    reference = None
    if texture is not None and texture.index is not None:
        reference = {"index": texture.index, "texCoord": texture.texCoord, "extensions": texture.extensions}
    return pbr.baseColorFactor or [1.0] * 4, reference


def _image(file: GltfFile, index: int | None, texture_size: int) -> np.ndarray:
    from PIL import Image

    if index is None:
        raise InputError("A texture uses an image format this program does not read; use PNG or JPEG.")
    image = file.gltf.images[index]
    data = file.uri_bytes(image.uri) if image.bufferView is None else file.view_bytes(image.bufferView)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            opened = Image.open(io.BytesIO(data))
        except Image.DecompressionBombError as error:
            raise InputError(f"A texture of {file.path} declares too many pixels; shrink it.") from error
    if max(opened.size) > LARGEST_SIDE:
        raise InputError(f"A texture of {file.path} has more than {LARGEST_SIDE} pixels on a side; shrink it.")
    picture = opened.convert("RGB")
    picture.thumbnail((texture_size, texture_size), Image.Resampling.BOX)
    return np.asarray(picture, np.uint8)


def _wrap(gltf: GLTF2, sampler: int | None) -> tuple[int, int]:
    if sampler is None:
        return 0, 0
    return _WRAPS.get(gltf.samplers[sampler].wrapS, 0), _WRAPS.get(gltf.samplers[sampler].wrapT, 0)
