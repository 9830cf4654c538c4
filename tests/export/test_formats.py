"""USD and sequences, read back with other people's readers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from bending_bar import bar_mesh, bending_bar
from PIL import Image

from lim_cli.core.errors import MissingError, NumericalError, OutputError
from lim_cli.export.obj_sequence import write_obj_sequence
from lim_cli.export.ply_sequence import write_ply_sequence
from lim_cli.export.preview import sample_texture
from lim_cli.export.usd import write_usd
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.uv_atlas import unwrap

TEXTURED = bending_bar(*unwrap(bar_mesh(), 128), frames=3)
TRACK = TEXTURED.track


def test_obj_sequence(tmp_path: Path) -> None:
    write_obj_sequence(tmp_path, TEXTURED)
    expected = {"material.mtl", "texture.png", "mesh_0000.obj", "mesh_0001.obj", "mesh_0002.obj"}
    assert {p.name for p in tmp_path.iterdir()} == expected
    for frame in range(3):
        mesh = trimesh.load(tmp_path / f"mesh_{frame:04d}.obj", process=False, maintain_order=True)
        np.testing.assert_array_equal(mesh.vertices.astype(np.float32), TRACK.vertices[frame])
        np.testing.assert_array_equal(mesh.faces, TRACK.faces)
        np.testing.assert_allclose(mesh.visual.uv, TEXTURED.uv * [1, -1] + [0, 1], atol=1e-7)
        np.testing.assert_array_equal(np.asarray(mesh.visual.material.image), TEXTURED.texture)
        outward = np.einsum("vi,vi->v", mesh.vertex_normals, TRACK.vertices[frame] - TRACK.vertices[frame].mean(axis=0))
        assert (outward > 0).mean() > 0.8


def test_ply_sequence(tmp_path: Path) -> None:
    write_ply_sequence(tmp_path, TEXTURED)
    assert len(list(tmp_path.glob("*.ply"))) == 3
    for frame in range(3):
        path = tmp_path / f"mesh_{frame:04d}.ply"
        raw = trimesh.exchange.ply.load_ply(path.open("rb"), fix_texture=False)
        np.testing.assert_array_equal(raw["vertices"], TRACK.vertices[frame])
        np.testing.assert_array_equal(raw["faces"], TRACK.faces)
        data = raw["metadata"]["_ply_raw"]["vertex"]["data"]
        np.testing.assert_array_equal(data["s"], TEXTURED.uv[:, 0])
        np.testing.assert_allclose(data["t"], 1 - TEXTURED.uv[:, 1], atol=1e-7)
        colours = np.stack([data[c] for c in ("red", "green", "blue")], axis=-1).reshape(-1, 3)
        np.testing.assert_allclose(colours, sample_texture(TEXTURED.texture, TEXTURED.uv), atol=0.51)


@pytest.mark.parametrize("suffix", [".usdz", ".usdc", ".usda"])
def test_usd(tmp_path: Path, suffix: str) -> None:
    from pxr import Ar, Usd, UsdGeom, UsdShade

    path = tmp_path / f"bar{suffix}"
    write_usd(path, TEXTURED, name="7 bars")
    beside = set() if suffix == ".usdz" else {"bar_texture.png"}
    assert {p.name for p in tmp_path.iterdir()} == {path.name} | beside
    stage = Usd.Stage.Open(str(path))
    assert stage.GetDefaultPrim().GetPath() == "/object_7_bars"
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert stage.GetTimeCodesPerSecond() == pytest.approx(30)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, pytest.approx(2))
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/object_7_bars/mesh"))
    for frame in range(3):
        np.testing.assert_array_equal(np.array(mesh.GetPointsAttr().Get(frame)), TRACK.vertices[frame])
        lengths = np.linalg.norm(np.array(mesh.GetNormalsAttr().Get(frame)), axis=1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)
    between = np.array(mesh.GetPointsAttr().Get(0.25))
    np.testing.assert_allclose(between, 0.75 * TRACK.vertices[0] + 0.25 * TRACK.vertices[1], atol=1e-6)
    np.testing.assert_array_equal(np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3), TRACK.faces)
    st = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    assert st.GetInterpolation() == "vertex"
    np.testing.assert_allclose(np.array(st.Get()), TEXTURED.uv * [1, -1] + [0, 1], atol=1e-7)
    material, _ = UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()
    assert material.ComputeSurfaceSource()[0].GetIdAttr().Get() == "UsdPreviewSurface"
    picture = UsdShade.Shader(stage.GetPrimAtPath("/object_7_bars/surface/colour")).GetInput("file").Get()
    asset = Ar.GetResolver().OpenAsset(Ar.ResolvedPath(picture.resolvedPath))
    (tmp_path / "found.png").write_bytes(bytes(asset.GetBuffer()))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "found.png")), TEXTURED.texture)


def test_usd_has_nothing_to_complain_of(tmp_path: Path) -> None:
    from pxr import Usd, UsdValidation

    write_usd(tmp_path / "bar.usdz", TEXTURED)
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    context = UsdValidation.ValidationContext(validators)
    assert [error.GetMessage() for error in context.Validate(Usd.Stage.Open(str(tmp_path / "bar.usdz")))] == []


def test_one_frame_of_usd(tmp_path: Path) -> None:
    from pxr import Usd, UsdGeom

    one = TexturedTrack(TrackedMesh(TRACK.vertices[:1], TRACK.faces, TRACK.times[:1]), TEXTURED.uv, TEXTURED.texture)
    write_usd(tmp_path / "bar.usdz", one)
    stage = Usd.Stage.Open(str(tmp_path / "bar.usdz"))
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/object/mesh"))
    np.testing.assert_array_equal(np.array(mesh.GetPointsAttr().Get(0)), TRACK.vertices[0])


def test_without_usd_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MissingError, match="usd-core") as caught:
        write_usd(tmp_path / "bar.usdz", TEXTURED)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.usdz"):
        write_usd(tmp_path / "bar.fbx", TEXTURED)
    broken = TrackedMesh(TRACK.vertices.copy(), TRACK.faces, TRACK.times)
    broken.vertices[1, 0] = np.nan
    bad = TexturedTrack(broken, TEXTURED.uv, TEXTURED.texture)
    for write in (write_obj_sequence, write_ply_sequence, lambda folder, t: write_usd(folder / "a.usdz", t)):
        with pytest.raises(NumericalError, match="NaN"):
            write(tmp_path, bad)
    assert list(tmp_path.iterdir()) == []
