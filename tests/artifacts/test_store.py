"""Artifacts come back as they were saved, and damaged ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

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
    ]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b)) and a.dtype == b.dtype
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return bool(a == b)


@pytest.mark.parametrize("index", range(7))
def test_round_trip(tmp_path: Path, index: int) -> None:
    artifact = all_artifacts()[index]
    artifact.save(tmp_path)
    assert same(type(artifact).load(tmp_path), artifact)


@pytest.mark.parametrize("index", range(7))
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
