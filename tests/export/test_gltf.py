from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
from bending_bar import bar_mesh, bend, bending_bar, curvature_at

from lim_cli.core.errors import InputError, NumericalError
from lim_cli.export.frame_thinning import choose_frames
from lim_cli.export.glb_playback import AnimatedGlb
from lim_cli.export.gltf import DROP_TOLERANCE, ExportInfo, write_glb
from lim_cli.export.gltf_buffer import read_accessor
from lim_cli.export.gltf_morph import short_change, split_frames
from lim_cli.export.inspect import inspect_glb
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
        np.testing.assert_allclose(AnimatedGlb(info.path).vertices(frame / 30), truth, atol=tolerance)
    assert info.targets == 7
    assert info.interpolation_error == 0


def test_between_frames_vertices_move_linearly(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=5)
    write_glb(tmp_path / "bar.glb", textured)
    middle = 0.3 * textured.track.vertices[2] + 0.7 * textured.track.vertices[3]
    np.testing.assert_allclose(AnimatedGlb(tmp_path / "bar.glb").vertices(2.7 / 30), middle, atol=1e-5)


def test_times_outside_the_clip_show_its_ends(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=3)
    write_glb(tmp_path / "bar.glb", textured)
    np.testing.assert_allclose(AnimatedGlb(tmp_path / "bar.glb").vertices(9.0), textured.track.vertices[-1], atol=1e-6)
    np.testing.assert_allclose(AnimatedGlb(tmp_path / "bar.glb").vertices(-1.0), textured.track.vertices[0], atol=1e-6)


def test_never_more_than_two_weights(tmp_path: Path) -> None:
    write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=9))
    glb = AnimatedGlb(tmp_path / "bar.glb")
    for time in np.linspace(0, 8 / 30, 101):
        assert np.count_nonzero(glb.weights(0, float(time))) <= 2
    assert not glb.weights(0, 0.0).any()


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
    np.testing.assert_allclose(AnimatedGlb(tmp_path / "bar.glb").vertices(0.5), STRAIGHT, atol=1e-6)


def shown_error(info: ExportInfo, textured: TexturedTrack) -> float:
    """Largest distance of a vertex in the file from the track, over all of the track's times."""
    glb = AnimatedGlb(info.path)
    times = textured.track.times - textured.track.times[0]
    errors = [
        np.linalg.norm(glb.vertices(float(time)) - truth, axis=1).max()
        for time, truth in zip(times, textured.track.vertices, strict=True)
    ]
    return float(max(errors))


def test_too_many_frames_are_thinned_and_said_so(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=600, fps=600)
    info = write_glb(tmp_path / "bar.glb", textured, max_targets=240)
    assert info.parts == 1
    assert 2 < info.targets <= 240
    assert (info.kept_frames[0], info.kept_frames[-1]) == (0, 599)
    assert 0 < info.interpolation_error <= DROP_TOLERANCE * np.ptp(textured.track.vertices, axis=(0, 1)).max()
    assert shown_error(info, textured) == pytest.approx(info.interpolation_error, abs=1e-6)


@pytest.mark.parametrize(("options", "tolerance"), [({}, 1e-6), ({"quantize": True}, 5e-5), ({"sparse": True}, 1e-6)])
def test_a_clip_with_too_much_motion_plays_in_parts_and_loses_nothing(
    tmp_path: Path, options: dict, tolerance: float
) -> None:
    textured = bending_bar(*ATLAS, frames=25, fps=10)
    info = write_glb(tmp_path / "bar.glb", textured, max_targets=10, **options)
    assert (info.parts, info.targets, info.interpolation_error) == (3, 24, 0.0)
    assert shown_error(info, textured) < tolerance
    # Between frames too, also across the seam between two parts, and before and after the clip.
    glb, vertices = AnimatedGlb(info.path), textured.track.vertices
    for frame in (3, 7, 8, 15, 16, 23):
        middle = 0.4 * vertices[frame] + 0.6 * vertices[frame + 1]
        np.testing.assert_allclose(glb.vertices((frame + 0.6) / 10), middle, atol=tolerance * 2)
    np.testing.assert_allclose(glb.vertices(-1.0), vertices[0], atol=tolerance)
    np.testing.assert_allclose(glb.vertices(9.0), vertices[-1], atol=tolerance)
    summary = inspect_glb(info.path)
    assert (summary.vertices, summary.parts, summary.frames) == (len(STRAIGHT), 3, 25)
    document = glb.document
    assert len(document.animations) == 1  # viewers that play only one play all
    assert max(len(mesh.primitives[0].targets) for mesh in document.meshes) <= 10
    assert len({mesh.primitives[0].indices for mesh in document.meshes}) == 1


def test_quantized_normals_point_where_they_should_or_are_floats() -> None:
    rng = np.random.default_rng(0)
    base, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 20_000, 3)))
    wanted = base + 0.8 * other  # turned by up to 53 degrees
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert np.abs(wanted - base).max() < 1
    around = wanted.copy()
    around[:500] = base[:500][:, [1, 2, 0]]  # some by up to 120
    for normals in (wanted, around):
        change = short_change(base, normals)
        assert change is not None
        assert np.abs(change).max() <= 1
        stored = np.round(base * 127) + np.round(change * 127)
        shown = stored / np.linalg.norm(stored, axis=1, keepdims=True)
        error = np.degrees(np.arccos(np.sum(shown * normals, 1).clip(-1, 1)))
        assert np.quantile(error, 0.998) < 6
    assert short_change(base, -base) is None


def test_a_vertex_may_go_from_one_end_of_the_box_to_the_other(tmp_path: Path) -> None:
    """Its change is all that 16 bits hold."""
    points = np.array([[-1.6, 0, 0], [1.0, 0.7, 0], [1.0, -0.7, 0.6], [1.0, -0.7, -0.6]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    track = TrackedMesh(np.stack([points, points * [-1, 1, -1]]).astype(np.float32), faces, np.array([0.0, 1.0]))
    textured = TexturedTrack(track, np.zeros((4, 2), np.float32), np.zeros((4, 4, 3), np.uint8))
    write_glb(tmp_path / "a.glb", textured, quantize=True)
    glb = AnimatedGlb(tmp_path / "a.glb")
    for frame in range(2):
        np.testing.assert_allclose(glb.vertices(frame), track.vertices[frame], atol=1e-4)


def test_quantized_morphs_are_half_as_large(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=40)
    # about z; together with the bend this takes normals round by more than 60 degrees, so they change by more than one
    sway = 0.35 * np.sin(np.arange(40) / 6)[:, None]
    x, y, z = np.moveaxis(textured.track.vertices, -1, 0)
    turned = np.stack([np.cos(sway) * x - np.sin(sway) * y, np.sin(sway) * x + np.cos(sway) * y, z], -1)
    textured = TexturedTrack(
        TrackedMesh(turned, textured.track.faces, textured.track.times), textured.uv, textured.texture
    )
    sizes = []
    for quantize in (False, True):
        info = write_glb(tmp_path / f"{quantize}.glb", textured, quantize=quantize)
        document = gl.GLTF2().load_binary(str(info.path))
        targets = document.meshes[0].primitives[0].targets
        kinds = {document.accessors[t["NORMAL"] if isinstance(t, dict) else t.NORMAL].componentType for t in targets}
        assert kinds == {gl.BYTE if quantize else gl.FLOAT}
        sizes.append(len(document.binary_blob()) - document.bufferViews[document.images[0].bufferView].byteLength)
    assert sizes[1] < 0.55 * sizes[0]


@pytest.mark.parametrize(
    ("count", "most", "lengths"), [(1, 4, [1]), (5, 4, [5]), (6, 4, [3, 4]), (601, 240, [201] * 3)]
)
def test_parts_share_their_ends(count: int, most: int, lengths: list[int]) -> None:
    parts = split_frames(count, most)
    assert sorted(map(len, parts)) == sorted(lengths)
    assert (parts[0].start, parts[-1].stop) == (0, count)
    assert all(left[-1] == right[0] for left, right in pairwise(parts))


def test_linear_motion_needs_two_frames() -> None:
    times = np.arange(50.0)
    vertices = times[:, None, None] * np.ones((1, 4, 3))
    kept, error = choose_frames(vertices, times, tolerance=1e-4)
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
        AnimatedGlb(tmp_path / "b.glb").vertices(0.0)


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
