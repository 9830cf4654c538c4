"""A track as USD: one mesh with time-sampled points and normals, and a UsdPreviewSurface with the texture."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lim_cli.core.errors import MissingError, NumericalError, OutputError
from lim_cli.core.files import atomic_path
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.normals import vertex_normals, weld_by_position

SUFFIXES = (".usdz", ".usd", ".usdc", ".usda")
TEXTURE = "texture.png"
STILL_RATE = 24.0
"""Time codes per second of a single frame."""


def require_usd() -> None:
    """Raises MissingError where usd-core is not installed."""
    try:
        import pxr  # noqa: F401
    except ImportError as error:
        raise MissingError("USD needs usd-core; run pip install 'lim-cli[usd]'.") from error


def write_usd(path: Path, textured: TexturedTrack, *, name: str = "object") -> None:
    """Writes .usdz (one file) or .usd, .usdc, .usda (with the texture beside it as NAME_texture.png).

    Metres, y up; UV origin bottom left, as USD has it. One time code per frame, starting at zero, where frames are
    equally spaced.

    Raises:
        MissingError: usd-core is not installed.
        OutputError: the file cannot be written.
        NumericalError: a vertex is NaN or infinite.
    """
    require_usd()
    from pxr import Sdf, Usd

    if not np.isfinite(textured.track.vertices).all():
        raise NumericalError("The tracked mesh holds NaN or infinite vertices and cannot be exported.")
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"Cannot write USD as '{path.name}'; use a name ending in {', '.join(SUFFIXES)}.")
    packed = path.suffix.lower() == ".usdz"
    picture = TEXTURE if packed else f"{path.stem}_{TEXTURE}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        layer = folder / ("model.usdc" if packed else f"model{path.suffix}")
        Image.fromarray(textured.texture).save(folder / picture)
        stage = Usd.Stage.CreateNew(str(layer))
        _fill(stage, textured, _identifier(name), picture)
        stage.GetRootLayer().Save()
        del stage
        with atomic_path(path) as partial:
            if packed:
                with Sdf.ZipFileWriter.CreateNew(str(partial)) as archive:
                    archive.AddFile(str(layer), layer.name)  # the first file is the one that opens
                    archive.AddFile(str(folder / picture), picture)
            else:
                with atomic_path(path.with_name(picture)) as beside:
                    shutil.copyfile(folder / picture, beside)
                    shutil.copyfile(layer, partial)


def _fill(stage: Any, textured: TexturedTrack, name: str, picture: str) -> None:
    from pxr import Gf, Sdf, UsdGeom, Vt

    track = textured.track
    times = track.times - track.times[0]
    rate = (len(times) - 1) / float(times[-1]) if len(times) > 1 else STILL_RATE
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(rate)
    stage.SetFramesPerSecond(rate)
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(float(times[-1]) * rate)
    root = UsdGeom.Xform.Define(stage, f"/{name}")
    stage.SetDefaultPrim(root.GetPrim())

    mesh = UsdGeom.Mesh.Define(stage, f"/{name}/mesh")
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(track.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(track.faces, np.int32).ravel()))
    points, normals, extent = mesh.CreatePointsAttr(), mesh.CreateNormalsAttr(), mesh.CreateExtentAttr()
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    welded = weld_by_position(track.vertices[0])
    for vertices, time in zip(track.vertices, times, strict=True):
        code = round(float(time) * rate, 6)
        points.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(vertices, np.float32)), code)
        normals.Set(Vt.Vec3fArray.FromNumpy(vertex_normals(vertices, track.faces, welded)), code)
        corners = [Gf.Vec3f(*map(float, corner)) for corner in (vertices.min(axis=0), vertices.max(axis=0))]
        extent.Set(Vt.Vec3fArray(corners), code)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
    flipped = np.stack([textured.uv[:, 0], 1 - textured.uv[:, 1]], axis=1)
    st.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(flipped, np.float32)))
    _add_material(stage, mesh, f"/{name}/surface", picture)


def _add_material(stage: Any, mesh: Any, path: str, picture: str) -> None:
    """A rough UsdPreviewSurface coloured by the texture, read through the primvar `st`."""
    from pxr import Sdf, UsdShade

    material = UsdShade.Material.Define(stage, path)
    reader = UsdShade.Shader.Define(stage, f"{path}/st")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    texture = UsdShade.Shader.Define(stage, f"{path}/colour")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(f"./{picture}"))
    texture.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
    for axis in ("wrapS", "wrapT"):
        texture.CreateInput(axis, Sdf.ValueTypeNames.Token).Set("clamp")
    coordinates = reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    texture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(coordinates)
    shader = UsdShade.Shader.Define(stage, f"{path}/preview")
    shader.CreateIdAttr("UsdPreviewSurface")
    colour = texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(colour)
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(1.0)
    shader.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
    surface = shader.CreateOutput("surface", Sdf.ValueTypeNames.Token)
    material.CreateSurfaceOutput().ConnectToSource(surface)
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def _identifier(name: str) -> str:
    """A prim name: letters, digits and underscores, no digit first."""
    cleaned = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
    return cleaned if cleaned and not cleaned[0].isdigit() else f"object_{cleaned}"
