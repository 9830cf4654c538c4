from __future__ import annotations

import json
from pathlib import Path

import pytest

from lim_cli.core.files import hash_file
from lim_cli.data.model_files import hash_model, model_files


def gltf(folder: Path) -> tuple[Path, list[str]]:
    (folder / "pictures").mkdir()
    uris = ["a%20b.bin", "data:application/octet-stream;base64,AAAA", "absent.bin"]
    pictures = [{"uri": "pictures/skin.png"}, {"bufferView": 0}]
    model = folder / "dog.gltf"
    model.write_text(json.dumps({"buffers": [{"uri": uri} for uri in uris], "images": pictures}))
    return model, ["a b.bin", "pictures/skin.png"]


def obj(folder: Path) -> tuple[Path, list[str]]:
    model = folder / "dog.obj"
    model.write_text("o dog\nmtllib my coat.mtl\nv 0 0 0\nusemtl coat\n")
    (folder / "my coat.mtl").write_text(
        "newmtl coat\nKd 1 1 1\nmap_Kd fur colour.png\n  map_bump -bm 0.5 bumps.png\nmap_d absent.png\n"
    )
    return model, ["bumps.png", "fur colour.png", "my coat.mtl"]


def ply(folder: Path) -> tuple[Path, list[str]]:
    model = folder / "dog.ply"
    model.write_bytes(b"ply\nformat binary_little_endian 1.0\ncomment TextureFile fur.png\nend_header\n\xff\x00")
    return model, ["fur.png"]


@pytest.mark.parametrize("make", [gltf, obj, ply])
def test_a_change_of_any_file_is_a_change_of_the_model(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    model, others = make(tmp_path)
    for name in others:
        if not (tmp_path / name).exists():
            (tmp_path / name).write_bytes(b"first")
    (tmp_path / "stranger.png").write_bytes(b"first")
    assert model_files(model) == [model, *(tmp_path / name for name in others)]
    seen = {hash_model(model)}
    (tmp_path / "stranger.png").write_bytes(b"second")
    assert hash_model(model) in seen
    for name in ["", *others]:
        changed = tmp_path / name if name else model
        changed.write_bytes(changed.read_bytes() + b" ")
        seen.add(hash_model(model))
    assert len(seen) == 2 + len(others)


def test_files_elsewhere_are_not_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    model = inside / "dog.gltf"
    uris = ["../secret.png", str(tmp_path / "secret.png"), "link.png", "a\0b", "https://example.org/a.png"]
    model.write_text(json.dumps({"images": [{"uri": uri} for uri in uris]}))
    assert model_files(model) == [model]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.gltf", b"{"),
        ("a.gltf", b'{"buffers": 3, "images": [3, {"uri": 4}]}'),
        ("a.gltf", b"[" * 200_000),
        ("a.glb", b"glTF\x02\x00"),
        ("a.obj", b"mtllib\nmtllib a.obj\n\xff\xfe"),
        ("a.ply", b"\xff" * 100),
        ("a.stl", b"solid"),
    ],
)
def test_what_cannot_be_understood_is_its_own_file(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert hash_model(path) == hash_file(path)
