from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from lim_cli.core.errors import InputError
from lim_cli.data.gltf_reading import read_rig
from lim_cli.export.driven_gltf import MorphPatch, read_document, write_driven_glb
from lim_cli.export.glb_file import pack_glb
from lim_cli.export.inspect import inspect_glb
from tests.data.rigged_cubes import GlbBuilder, cube

TIMES = np.array([0.0, 1.0, 3.0])
WEIGHTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def patch(node: int, lift: float, weights: tuple[float, ...] = ()) -> MorphPatch:
    """All vertices of a cube rise by `lift` in the first target, by twice that in the second."""
    deltas = np.tile([0.0, lift, 0.0], (2, 24, 1)) * np.array([1.0, 2.0])[:, None, None]
    return MorphPatch(node, 0, (0,), deltas.astype(np.float32), np.zeros((2, 24, 3), np.float32), None, weights)


def test_two_nodes_with_one_mesh_move_apart(tmp_path: Path) -> None:
    builder = GlbBuilder()
    mesh = builder.cube_mesh()
    for x in (0.0, 10.0):
        builder.node(mesh=mesh, translation=[x, 0.0, 0.0])
    source = builder.save(tmp_path / "a.glb")
    write_driven_glb(tmp_path / "b.glb", source, [patch(0, 1.0), patch(1, -1.0)], TIMES, WEIGHTS, ["one", "two"])
    document, _ = read_document(tmp_path / "b.glb")
    assert [node["mesh"] for node in document["nodes"]] == [0, 1]
    assert [len(m["primitives"][0]["targets"]) for m in document["meshes"]] == [2, 2]
    assert document["meshes"][1]["extras"]["targetNames"] == ["one", "two"]
    rig = read_rig(tmp_path / "b.glb")
    for time, lift in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (3.0, 2.0)):
        moved = rig.evaluate("motion", time)
        left = moved[:, 0] < 5
        assert moved[left][:, 1].max() == pytest.approx(1 + lift)
        assert moved[~left][:, 1].max() == pytest.approx(1 - lift)


def test_targets_the_file_had_are_held(tmp_path: Path) -> None:
    builder = GlbBuilder()
    mesh = builder.cube_mesh(targets=[builder.array(np.tile([0.0, 0.0, 4.0], (24, 1)))])
    builder.gltf.meshes[mesh].weights = [0.25]
    node = builder.node(mesh=mesh)
    builder.animate(node, "translation", [0.0, 1.0], [(0, 0, 0), (9, 9, 9)])
    source = builder.save(tmp_path / "a.glb")
    write_driven_glb(tmp_path / "b.glb", source, [patch(0, 1.0, (0.25,))], TIMES, WEIGHTS, ["one", "two"])
    document, _ = read_document(tmp_path / "b.glb")
    assert document["meshes"][0]["weights"] == [0.25, 0.0, 0.0]
    assert document["meshes"][0]["extras"]["targetNames"] == ["target_0", "one", "two"]
    rig = read_rig(tmp_path / "b.glb")
    assert [animation.name for animation in rig.animations] == ["motion"]
    np.testing.assert_allclose(
        np.sort(rig.evaluate("motion", 1.0), axis=0), np.sort(cube()[0] + [0, 1, 1], axis=0), atol=1e-6
    )


@pytest.mark.parametrize("inside", [True, False])
def test_buffers_of_a_text_file_come_into_the_binary_one(tmp_path: Path, inside: bool) -> None:
    builder = GlbBuilder()
    builder.node(mesh=builder.cube_mesh())
    document, blob = read_document(builder.save(tmp_path / "a.glb"))
    half = len(blob) // 8 * 4  # no array lies across the middle: what does goes to the second half
    starts = [view["byteOffset"] for view in document["bufferViews"]]
    cut = max(start for start in starts if start <= half)
    for view in document["bufferViews"]:
        if view["byteOffset"] >= cut:
            view.update(buffer=1, byteOffset=view["byteOffset"] - cut)
    document["buffers"] = []
    for n, part in enumerate((blob[:cut], blob[cut:])):
        (tmp_path / f"{n} a.bin").write_bytes(part)
        uri = f"data:application/octet-stream;base64,{base64.b64encode(part).decode()}" if inside else f"{n}%20a.bin"
        document["buffers"].append({"uri": uri, "byteLength": len(part)})
    (tmp_path / "text.gltf").write_text(json.dumps(document))
    for name in ("a.glb", "text.gltf"):
        output = tmp_path / "other" / f"of_{name}.glb"
        write_driven_glb(output, tmp_path / name, [patch(0, 1.0)], TIMES, WEIGHTS, ["one", "two"])
    of_binary, of_text = (inspect_glb(tmp_path / "other" / f"of_{name}.glb") for name in ("a.glb", "text.gltf"))
    assert of_text.extent == of_binary.extent == pytest.approx((2, 2, 2))
    assert of_text.motion == of_binary.motion
    assert len(read_document(tmp_path / "other" / "of_text.gltf.glb")[0]["buffers"]) == 1


def test_pictures_of_the_folder_come_along_and_others_are_referred_to(tmp_path: Path) -> None:
    builder = GlbBuilder()
    builder.node(mesh=builder.cube_mesh())
    (tmp_path / "in").mkdir()
    source = builder.save(tmp_path / "in" / "a.glb")
    document, blob = read_document(source)
    (tmp_path / "in" / "skin a.jpg").write_bytes(b"picture")
    document["images"] = [
        {"uri": "skin%20a.jpg", "name": "skin"},
        {"uri": "../b.png"},
        {"uri": "data:image/png;base64,"},
    ]
    source.write_bytes(pack_glb(document, blob))
    write_driven_glb(tmp_path / "out" / "b.glb", source, [patch(0, 1.0)], TIMES, WEIGHTS, ["one", "two"])
    after, data = read_document(tmp_path / "out" / "b.glb")
    view = after["bufferViews"][after["images"][0].pop("bufferView")]
    assert data[view["byteOffset"] :][: view["byteLength"]] == b"picture"
    assert after["images"] == [
        {"name": "skin", "mimeType": "image/jpeg"}, {"uri": "../b.png"}, {"uri": "data:image/png;base64,"},
    ]  # fmt: skip
    (tmp_path / "in" / "skin a.jpg").unlink()
    with pytest.raises(InputError, match="not in its folder"):
        write_driven_glb(tmp_path / "out" / "b.glb", source, [patch(0, 1.0)], TIMES, WEIGHTS, ["one", "two"])


def test_fields_nobody_knows_survive(tmp_path: Path) -> None:
    builder = GlbBuilder()
    builder.node(mesh=builder.cube_mesh())
    source = builder.save(tmp_path / "a.glb")
    document, blob = read_document(source)
    document["extensionsUsed"] = ["ACME_lamp"]
    document["nodes"][0]["extensions"] = {"ACME_lamp": {"watts": 40}}
    document["nodes"][0]["weights"] = []
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(blob), 0x004E4942) + blob
    source.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    write_driven_glb(tmp_path / "b.glb", source, [patch(0, 1.0)], TIMES, WEIGHTS, ["one", "two"])
    after, _ = read_document(tmp_path / "b.glb")
    assert after["nodes"][0]["extensions"] == {"ACME_lamp": {"watts": 40}}
    assert after["nodes"][0]["weights"] == [0.0, 0.0]


def test_no_gltf_is_an_input_error(tmp_path: Path) -> None:
    for text in (b"nothing", b"glTF", b"glTF" + bytes(40), b"[1]", b"5", b"null", b"[" * 100_000):
        (tmp_path / "a.glb").write_bytes(text)
        with pytest.raises(InputError, match="as glTF"):
            read_document(tmp_path / "a.glb")
