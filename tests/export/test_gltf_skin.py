from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from bending_bar import bar_mesh, bend, bending_bar, checker, curvature_at
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from lim_cli.core.errors import InputError, MissingError
from lim_cli.export.draco import DRACO
from lim_cli.export.glb_playback import AnimatedGlb
from lim_cli.export.gltf import write_glb
from lim_cli.export.gltf_skin import bone_centres, bone_motion, rest_normals, round_weights
from lim_cli.export.inspect import inspect_glb
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.normals import vertex_normals, weld_by_position
from lim_cli.geometry.skinning import Skinning, decompose, object_size
from lim_cli.geometry.triangle_strip import strip_faces
from lim_cli.geometry.uv_atlas import unwrap

ATLAS = unwrap(bar_mesh(), 128)


@pytest.mark.parametrize("options", [{}, {"quantize": True}, {"draco": True}], ids=["floats", "quantized", "draco"])
def test_the_stated_error_is_the_files_error(tmp_path: Path, options: dict) -> None:
    textured = bending_bar(*ATLAS, frames=12)
    info = write_glb(tmp_path / "bar.glb", textured, motion="skin", bones=8, **options)
    glb, track = AnimatedGlb(info.path), textured.track
    frames = track.vertices[:, order_of(glb, textured)]
    distances = np.stack(
        [np.linalg.norm(glb.vertices(t) - truth, axis=1) for t, truth in zip(track.times, frames, strict=True)]
    )
    assert info.skin_error is not None
    size = object_size(track.vertices)
    assert info.skin_error.rms == pytest.approx(np.sqrt(np.mean(distances**2)) / size, rel=0.02)
    assert info.skin_error.max == pytest.approx(distances.max() / size, rel=0.02)
    assert info.skin_error.rms < 2e-3
    assert (info.bones, info.targets) == (8, 0)
    summary = inspect_glb(info.path)
    assert summary.skin_error == {"rms": info.skin_error.rms, "max": info.skin_error.max}
    assert (summary.frames, summary.joints, summary.targets) == (12, 9, 0)


def order_of(glb: AnimatedGlb, textured: TexturedTrack) -> np.ndarray:
    """Which vertex of the track each vertex of the file is, told by its place in the texture."""
    uv = glb.array(glb.document.meshes[0].primitives[0].attributes.TEXCOORD_0)
    distance, nearest = cKDTree(textured.uv).query(uv)
    assert distance.max() < 1e-4
    assert len(np.unique(nearest)) == len(textured.uv)
    return nearest


def test_draco_keeps_the_mesh_and_all_that_moves_it(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=6)
    files = {}
    for draco in (False, True):
        info = write_glb(tmp_path / f"{draco}.glb", textured, motion="skin", bones=5, draco=draco)
        files[draco] = AnimatedGlb(info.path)
    plain, packed = files[False], files[True]
    (mine,), (theirs,) = (glb.document.meshes[0].primitives for glb in (plain, packed))
    assert packed.document.extensionsRequired == [DRACO]
    order = order_of(packed, textured)
    exact = {"JOINTS_0": 0, "WEIGHTS_0": 0}
    for name, tolerance in ({"POSITION": 1e-4, "NORMAL": 5e-3, "TEXCOORD_0": 5e-5} | exact).items():
        kept = plain.array(getattr(mine.attributes, name))[order]
        np.testing.assert_allclose(packed.array(getattr(theirs.attributes, name)), kept, atol=tolerance)
    faces = order[packed.array(theirs.indices).reshape(-1, 3)], plain.array(mine.indices).reshape(-1, 3)
    turned = [np.take_along_axis(f, (f.argmin(1)[:, None] + np.arange(3)) % 3, 1) for f in faces]  # keeps the winding
    np.testing.assert_array_equal(*[f[np.lexsort(f.T)] for f in turned])


def test_draco_is_a_third_of_what_integers_take(tmp_path: Path) -> None:
    bar = bar_mesh(120)
    track = TrackedMesh(
        np.stack([bend(bar.vertices, curvature_at(n / 30)) for n in range(8)]), bar.faces, np.arange(8) / 30
    )
    textured = TexturedTrack(track, bar.vertices[:, :2] / 4 + 0.5, checker(64))
    kinds: dict[str, dict] = {"morph": {"motion": "morph"}, "quantized": {"quantize": True}, "draco": {"draco": True}}
    sizes = {}
    for name, options in kinds.items():
        write_glb(tmp_path / f"{name}.glb", textured, **{"motion": "skin", "bones": 8, **options})
        told = inspect_glb(tmp_path / f"{name}.glb").bytes
        sizes[name] = told.geometry + told.animation
    assert sizes["draco"] < 0.4 * sizes["quantized"]
    assert sizes["morph"] > 20 * sizes["draco"]


def test_without_dracopy_it_is_said_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    textured = bending_bar(*ATLAS, frames=3)
    write_glb(tmp_path / "bar.glb", textured, motion="skin", draco=True)
    monkeypatch.setitem(sys.modules, "DracoPy", None)
    with pytest.raises(MissingError, match=r"lim-cli\[draco\]"):
        write_glb(tmp_path / "other.glb", textured, motion="skin", draco=True)
    assert not (tmp_path / "other.glb").exists()
    told = inspect_glb(tmp_path / "bar.glb")
    assert told.motion is None
    assert told.extensions == (DRACO,)


def test_a_damaged_compressed_mesh_is_an_input_error(tmp_path: Path) -> None:
    write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=3), motion="skin", draco=True)
    data = bytearray((tmp_path / "bar.glb").read_bytes())
    start = data.index(b"DRACO")
    data[start + 20 : start + 60] = bytes(40)
    (tmp_path / "bad.glb").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        inspect_glb(tmp_path / "bad.glb")


@pytest.mark.parametrize("options", [{"motion": "morph"}, {"motion": "skin", "quantize": True}])
def test_draco_is_for_skins_alone(tmp_path: Path, options: dict) -> None:
    with pytest.raises(ValueError, match="draco"):
        write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=3), draco=True, **options)


def test_structure(tmp_path: Path) -> None:
    write_glb(tmp_path / "bar.glb", bending_bar(*ATLAS, frames=6), motion="skin", bones=5, name="bar")
    glb = AnimatedGlb(tmp_path / "bar.glb")
    document = glb.document
    skin, primitive = document.skins[0], document.meshes[0].primitives[0]
    assert document.scenes[0].nodes == [0, skin.skeleton]  # a skinned mesh hangs on no other node
    assert document.nodes[skin.skeleton].children == skin.joints[1:]
    assert skin.joints[0] == skin.skeleton
    assert not primitive.targets
    joints, weights = glb.array(primitive.attributes.JOINTS_0), glb.array(primitive.attributes.WEIGHTS_0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (joints[weights == 0] == 0).all()
    assert joints.max() == 5
    assert len(document.animations) == 1
    assert {channel.target.path for channel in document.animations[0].channels} == {"rotation", "translation"}
    # Unanimated, the nodes show the first frame.
    first = glb.vertices(0.0)
    document.animations = []
    glb._channels.clear()
    np.testing.assert_allclose(glb.vertices(0.0), first, atol=1e-6)


def test_a_full_turn_never_goes_the_long_way_round(tmp_path: Path) -> None:
    still = bending_bar(*ATLAS, frames=1).track.vertices[0]
    angles = np.linspace(0, 6 * np.pi, 61)
    turned = np.stack([Rotation.from_euler("z", a).apply(still) for a in angles]).astype(np.float32)
    textured = bending_bar(*ATLAS, frames=1)
    track = TrackedMesh(turned, textured.track.faces, np.arange(61) / 10)
    write_glb(tmp_path / "bar.glb", TexturedTrack(track, textured.uv, textured.texture), motion="skin", bones=3)
    glb = AnimatedGlb(tmp_path / "bar.glb")
    animation = glb.document.animations[0]
    for channel in animation.channels:
        if channel.target.path == "rotation":
            keys = glb.array(animation.samplers[channel.sampler].output)
            np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1, atol=1e-6)
            assert (np.sum(keys[1:] * keys[:-1], axis=1) > 0.9).all()
    for step in (3, 19, 20, 21, 50):  # between frames it turns on
        truth = Rotation.from_euler("z", (angles[step] + angles[step + 1]) / 2).apply(still)
        np.testing.assert_allclose(glb.vertices((step + 0.5) / 10), truth, atol=0.02)


def test_bone_motion_moves_centres_as_bones_do() -> None:
    rng = np.random.default_rng(0)
    turns = Rotation.random(12, rng=1).as_matrix().reshape(4, 3, 3, 3)
    bones = np.concatenate([turns, rng.normal(size=(4, 3, 3, 1))], axis=3)
    rest, joints = rng.normal(size=(20, 3)), np.tile(np.arange(20)[:, None] % 2, (1, 4))
    weights = np.tile([1.0, 0, 0, 0], (20, 1))
    skin = Skinning(rest, joints, weights, bones)
    centres = bone_centres(skin)
    np.testing.assert_allclose(centres[1], rest[1::2].mean(axis=0))
    np.testing.assert_allclose(centres[2], rest.mean(axis=0))  # moves nothing
    quaternions, moves = bone_motion(skin, centres)
    for time in range(4):
        for bone in range(3):
            point = rng.normal(size=3)
            wanted = bones[time, bone, :, :3] @ point + bones[time, bone, :, 3]
            found = Rotation.from_quat(quaternions[time, bone]).apply(point - centres[bone]) + moves[time, bone]
            np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_skinned_normals_are_the_frames_normals() -> None:
    textured = bending_bar(*ATLAS, frames=10)
    track = textured.track
    skin = decompose(track.vertices, bones=8)
    normals = rest_normals(skin, track)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    welded = weld_by_position(track.vertices[0])
    naive = vertex_normals(skin.rest, track.faces, welded)
    fitted, plain = [], []
    for frame in range(10):
        turns = np.einsum("vk,vkij->vij", skin.weights, skin.bones[frame, :, :, :3][skin.joints])
        truth = vertex_normals(track.vertices[frame], track.faces, welded)
        fitted.append(np.einsum("vi,vij,vj->v", truth, turns, normals))
        plain.append(np.einsum("vi,vij,vj->v", truth, turns, naive))
    assert np.mean(fitted) > 0.995
    assert np.mean(fitted) > np.mean(plain)


@pytest.mark.parametrize("levels", [255, 65535])
def test_rounded_weights_sum_to_the_whole(levels: int) -> None:
    weights = -np.sort(-np.random.default_rng(0).dirichlet(np.full(4, 0.4), 500), axis=1)
    rounded = round_weights(weights, levels)
    assert (rounded.sum(axis=1) == levels).all()
    assert rounded.min() >= 0
    assert np.abs(rounded / levels - weights).max() < 1 / levels


def test_a_skin_is_many_times_smaller_than_morphs(tmp_path: Path) -> None:
    bar = bar_mesh(120)
    track = TrackedMesh(
        np.stack([bend(bar.vertices, curvature_at(n / 30)) for n in range(60)]), bar.faces, np.arange(60) / 30
    )
    textured = TexturedTrack(track, np.zeros((len(bar.vertices), 2), np.float32), checker(64))
    write_glb(tmp_path / "morph.glb", textured)
    write_glb(tmp_path / "skin.glb", textured, motion="skin", bones=8)
    morph, skin = (inspect_glb(tmp_path / name).bytes for name in ("morph.glb", "skin.glb"))
    assert morph.animation > 40 * skin.animation
    assert morph.geometry == skin.geometry
    assert morph.geometry + morph.animation > 20 * (skin.geometry + skin.animation)


def test_quantized_faces_are_a_strip_and_slow_bones_have_few_keys(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=200, fps=240)
    files = []
    for quantize in (False, True):
        info = write_glb(tmp_path / f"{quantize}.glb", textured, motion="skin", bones=6, quantize=quantize)
        assert info.skin_error is not None
        assert info.skin_error.rms < 1.5e-3
        files.append((AnimatedGlb(info.path), inspect_glb(info.path)))
    (plain, told), (packed, packed_told) = files
    assert (told.faces, packed_told.faces) == (info.faces, info.faces)
    assert "triangle strips" in packed_told.engines["Unity glTFast 6"]
    assert "triangle strips" not in told.engines["Unity glTFast 6"]
    strip = packed.array(packed.document.meshes[0].primitives[0].indices)[:, 0]
    drawn = [np.sort(faces, axis=1) for faces in (strip_faces(strip), textured.track.faces)]
    np.testing.assert_array_equal(*[np.unique(faces, axis=0) for faces in drawn])
    for glb in (plain, packed):
        animation = glb.document.animations[0]
        counts = {glb.document.accessors[sampler.input].count for sampler in animation.samplers}
        assert max(counts) < 60
        for sampler in animation.samplers:
            keys = glb.array(sampler.input)[:, 0]
            assert (keys[0], keys[-1]) == (0, pytest.approx(199 / 240))
            assert len(glb.array(sampler.output)) == len(keys)


def test_one_frame_is_a_still_skin(tmp_path: Path) -> None:
    textured = bending_bar(*ATLAS, frames=1)
    write_glb(tmp_path / "bar.glb", textured, motion="skin")
    glb = AnimatedGlb(tmp_path / "bar.glb")
    assert glb.document.animations == []
    np.testing.assert_allclose(glb.vertices(0.0), textured.track.vertices[0], atol=1e-4)
