from __future__ import annotations

from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
from bending_bar import bar_mesh, bend, bending_bar, curvature_at

from lim_cli.core.errors import InputError, NumericalError
from lim_cli.export.frame_thinning import choose_frames
from lim_cli.export.gltf import write_glb
from lim_cli.export.gltf_buffer import read_accessor
from lim_cli.export.inspect import inspect_glb, read_back, weights_at
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.normals import weld_by_position
from lim_cli.geometry.uv_atlas import unwrap

ATLAS = unwrap(bar_mesh(), 128)
STRAIGHT = bar_mesh().vertices[ATLAS[0]]


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({}, 1e-6),
        ({"sparse": True}, 1e-6),
        ({"quantize": True}, 4e-5),
        ({"quantize": True, "sparse": True}, 4e-5),
    ],
)
def test_written_motion_is_the_analytic_motion(tmp_path: Path, options: dict, tolerance: float) -> None:
    info = write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=8), **options)
    for frame in range(8):
        truth = bend(STRAIGHT, curvature_at(frame / 30))
        np.testing.assert_allclose(read_back(info.path, frame / 30), truth, atol=tolerance)
    assert info.targets == 7
    assert info.interpolation_error == 0


def test_between_frames_vertices_move_linearly(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=5)
    write_glb(tmp_path / "bar.glb", textured)
    middle = 0.3 * textured.track.vertices[2] + 0.7 * textured.track.vertices[3]
    np.testing.assert_allclose(read_back(tmp_path / "bar.glb", 2.7 / 30), middle, atol=1e-5)


def test_times_outside_the_clip_show_its_ends(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=3)
    write_glb(tmp_path / "bar.glb", textured)
    np.testing.assert_allclose(read_back(tmp_path / "bar.glb", 9.0), textured.track.vertices[-1], atol=1e-6)
    np.testing.assert_allclose(read_back(tmp_path / "bar.glb", -1.0), textured.track.vertices[0], atol=1e-6)


def test_never_more_than_two_weights(tmp_path: Path) -> None:
    write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=9))
    document = gl.GLTF2().load_binary(str(tmp_path / "bar.glb"))
    for time in np.linspace(0, 8 / 30, 101):
        weights = weights_at(document, document.binary_blob(), float(time))
        assert np.count_nonzero(weights) <= 2
    assert not weights_at(document, document.binary_blob(), 0.0).any()


def test_structure(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=4)
    write_glb(tmp_path / "bar.glb", textured, name="bar", frame_names=["a", "b", "c", "d"])
    document = gl.GLTF2().load_binary(str(tmp_path / "bar.glb"))
    blob = document.binary_blob()
    primitive = document.meshes[0].primitives[0]
    assert len(document.meshes) == len(document.materials) == len(document.animations) == 1
    assert document.meshes[0].extras["targetNames"] == ["b", "c", "d"]
    normals = read_accessor(document, primitive.attributes.NORMAL, blob)
    welded = weld_by_position(textured.track.vertices[0])
    for target in primitive.targets:
        morph = target if isinstance(target, dict) else vars(target)
        moved = normals + read_accessor(document, morph["NORMAL"], blob)
        np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
        first = np.zeros((welded.max() + 1, 3), np.float32)
        first[welded] = moved
        np.testing.assert_allclose(first[welded], moved, atol=1e-6)  # seams share their normal
    for accessor in document.accessors:
        assert len(accessor.min) == len(accessor.max) >= 1
    np.testing.assert_allclose(read_accessor(document, primitive.attributes.TEXCOORD_0, blob), textured.uv)


def test_summary(tmp_path: Path) -> None:
    write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=4), texture_format="jpeg", unlit=True)
    summary = inspect_glb(tmp_path / "bar.glb")
    assert (summary.vertices, summary.faces, summary.targets) == (len(STRAIGHT), 408, 3)
    assert summary.duration == pytest.approx(0.1)
    assert summary.extent == pytest.approx((0.3, 1.6, 0.3), abs=1e-5)
    assert summary.texture_size == (256, 256)
    assert summary.extensions == ("KHR_materials_unlit",)
    assert summary.generator.startswith("lim ")
    assert summary.size_bytes == (tmp_path / "bar.glb").stat().st_size


def test_one_frame_has_no_animation(tmp_path: Path) -> None:
    write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=1))
    assert inspect_glb(tmp_path / "bar.glb").targets == 0
    np.testing.assert_allclose(read_back(tmp_path / "bar.glb", 0.5), STRAIGHT, atol=1e-6)


def test_too_many_frames_are_thinned_and_said_so(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=60)
    info = write_glb(tmp_path / "bar.glb", textured, max_targets=10)
    assert info.targets <= 10
    assert info.kept_frames[0] == 0
    assert info.kept_frames[-1] == 59
    found = max(
        np.linalg.norm(read_back(info.path, float(time)) - vertices, axis=1).max()
        for time, vertices in zip(textured.track.times, textured.track.vertices, strict=True)
    )
    assert found == pytest.approx(info.interpolation_error, abs=1e-5)


def test_linear_motion_needs_two_frames() -> None:
    times = np.arange(50.0)
    vertices = times[:, None, None] * np.ones((1, 4, 3))
    kept, error = choose_frames(vertices, times, max_frames=10, tolerance=1e-4)
    assert kept.tolist() == [0, 49]
    assert error < 1e-4


def test_times_start_at_zero(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=3)
    later = TrackedMesh(textured.track.vertices, textured.track.faces, textured.track.times + 7.0)
    write_glb(tmp_path / "bar.glb", TexturedTrack(later, textured.uv, textured.texture))
    assert inspect_glb(tmp_path / "bar.glb").duration == pytest.approx(2 / 30)


def test_nan_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=2)
    textured.track.vertices[1, 0] = np.nan
    with pytest.raises(NumericalError, match="NaN"):
        write_glb(tmp_path / "bar.glb", textured)
    assert list(tmp_path.iterdir()) == []


def test_no_glb_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a GLB"):
        inspect_glb(tmp_path / "a.glb")
    with pytest.raises(InputError, match="Cannot read"):
        read_back(tmp_path / "b.glb", 0.0)


def test_a_glb_that_declares_what_it_does_not_hold(tmp_path: Path) -> None:
    write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=3))
    whole = (tmp_path / "bar.glb").read_bytes()
    document = gl.GLTF2().load_binary(str(tmp_path / "bar.glb"))
    for accessor in document.accessors:
        accessor.count = 10**12
        accessor.bufferView = None
    document.save_binary(str(tmp_path / "huge.glb"))
    for number, cut in enumerate((12, 30, 2000, len(whole) // 2)):
        (tmp_path / f"cut{number}.glb").write_bytes(whole[:cut])
    for path in tmp_path.glob("[ch]*.glb"):
        with pytest.raises(InputError, match=path.name):
            inspect_glb(path)
