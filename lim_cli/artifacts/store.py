"""What stages hand on: frozen records that save to a folder and load from it strictly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
import torch
from PIL import Image

from lim_cli.artifacts.folder_io import (
    load_arrays,
    load_picture,
    load_pictures,
    load_scalars,
    save_arrays,
    save_pictures,
    save_scalars,
)
from lim_cli.artifacts.generation import Generation
from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.video.cropping import CropInfo

T = TypeVar("T")

LARGEST_TEXTURE = 16384


@dataclass(frozen=True)
class ClipArtifact:
    """A matted, square clip.

    rgba: [time, size, size, 4] uint8, straight alpha. times: [time] float64 seconds, increasing from 0.
    crop: where the square lies in the source frames.
    """

    rgba: np.ndarray
    times: np.ndarray
    crop: CropInfo

    def __post_init__(self) -> None:
        _expect("rgba", self.rgba, "uint8", (len(self.times), None, None, 4))
        _expect_times(self.times)

    def save(self, folder: Path) -> None:
        save_pictures(folder / "frames", self.rgba)
        save_arrays(folder, {"times": self.times})
        save_scalars(folder, "clip", {"size": list(self.rgba.shape[1:3]), "crop": dataclasses.asdict(self.crop)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises InputError where the folder is missing, damaged or of another kind."""
        values = load_scalars(folder, "clip", {"size": list, "crop": dict})
        times = load_arrays(folder, {"times": ("float64", ("time",))}, {})["times"]
        names = ("left", "top", "side", "source_size")
        numbers = [values["crop"].get(n) for n in names[:3]] + _size(folder, values["crop"].get("source_size"))
        if set(values["crop"]) != set(names) or not all(isinstance(n, int) for n in numbers):
            raise InputError(f"{folder}: 'crop' is damaged; run its stage again.")
        crop = CropInfo(numbers[0], numbers[1], numbers[2], (numbers[3], numbers[4]))
        height, width = _size(folder, values["size"])
        rgba = load_pictures(folder / "frames", len(times), (height, width))
        return _checked(folder, lambda: cls(rgba, times, crop))


@dataclass(frozen=True)
class ViewsArtifact:
    """Posed views of every keyframe.

    rgba: [keyframe, view, height, width, 4] uint8, straight alpha.
    cameras: shared [view] or per keyframe [keyframe, view], model frame, of that image size.
    keyframe_times: [keyframe] float64 seconds, increasing.
    source: `posed` (given by the user) or `generated` (by diffusion).
    world_from_model: [4, 4] float64, from the model frame to the user's world.
    generation: how generated views came about, None of posed ones.
    """

    rgba: np.ndarray
    cameras: Cameras
    keyframe_times: np.ndarray
    source: Literal["posed", "generated"]
    world_from_model: np.ndarray
    generation: Generation | None = None

    def __post_init__(self) -> None:
        _expect("rgba", self.rgba, "uint8", (len(self.keyframe_times), None, None, None, 4))
        _expect_times(self.keyframe_times)
        _expect("world_from_model", self.world_from_model, "float64", (4, 4))
        lead = tuple(self.cameras.intrinsics.shape[:-1])
        if (
            lead not in ((self.rgba.shape[1],), self.rgba.shape[:2])
            or lead != self.cameras.world_from_camera.shape[:-2]
        ):
            raise ValueError(f"expected cameras [view] or [keyframe, view] for {self.rgba.shape[:2]}, got {lead}")
        if self.cameras.size != self.rgba.shape[2:4]:
            raise ValueError(f"cameras are of {self.cameras.size}, images of {self.rgba.shape[2:4]}")
        if self.source not in ("posed", "generated"):
            raise ValueError(f"source must be 'posed' or 'generated', got {self.source!r}")

    def cameras_at(self, keyframe: int) -> Cameras:
        """The cameras [view] of one keyframe."""
        return self.cameras if self.cameras.intrinsics.ndim == 2 else self.cameras[keyframe]

    @staticmethod
    def source_in(folder: Path) -> str:
        """The source of the views saved in a folder, without reading a picture."""
        return str(load_scalars(folder, "views", VIEWS_SCALARS)["source"])

    def save(self, folder: Path) -> None:
        save_pictures(folder / "views", self.rgba.reshape(-1, *self.rgba.shape[2:]))
        arrays = {
            "world_from_camera": self.cameras.world_from_camera.cpu().numpy().astype(np.float32),
            "intrinsics": self.cameras.intrinsics.cpu().numpy().astype(np.float32),
            "keyframe_times": self.keyframe_times,
            "world_from_model": self.world_from_model,
        }
        save_arrays(folder, arrays)
        shared = self.cameras.intrinsics.ndim == 2
        values = {"size": list(self.rgba.shape[2:4]), "source": self.source, "shared_cameras": shared}
        save_scalars(folder, "views", values)
        if self.generation is not None:
            self.generation.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises InputError where the folder is missing, damaged or of another kind."""
        values = load_scalars(folder, "views", VIEWS_SCALARS)
        lead = ("view",) if values["shared_cameras"] else ("keyframe", "view")
        specs = {
            "keyframe_times": ("float64", ("keyframe",)),
            "world_from_camera": ("float32", (*lead, 4, 4)),
            "intrinsics": ("float32", (*lead, 4)),
            "world_from_model": ("float64", (4, 4)),
        }
        arrays = load_arrays(folder, specs, {})
        height, width = _size(folder, values["size"])
        keyframes, views = len(arrays["keyframe_times"]), arrays["intrinsics"].shape[-2]
        generation = Generation.load(folder)
        rgba = load_pictures(folder / "views", keyframes * views, (height, width))
        poses, intrinsics = (
            torch.from_numpy(arrays["world_from_camera"]),
            torch.from_numpy(arrays["intrinsics"]),
        )
        return _checked(
            folder,
            lambda: cls(
                rgba.reshape(keyframes, views, height, width, 4),
                Cameras(poses, intrinsics, (height, width)),
                arrays["keyframe_times"],
                values["source"],
                arrays["world_from_model"],
                generation,
            ),
        )


@dataclass(frozen=True)
class TriplaneArtifact:
    """triplanes: [keyframe, 3, channel, height, width] float16. times: [keyframe] float64 seconds."""

    triplanes: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        _expect("triplanes", self.triplanes, "float16", (len(self.times), 3, None, None, None))
        _expect_times(self.times)

    def save(self, folder: Path) -> None:
        save_arrays(folder, {"triplanes": self.triplanes, "times": self.times})
        save_scalars(folder, "triplanes", {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises InputError where the folder is missing, damaged or of another kind."""
        load_scalars(folder, "triplanes", {})
        shape = ("keyframe", 3, "channel", "height", "width")
        arrays = load_arrays(folder, {"times": ("float64", ("keyframe",)), "triplanes": ("float16", shape)}, {})
        return _checked(folder, lambda: cls(arrays["triplanes"], arrays["times"]))


@dataclass(frozen=True)
class TrackArtifact:
    """A mesh tracked through time; canonical_confidence: [time, vertex] float32 in [0, 1] or None."""

    track: TrackedMesh
    canonical_confidence: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.canonical_confidence is not None:
            _expect("canonical_confidence", self.canonical_confidence, "float32", self.track.vertices.shape[:2])

    def save(self, folder: Path) -> None:
        arrays = _track_arrays(self.track)
        if self.canonical_confidence is not None:
            arrays["canonical_confidence"] = self.canonical_confidence
        save_arrays(folder, arrays)
        save_scalars(folder, "track", {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises InputError where the folder is missing, damaged or of another kind."""
        load_scalars(folder, "track", {})
        arrays = load_arrays(folder, TRACK_SPECS, {"canonical_confidence": ("float32", ("time", "vertex"))})
        return _checked(folder, lambda: cls(_track(arrays), arrays.get("canonical_confidence")))


@dataclass(frozen=True)
class TextureArtifact:
    """A tracked mesh with its texture."""

    textured: TexturedTrack

    def save(self, folder: Path) -> None:
        save_arrays(folder, {**_track_arrays(self.textured.track), "uv": self.textured.uv})
        Image.fromarray(self.textured.texture).save(folder / "texture.png")
        save_scalars(folder, "texture", {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises InputError where the folder is missing, damaged or of another kind."""
        load_scalars(folder, "texture", {})
        arrays = load_arrays(folder, {**TRACK_SPECS, "uv": ("float32", ("vertex", 2))}, {})
        texture = load_picture(folder / "texture.png", "RGB", largest=LARGEST_TEXTURE)
        return _checked(folder, lambda: cls(TexturedTrack(_track(arrays), arrays["uv"], texture)))


VIEWS_SCALARS: dict[str, type] = {"size": list, "source": str, "shared_cameras": bool}
TRACK_SPECS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "times": ("float64", ("time",)),
    "vertices": ("float32", ("time", "vertex", 3)),
    "faces": ("int32", ("face", 3)),
}


def _track_arrays(track: TrackedMesh) -> dict[str, np.ndarray]:
    return {"times": track.times, "vertices": track.vertices, "faces": track.faces}


def _track(arrays: dict[str, np.ndarray]) -> TrackedMesh:
    faces, count = arrays["faces"], arrays["vertices"].shape[1]
    if faces.size and (faces.min() < 0 or faces.max() >= count):
        raise ValueError(f"faces refer to vertices outside 0..{count - 1}")
    if not np.isfinite(arrays["vertices"]).all():
        raise ValueError("a vertex is NaN or infinite")
    return TrackedMesh(arrays["vertices"], faces, arrays["times"])


def _checked(folder: Path, build: Callable[[], T]) -> T:
    try:
        return build()
    except ValueError as error:
        raise InputError(f"{folder} is damaged ({error}); run its stage again.") from error


def _size(folder: Path, value: object) -> list[int]:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(v, int) and 0 < v <= 16384 for v in value):
        raise InputError(f"{folder}: an image size is damaged; run its stage again.")
    return list(value)


def _expect(name: str, array: np.ndarray, dtype: str, shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, array.shape, strict=True))
    if not fits or array.dtype != dtype:
        raise ValueError(f"expected {name} {dtype} {list(shape)}, got {array.dtype} {list(array.shape)}")


def _expect_times(times: np.ndarray) -> None:
    _expect("times", times, "float64", (None,))
    if not np.isfinite(times).all() or not bool(np.all(np.diff(times) > 0)):
        raise ValueError("times must be finite and increase")
