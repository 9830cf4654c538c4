"""Vertices of animated files against the motion they were written with, and against tracks made elsewhere."""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from lim_cli.core.errors import InputError
from lim_cli.data.gltf_reading import read_rig
from tests.data.rigged_cubes import QUARTER_TURN, GlbBuilder, cube, rotation_y, turning_cube


def test_node_rotation_follows_the_arc(tmp_path: Path) -> None:
    rig = read_rig(turning_cube(tmp_path / "cube.glb"))
    clip = rig.animation("move")
    assert (clip.start, clip.end) == (1.0, 3.0)
    for seconds, degrees in ((0.0, 0), (1.0, 0), (1.5, 22.5), (2.5, 67.5), (3.0, 90), (9.0, 90)):
        moved = rig.evaluate("move", seconds)
        np.testing.assert_allclose(moved, rig.positions @ rotation_y(degrees).T, atol=1e-6)
    assert moved.dtype == np.float32


def test_parents_carry_their_children_and_matrices_count(tmp_path: Path) -> None:
    builder = GlbBuilder()
    matrix = np.eye(4)
    matrix[:3, 3] = 0, 5, 0
    child = builder.node(root=False, mesh=builder.cube_mesh(), matrix=matrix.T.reshape(-1).tolist())
    parent = builder.node(children=[child], scale=[2.0, 2.0, 2.0])
    builder.animate(parent, "rotation", [0.0, 1.0], [(0, 0, 0, 1), QUARTER_TURN])
    rig = read_rig(builder.save(tmp_path / "a.glb"))
    expected = 2 * (rig.positions + [0, 5, 0]) @ rotation_y(45).T
    np.testing.assert_allclose(rig.evaluate("move", 0.5), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["f4", "u1", "u2"])
def test_skin_blends_bones_of_two_sets(tmp_path: Path, dtype: str) -> None:
    builder = GlbBuilder()
    count = len(cube()[0])
    largest = 1 if dtype == "f4" else np.iinfo(dtype).max
    # Joint 0 with 0.2 in the first set, joint 1 with 0.8 in the second.
    first = np.tile(np.array([0.2, 0, 0, 0]) * largest, (count, 1))
    second = np.tile(np.array([0.8, 0, 0, 0]) * largest, (count, 1))
    mesh = builder.cube_mesh(
        JOINTS_0=builder.array(np.zeros((count, 4)), "u1"),
        WEIGHTS_0=builder.array(first, dtype, normalized=dtype != "f4"),
        JOINTS_1=builder.array(np.tile([1, 0, 0, 0], (count, 1)), "u1"),
        WEIGHTS_1=builder.array(second, dtype, normalized=dtype != "f4"),
    )
    still = builder.node()
    moving = builder.node(translation=[3.0, 0.0, 0.0])
    bind = np.tile(np.eye(4), (2, 1, 1))
    bind[1, :3, 3] = -3, 0, 0  # the bone starts at x = 3
    import pygltflib as gl

    inverse = builder.array(bind.transpose(0, 2, 1))
    builder.gltf.skins.append(gl.Skin(joints=[still, moving], inverseBindMatrices=inverse))
    builder.node(mesh=mesh, skin=0, translation=[100.0, 0.0, 0.0])  # a skinned mesh's own node does not count
    builder.animate(moving, "translation", [0.0, 1.0], [(3, 0, 0), (3, 10, 0)])
    rig = read_rig(builder.save(tmp_path / "a.glb"))
    expected = rig.positions + [0, 0.8 * 5, 0]
    np.testing.assert_allclose(rig.evaluate("move", 0.5), expected, atol=0.02 if dtype == "u1" else 1e-4)


def test_morph_targets_sparse_and_rest_weights(tmp_path: Path) -> None:
    builder = GlbBuilder()
    count = len(cube()[0])
    lift = builder.sparse(count, [0, 5], [(0, 1, 0), (0, 2, 0)])
    widen = builder.array(cube()[0] * [1, 0, 0])
    mesh = builder.cube_mesh(targets=[lift, widen])
    builder.gltf.meshes[mesh].weights = [0.0, 0.5]
    node = builder.node(mesh=mesh)
    builder.animate(node, "weights", [0.0, 2.0], [0, 0, 1, 1])
    rig = read_rig(builder.save(tmp_path / "a.glb"))
    np.testing.assert_allclose(rig.evaluate(None, 0.0), rig.positions * [1.5, 1, 1], atol=1e-6)
    expected = rig.positions * [1.25, 1, 1]
    expected[0, 1] += 0.25
    expected[5, 1] += 0.5
    np.testing.assert_allclose(rig.evaluate("move", 0.5), expected, atol=1e-6)


def test_a_nodes_own_morph_weights_win(tmp_path: Path) -> None:
    builder = GlbBuilder()
    mesh = builder.cube_mesh(targets=[builder.array(np.ones((len(cube()[0]), 3)))])
    builder.node(mesh=mesh)
    path = builder.save(tmp_path / "a.glb")
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    content = json.loads(data[20 : 20 + length])
    content["nodes"][0]["weights"] = [2.0]
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    body = len(text).to_bytes(4, "little") + b"JSON" + text + data[20 + length :]
    path.write_bytes(data[:8] + (12 + len(body)).to_bytes(4, "little") + body)
    rig = read_rig(path)
    np.testing.assert_allclose(rig.evaluate(None, 0), rig.positions + 2, atol=1e-6)


def test_step_and_cubic_spline(tmp_path: Path) -> None:
    builder = GlbBuilder()
    node = builder.node(mesh=builder.cube_mesh())
    builder.animate(node, "translation", [0.0, 2.0], [(1, 0, 0), (5, 0, 0)], "STEP")
    stepped = read_rig(builder.save(tmp_path / "step.glb"))
    np.testing.assert_allclose(stepped.evaluate("move", 1.9), stepped.positions + [1, 0, 0], atol=1e-6)

    builder = GlbBuilder()
    node = builder.node(mesh=builder.cube_mesh())
    # x = t^3 over two seconds: tangents 0 and 12, values 0 and 8; a cubic is met exactly.
    keys = [(0, 0, 0), (0, 0, 0), (0, 0, 0), (12, 0, 0), (8, 0, 0), (12, 0, 0)]
    builder.animate(node, "translation", [0.0, 2.0], keys, "CUBICSPLINE")
    cubic = read_rig(builder.save(tmp_path / "cubic.glb"))
    for seconds in (0.3, 1.0, 1.7):
        moved = cubic.evaluate("move", seconds) - cubic.positions
        np.testing.assert_allclose(moved[:, 0], seconds**3, atol=1e-5)


def test_unknown_animation_lists_the_known(tmp_path: Path) -> None:
    rig = read_rig(turning_cube(tmp_path / "cube.glb"))
    with pytest.raises(InputError, match="it has: move"):
        rig.evaluate("walk", 0)


def test_refuses_files_outside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = turning_cube(folder / "cube.glb")
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    content = json.loads(data[20 : 20 + length])
    (tmp_path / "secret.bin").write_bytes(data[28 + length :])
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "away").symlink_to(tmp_path)
    for uri, word in {
        "../secret.bin": "outside its folder",
        str(tmp_path / "secret.bin"): "outside its folder",
        quote(str(tmp_path / "secret.bin"), safe=""): "outside its folder",
        "https://example.com/secret.bin": "outside its folder",
        "file:///etc/passwd": "outside its folder",
        "%2e%2e/secret.bin": "outside its folder",
        "%2E%2E%2Fsecret.bin": "outside its folder",
        "link.bin": "outside its folder",
        "away/secret.bin": "outside its folder",
        "%252e%252e/secret.bin": "not in its folder",
        "away": "outside its folder",
        "a%00.bin": "glTF",
    }.items():
        content["buffers"][0]["uri"] = uri
        (folder / "cube.gltf").write_text(json.dumps(content))
        with pytest.raises(InputError, match=word):
            read_rig(folder / "cube.gltf")


@pytest.mark.parametrize("count", [10**12, -1, 10**30])
@pytest.mark.parametrize("backed", [True, False])
def test_an_accessor_that_declares_more_than_there_is(tmp_path: Path, count: int, backed: bool) -> None:
    path = turning_cube(tmp_path / "cube.glb")
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    content = json.loads(data[20 : 20 + length])
    buffer = base64.b64encode(data[28 + length :]).decode()
    content["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{buffer}"
    for accessor in content["accessors"]:
        accessor["count"] = count
        if not backed:
            del accessor["bufferView"]
    (tmp_path / "cube.gltf").write_text(json.dumps(content))
    with pytest.raises(InputError, match="declares an accessor"):
        read_rig(tmp_path / "cube.gltf")


def test_a_texture_with_a_giant_header(tmp_path: Path) -> None:
    builder = GlbBuilder()
    material = builder.texture(np.zeros((2, 2, 3), np.uint8))
    builder.node(mesh=builder.cube_mesh())
    builder.gltf.meshes[0].primitives[0].material = material
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    builder.gltf.images[0].bufferView = builder.view(b"\x89PNG\r\n\x1a\n" + chunk + data)
    with pytest.raises(InputError, match="too many pixels"):
        read_rig(builder.save(tmp_path / "cube.glb"))


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "absent"])
def test_broken_files_say_so(tmp_path: Path, damage: str) -> None:
    path = turning_cube(tmp_path / "cube.glb")
    data = path.read_bytes()
    path.unlink()
    if damage != "absent":
        path.write_bytes(
            {
                "empty": b"",
                "cut": data[: len(data) - 200],
                "noise": b"glTF" + np.random.default_rng(0).bytes(400),
            }[damage]
        )
    with pytest.raises(InputError):
        read_rig(path)


DEV_DATA = os.environ.get("LIM_DEV_DATA", "")


@pytest.mark.skipif(not DEV_DATA, reason="LIM_DEV_DATA names no folder of development data")
@pytest.mark.parametrize("name", ["blue_tang", "greenman", "mech_mike", "shiba_inu"])
def test_real_assets_meet_their_tracks(name: str) -> None:
    folder = Path(DEV_DATA) / "multiview" / name
    scene, tracks = json.loads((folder / "transforms.json").read_text()), np.load(folder / "tracks.npz")
    rig = read_rig(Path(DEV_DATA) / scene["asset"])
    corners = rig.faces[tracks["face_index"]]
    for step, seconds in enumerate(scene["time_seconds"]):
        vertices = rig.evaluate(scene["animation"], seconds) @ rotation_y(scene["yaw_deg"]).T
        vertices = (vertices - scene["norm_center"]) * scene["norm_scale"]
        points = np.einsum("nk,nkc->nc", tracks["bary"], vertices[corners])
        np.testing.assert_allclose(points, tracks["points"][step], atol=2e-6)
