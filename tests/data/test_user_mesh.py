from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from bending_bar import bar_mesh, bending_bar

from lim_cli.core.errors import InputError
from lim_cli.data.user_mesh import UserMesh, check_mesh, convert_to_glb, read_user_mesh
from lim_cli.export.driven_gltf import read_document
from lim_cli.export.obj_sequence import write_obj_sequence
from lim_cli.export.ply_sequence import write_ply_sequence
from lim_cli.geometry.uv_atlas import unwrap
from tests.data.rigged_cubes import QUARTER_TURN, GlbBuilder, cube, rotation_y, turning_cube


def volume(user: UserMesh) -> float:
    return float(trimesh.Trimesh(user.mesh.vertices, user.mesh.faces, process=False).volume)


def test_nodes_place_their_meshes(tmp_path: Path) -> None:
    builder = GlbBuilder()
    mesh = builder.cube_mesh()
    child = builder.node(root=False, mesh=mesh, translation=[1.0, 0.0, 0.0])
    builder.node(children=[child], rotation=list(QUARTER_TURN), scale=[2.0, 2.0, 2.0])
    builder.node(mesh=mesh, translation=[0.0, 9.0, 0.0])
    user = read_user_mesh(builder.save(tmp_path / "a.glb"))
    assert [(a.node, a.mesh, a.rows) for a in user.arrays] == [(0, 0, slice(0, 24)), (2, 0, slice(24, 48))]
    positions = cube()[0]
    np.testing.assert_allclose(user.mesh.vertices[:24], 2 * (positions + [1, 0, 0]) @ rotation_y(90).T, atol=1e-6)
    np.testing.assert_allclose(user.mesh.vertices[24:], positions + [0, 9, 0], atol=1e-6)
    assert volume(user) == pytest.approx(64 + 8)
    assert not user.is_skinned
    assert not user.is_animated


def test_primitives_that_share_vertices_are_one_array(tmp_path: Path) -> None:
    user = read_user_mesh(turning_cube(tmp_path / "a.glb"))
    (array,) = user.arrays
    assert array.primitives == (0, 1, 2, 3, 4, 5)
    assert len(array.faces) == 12
    assert len(user.mesh.vertices) == 24
    assert user.is_animated


def test_a_mirrored_node_keeps_its_outside_out(tmp_path: Path) -> None:
    builder = GlbBuilder()
    builder.node(mesh=builder.cube_mesh(), scale=[-1.0, 1.0, 3.0])
    user = read_user_mesh(builder.save(tmp_path / "a.glb"))
    assert volume(user) == pytest.approx(24)


def test_offsets_and_normals_there_and_back(tmp_path: Path) -> None:
    builder = GlbBuilder()
    builder.node(mesh=builder.cube_mesh(), rotation=list(QUARTER_TURN), scale=[-1.0, 2.0, 3.0])
    (array,) = read_user_mesh(builder.save(tmp_path / "a.glb")).arrays
    linear = rotation_y(90) @ np.diag([-1.0, 2.0, 3.0])
    offsets = np.random.default_rng(0).normal(size=(24, 3))
    np.testing.assert_allclose(array.local_offsets(offsets @ linear.T), offsets, atol=1e-6)
    slanted = np.tile([[1.0, 1.0, 0.0]], (24, 1)) / np.sqrt(2)
    world = array.world_normals(slanted)
    plane = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]) @ linear.T  # two directions in the slanted plane
    np.testing.assert_allclose(world @ plane.T, 0, atol=1e-6)
    np.testing.assert_allclose(array.local_normals(world), slanted, atol=1e-6)
    np.testing.assert_allclose(array.local_directions(array.world_directions(slanted)), slanted, atol=1e-6)


def test_a_skinned_mesh_stands_where_its_bones_are(tmp_path: Path) -> None:
    builder = GlbBuilder()
    joints, weights = builder.array(np.zeros((24, 4)), "u1"), builder.array(np.tile([1.0, 0, 0, 0], (24, 1)))
    mesh = builder.cube_mesh(JOINTS_0=joints, WEIGHTS_0=weights)
    bone = builder.node(translation=[0.0, 5.0, 0.0])
    builder.node(mesh=mesh, skin=0, translation=[100.0, 0.0, 0.0])  # a skinned node's own place does not count
    bind = np.eye(4)
    bind[3, 0] = -1.0  # column-major: x - 1
    skin = builder.array(bind[None])
    from pygltflib import Skin

    builder.gltf.skins = [Skin(joints=[bone], inverseBindMatrices=skin)]
    user = read_user_mesh(builder.save(tmp_path / "a.glb"))
    np.testing.assert_allclose(user.mesh.vertices, cube()[0] + [-1, 5, 0], atol=1e-6)
    assert user.is_skinned


def test_morph_targets_the_file_shows_are_in_its_pose(tmp_path: Path) -> None:
    builder = GlbBuilder()
    targets = [builder.array(np.tile([0.0, delta, 0.0], (24, 1))) for delta in (1.0, 10.0)]
    mesh = builder.cube_mesh(targets=targets)
    builder.gltf.meshes[mesh].weights = [0.5, 0.0]
    builder.node(mesh=mesh)
    user = read_user_mesh(builder.save(tmp_path / "a.glb"))
    np.testing.assert_allclose(user.mesh.vertices, cube()[0] + [0, 0.5, 0], atol=1e-6)
    assert user.arrays[0].weights == (0.5, 0.0)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl"])
def test_other_formats_are_converted(tmp_path: Path, suffix: str) -> None:
    box = trimesh.creation.box((1, 2, 3))
    box.export(tmp_path / f"box{suffix}")
    convert_to_glb(tmp_path / f"box{suffix}", tmp_path / "box.glb")
    user = read_user_mesh(tmp_path / "box.glb")
    assert volume(user) == pytest.approx(6)


def test_a_frame_of_ours_keeps_its_colours(tmp_path: Path) -> None:
    textured = bending_bar(*unwrap(bar_mesh(), 64), frames=2)
    for name in ("ply", "obj"):
        (tmp_path / name).mkdir()
    write_ply_sequence(tmp_path / "ply", textured)
    write_obj_sequence(tmp_path / "obj", textured)
    colours = np.random.default_rng(0).integers(0, 255, (8, 4), dtype=np.uint8)
    trimesh.Trimesh(*cube_corners(), vertex_colors=colours, process=False).export(tmp_path / "plain.ply")
    files = [sorted((tmp_path / "ply").glob("*.ply"))[0], sorted((tmp_path / "obj").glob("*.obj"))[0]]
    for file in [*files, tmp_path / "plain.ply"]:
        convert_to_glb(file, tmp_path / "a.glb")
        document, _ = read_document(tmp_path / "a.glb")
        (primitive,) = (p for mesh in document["meshes"] for p in mesh["primitives"])
        attributes = {"POSITION", "NORMAL", "COLOR_0" if file.suffix == ".ply" else "TEXCOORD_0"}
        assert primitive["attributes"].keys() == attributes
        assert len(document.get("images", [])) == (file.suffix == ".obj")
        surface = document["materials"][primitive["material"]]["pbrMetallicRoughness"]
        assert (surface["metallicFactor"], surface["roughnessFactor"]) == (0.0, 1.0)
        assert surface.get("baseColorFactor", [1, 1, 1, 1])[:3] == [1, 1, 1] or file.suffix == ".obj"


def cube_corners() -> tuple[np.ndarray, np.ndarray]:
    box = trimesh.creation.box()
    return box.vertices, box.faces


def test_what_is_no_mesh_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("nothing")
    with pytest.raises(InputError, match="Export it as GLB"):
        convert_to_glb(tmp_path / "a.obj", tmp_path / "a.glb")
    builder = GlbBuilder()
    builder.node(translation=[1.0, 0.0, 0.0])
    with pytest.raises(InputError, match="no triangles"):
        read_user_mesh(builder.save(tmp_path / "empty.glb"))
    for name in ("none.glb", "a.blend"):
        (tmp_path / "a.blend").write_bytes(b"x")
        with pytest.raises(InputError, match="give a"):
            check_mesh(tmp_path / name)
