"""Reading `transforms.json`: every value checked, no picture opened yet."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.core.axes import OPENGL_FROM_OPENCV
from lim_cli.core.errors import InputError
from lim_cli.video.clip import LARGEST_SIDE

FILE_NAME = "transforms.json"
Y_UP_FROM_Z_UP = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
DISTORTIONS = ("k1", "k2", "k3", "k4", "p1", "p2")
TIME_STEP = 1e-6
"""Times closer than this are one keyframe."""


@dataclass(frozen=True)
class FrameEntry:
    """One picture: its checked path, world_from_camera [4, 4] float64 (OpenCV axes, +Y up), time 0..1, split.

    intrinsics: (fx, fy, cx, cy) in pixels of `size` (height, width), each None where the file leaves it open.
    """

    path: Path
    world_from_camera: np.ndarray
    time: float
    split: str | None
    intrinsics: tuple[float | None, float | None, float | None, float | None]
    field_of_view: float | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Transforms:
    """All frames of a file, and the seconds of its distinct times (both over input and eval frames)."""

    frames: tuple[FrameEntry, ...]
    times: np.ndarray
    times_seconds: np.ndarray


def read_transforms(folder: Path, *, input_fps: float) -> Transforms:
    """Reads and checks `transforms.json` of a scene folder.

    Raises:
        InputError: missing or broken file, keys or matrices, or a path that leaves the folder.
    """
    file = folder / FILE_NAME
    table = _load(file)
    up = table.get("world_up", "y")
    if up not in ("y", "z"):
        raise InputError(f'{file}: \'world_up\' must be "y" or "z", got {up!r}.')
    entries = table.get("frames")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{file}: 'frames' must be a list with at least one frame.")
    turn = Y_UP_FROM_Z_UP if up == "z" else np.eye(4)
    frames = tuple(_frame(file, table, entry, index, turn) for index, entry in enumerate(entries))
    times = distinct_times(np.array([f.time for f in frames]))
    return Transforms(frames, times, _seconds(file, table, times, input_fps))


def distinct_times(times: np.ndarray) -> np.ndarray:
    """Sorted times [n] with those merged that differ by less than `TIME_STEP`."""
    ordered = np.unique(times)
    return np.asarray(ordered[np.concatenate([[True], np.diff(ordered) > TIME_STEP])])


def steps_between(seconds: np.ndarray, start: float | None, end: float | None, max_steps: int | None) -> np.ndarray:
    """Which of the time steps [n], seconds, lie from `start` until before `end`, counted from the first one; at most

    `max_steps` of them, spread evenly from the first to the last.

    Raises:
        InputError: none does.
    """
    since = seconds - seconds[0]
    kept = np.flatnonzero((since >= (start or 0.0) - 1e-6) & (since < (math.inf if end is None else end - 1e-6)))
    if not len(kept):
        raise InputError("The scene has no time step between --start and --end; choose times within it.")
    if max_steps is not None and len(kept) > max_steps:
        kept = kept[np.linspace(0, len(kept) - 1, max_steps).round().astype(int)]
    return kept


def _load(file: Path) -> dict[str, Any]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file.parent} has no {FILE_NAME}; give a scene folder in the nerfstudio layout.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} is not valid JSON ({error}); mend or export it again.") from None
    if not isinstance(table, dict):
        raise InputError(f"{file} must hold a JSON object with 'frames'.")
    return table


def _frame(file: Path, table: dict[str, Any], entry: Any, index: int, turn: np.ndarray) -> FrameEntry:
    where = f"{file}: frames[{index}]"
    if not isinstance(entry, dict):
        raise InputError(f"{where} must be an object.")
    merged = {**table, **entry}  # A frame's own intrinsics win over the file's.
    for key in DISTORTIONS:
        if abs(_number(where, merged, key, default=0.0)) > 1e-9:
            raise InputError(f"{where}: lens distortion '{key}' is not supported; undistort the pictures first.")
    if str(merged.get("camera_model", "OPENCV")).upper() not in ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE"):
        raise InputError(f"{where}: 'camera_model' {merged['camera_model']!r} is not supported; use a pinhole camera.")
    split = merged.get("split")
    if split not in (None, "input", "eval", "train", "test", "val"):
        raise InputError(f'{where}: \'split\' must be "input" or "eval", got {split!r}.')
    time = _number(where, entry, "time", default=0.0)
    if not 0 <= time <= 1:
        raise InputError(f"{where}: 'time' must lie in 0..1, got {time}.")
    fx, fy, cx, cy = (_optional(where, merged, key) for key in ("fl_x", "fl_y", "cx", "cy"))
    for key, value in (("fl_x", fx), ("fl_y", fy)):
        if value is not None and not 1e-2 <= value <= 1e8:
            raise InputError(f"{where}: '{key}' must be positive and a length in pixels, got {value}.")
    angle = _optional(where, merged, "camera_angle_x")
    if fx is None and fy is None and angle is None:
        raise InputError(f"{where}: 'fl_x' is missing; give the focal length in pixels.")
    if angle is not None and not 1e-5 < angle < math.pi - 1e-5:
        raise InputError(f"{where}: 'camera_angle_x' must lie between 0 and pi, got {angle}.")
    return FrameEntry(
        path=_picture_path(file.parent, where, entry),
        world_from_camera=turn @ _pose(where, entry) @ OPENGL_FROM_OPENCV,
        time=time,
        split={"train": "input", "test": "eval", "val": "eval"}.get(split, split) if split else None,
        intrinsics=(fx, fy, cx, cy),
        field_of_view=angle,
        size=_declared_size(where, merged),
    )


def _pose(where: str, entry: dict[str, Any]) -> np.ndarray:
    if "transform_matrix" not in entry:
        raise InputError(f"{where}: 'transform_matrix' is missing.")
    try:
        matrix = np.array(entry["transform_matrix"], dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{where}: 'transform_matrix' must hold 4x4 numbers.") from None
    if matrix.shape != (4, 4):
        raise InputError(f"{where}: 'transform_matrix' must be 4x4, got {list(matrix.shape)}.")
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 1e8:
        raise InputError(f"{where}: 'transform_matrix' holds a number that is not finite or absurdly large.")
    rotation = matrix[:3, :3]
    rigid = np.allclose(rotation @ rotation.T, np.eye(3), atol=2e-3) and np.linalg.det(rotation) > 0
    if not rigid or not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
        raise InputError(f"{where}: 'transform_matrix' is not a rotation and a shift; remove scale, shear and mirrors.")
    return matrix


def _picture_path(folder: Path, where: str, entry: dict[str, Any]) -> Path:
    """The picture's path, which must stay inside the folder even through links."""
    name = entry.get("file_path")
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"{where}: 'file_path' is missing or not a text.")
    relative = Path(name.replace("\\", "/"))
    try:
        path = (folder / relative).resolve()
        inside = path.is_relative_to(folder.resolve())
        if relative.is_absolute() or not inside:
            raise InputError(f"{where}: 'file_path' {name!r} leaves the scene folder; keep pictures inside it.")
        if not path.suffix and not path.exists():  # The original NeRF scenes leave out ".png".
            path = path.with_suffix(".png").resolve()
            if not path.is_relative_to(folder.resolve()):
                raise InputError(f"{where}: 'file_path' {name!r} leaves the scene folder; keep pictures inside it.")
        if not path.is_file():
            raise InputError(f"{where}: picture {name!r} does not exist.")
    except (OSError, RuntimeError):
        raise InputError(f"{where}: 'file_path' {name[:80]!r} cannot be opened.") from None
    return path


def _declared_size(where: str, merged: dict[str, Any]) -> tuple[int, int] | None:
    if "w" not in merged and "h" not in merged:
        return None
    size = _number(where, merged, "h"), _number(where, merged, "w")
    for key, value in zip("hw", size, strict=True):
        if value != int(value) or not 1 <= value <= LARGEST_SIDE:
            raise InputError(f"{where}: '{key}' must be a whole number from 1 to {LARGEST_SIDE}, got {value}.")
    return int(size[0]), int(size[1])


def _seconds(file: Path, table: dict[str, Any], times: np.ndarray, input_fps: float) -> np.ndarray:
    """Seconds of each distinct time: `time_seconds`, else time steps at `input_fps`."""
    if not 0 < input_fps < math.inf:
        raise InputError(f"--input-fps must be positive, got {input_fps}.")
    given = table.get("time_seconds")
    if given is None:
        return np.asarray((times - times[0]) * max(1, len(times) - 1) / (times[-1] - times[0] or 1.0) / input_fps)
    try:
        seconds = np.array(given, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{file}: 'time_seconds' must be a list of numbers.") from None
    if seconds.shape != times.shape:
        raise InputError(f"{file}: 'time_seconds' must have {len(times)} numbers, one per time step.")
    if not np.isfinite(seconds).all() or np.any(np.diff(seconds) <= 0):
        raise InputError(f"{file}: 'time_seconds' must increase and be finite.")
    return seconds


def _number(where: str, table: dict[str, Any], key: str, *, default: float | None = None) -> float:
    value = table.get(key, default)
    if value is None:
        raise InputError(f"{where}: '{key}' is missing.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise InputError(f"{where}: '{key}' must be a finite number, got {str(value)[:40]}.")
    return float(value)


def _optional(where: str, table: dict[str, Any], key: str) -> float | None:
    return None if table.get(key) is None else _number(where, table, key)
