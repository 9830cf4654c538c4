"""Artifacts come back as they were saved, and damaged ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from lim_cli.artifacts.folder_io import write_tensors
from lim_cli.artifacts.generation import Generation, InputCamera
from lim_cli.artifacts.store import (
    ClipArtifact,
    TextureArtifact,
    TrackArtifact,
    TriplaneArtifact,
    ViewsArtifact,
)
from lim_cli.core.camera import orbit_cameras
from lim_cli.core.errors import InputError
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.video.cropping import CropInfo

GENERATION = Generation(
    InputCamera(12.5, 40.0, "estimated", 4.0), (0, 1), (0.9, 0.95), 1, (0.9, 0.95), (0.8, None), (0.6, 0.6)
)
RANDOM = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def all_artifacts() -> list[Any]:
    cameras = orbit_cameras([0, 90, 180, 270], elevation=10, field_of_view=40, distance=2, size=(8, 8))
    track = TrackedMesh(
        RANDOM.normal(size=(2, 4, 3)).astype(np.float32),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        np.array([0.0, 0.5]),
    )
    each = type(cameras)(
        cameras.world_from_camera.expand(2, 4, 4, 4).clone(),
        cameras.intrinsics.expand(2, 4, 4).clone(),
        (8, 8),
    )
    times = np.array([0.0, 0.25])
    return [
        ClipArtifact(pixels(2, 8, 8, 4), times, CropInfo(-3, 2, 20, (30, 40))),
        ViewsArtifact(pixels(2, 4, 8, 8, 4), cameras, times, "generated", np.eye(4)),
        ViewsArtifact(pixels(2, 4, 8, 8, 4), each, times, "posed", np.diag([2.0, 2, 2, 1])),
        TriplaneArtifact(RANDOM.normal(size=(2, 3, 4, 5, 5)).astype(np.float16), times),
        TrackArtifact(track),
        TrackArtifact(track, np.ones((2, 4), np.float32)),
        TextureArtifact(TexturedTrack(track, RANDOM.random((4, 2)).astype(np.float32), pixels(16, 16, 3))),
        ViewsArtifact(pixels(2, 4, 8, 8, 4), cameras, times, "generated", np.eye(4), GENERATION),
    ]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b)) and a.dtype == b.dtype
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return bool(a == b)


@pytest.mark.parametrize("index", range(8))
def test_round_trip(tmp_path: Path, index: int) -> None:
    artifact = all_artifacts()[index]
    artifact.save(tmp_path)
    assert same(type(artifact).load(tmp_path), artifact)


@pytest.mark.parametrize("index", range(8))
def test_damage_is_refused(tmp_path: Path, index: int) -> None:
    artifact = all_artifacts()[index]
    kind = type(artifact)
    with pytest.raises(InputError):
        kind.load(tmp_path)
    artifact.save(tmp_path)
    arrays = load_file(tmp_path / "arrays.safetensors")
    for name, array in arrays.items():
        for wrong in ({**arrays, name: array[None]}, {**arrays, name: array.astype(np.int16)}):
            save_file(wrong, tmp_path / "arrays.safetensors")
            with pytest.raises(InputError):
                kind.load(tmp_path)
    save_file({**arrays, "surplus": np.zeros(1)}, tmp_path / "arrays.safetensors")
    with pytest.raises(InputError):
        kind.load(tmp_path)
    (tmp_path / "arrays.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(InputError):
        kind.load(tmp_path)


def test_pictures_are_checked(tmp_path: Path) -> None:
    artifact = all_artifacts()[0]
    artifact.save(tmp_path)
    (tmp_path / "frames" / "0001.png").unlink()
    with pytest.raises(InputError, match="expected 2"):
        ClipArtifact.load(tmp_path)
    with pytest.raises(InputError, match="'views'"):
        ViewsArtifact.load(tmp_path)


def test_wrong_shapes_are_refused_when_made() -> None:
    with pytest.raises(ValueError, match="triplanes"):
        TriplaneArtifact(np.zeros((2, 4, 4, 5, 5), np.float16), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="increase"):
        TriplaneArtifact(np.zeros((2, 3, 4, 5, 5), np.float16), np.array([1.0, 1.0]))


def test_declared_sizes_are_checked_before_memory_is_asked_for(tmp_path: Path) -> None:
    all_artifacts()[0].save(tmp_path / "clip")
    scalars = tmp_path / "clip" / "artifact.json"
    scalars.write_text(scalars.read_text().replace("8,\n  8", "16384,\n  16384"))
    assert "16384" in scalars.read_text()
    with pytest.raises(InputError, match="expected RGBA 16384x16384"):
        ClipArtifact.load(tmp_path / "clip")

    (tmp_path / "texture").mkdir()
    all_artifacts()[6].save(tmp_path / "texture")
    Image.new("RGB", (16_385, 1)).save(tmp_path / "texture" / "texture.png")
    with pytest.raises(InputError, match="at most 16384"):
        TextureArtifact.load(tmp_path / "texture")

    arrays = tmp_path / "clip" / "arrays.safetensors"
    header = b'{"times":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'
    for wrong in (len(header).to_bytes(8, "little") + header, (1 << 62).to_bytes(8, "little") + header):
        arrays.write_bytes(wrong)
        with pytest.raises(InputError, match="damaged"):
            ClipArtifact.load(tmp_path / "clip")


def test_numbers_that_are_none_are_damage(tmp_path: Path) -> None:
    track = all_artifacts()[4]
    track.save(tmp_path)
    arrays = load_file(tmp_path / "arrays.safetensors")
    arrays["vertices"][0, 0, 0] = np.nan
    save_file(arrays, tmp_path / "arrays.safetensors")
    with pytest.raises(InputError, match="NaN"):
        TrackArtifact.load(tmp_path)


def test_what_the_system_says_shows_through_safetensors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_tensors(tmp_path / "absent" / "a.safetensors", {"a": np.zeros(3)})


@pytest.mark.parametrize("change", [{"chosen": 2}, {"mask": []}, {"camera": 3}, {"surplus": 1}, None])
def test_a_damaged_account_of_the_generation_is_refused(tmp_path: Path, change: dict[str, Any] | None) -> None:
    all_artifacts()[7].save(tmp_path)
    file = tmp_path / "generation.json"
    file.write_text("{" if change is None else json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(InputError, match=r"generation\.json is damaged"):
        ViewsArtifact.load(tmp_path)
