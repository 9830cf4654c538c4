"""Scene folders: posed multi-view videos as pictures with `transforms.json` (nerfstudio layout)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from lim_cli.core.axes import OPENGL_FROM_OPENCV
from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError, OutputError
from lim_cli.core.files import atomic_folder
from lim_cli.data.scene import Scene, SceneKeyframe
from lim_cli.data.scene_transforms import FILE_NAME, TIME_STEP, FrameEntry, read_transforms, steps_between
from lim_cli.video.clip import LARGEST_SIDE, Clip, bounded_size
from lim_cli.video.matting import choose_mode, matte
from lim_cli.video.pictures import open_picture, read_picture
from lim_cli.video.reading import DEFAULT_FPS, MAX_SIDE

Matte = Callable[[Clip], Clip]


def is_scene_folder(path: Path | str) -> bool:
    """Whether a path is a folder with `transforms.json`."""
    return (Path(path) / FILE_NAME).is_file()


def read_scene(
    path: Path | str,
    *,
    split: Literal["input", "eval"] | None = "input",
    input_fps: float = DEFAULT_FPS,
    start: float | None = None,
    end: float | None = None,
    max_frames: int | None = None,
    matte_views: Matte = matte,
    max_side: int | None = MAX_SIDE,
) -> Scene:
    """Reads a scene folder; cameras in OpenCV axes, world +Y up, views in order of azimuth.

    Args:
        split: which frames; frames that name no split count as input. None takes all.
        input_fps: time steps per second where the file has no `time_seconds`.
        start, end, max_frames: which time steps, see `scene_transforms.steps_between`.
        matte_views: gives alpha to views whose pictures have none; called with one view over all times.
        max_side: pictures (and intrinsics) are shrunk to it while reading.

    Raises:
        InputError: anything wrong with the folder; one sentence naming file and key.
    """
    folder = Path(path)
    transforms = read_transforms(folder, input_fps=input_fps)
    chosen = [f for f in transforms.frames if split is None or (f.split or "input") == split]
    if not chosen:
        raise InputError(f"{folder / FILE_NAME}: no frame has split '{split}'.")
    size = _common_size(folder, chosen)
    groups: list[list[FrameEntry]] = []
    kept: list[int] = []
    for index, time in enumerate(transforms.times):
        group = [f for f in chosen if 0 <= f.time - time <= TIME_STEP]
        if group:
            groups.append(sorted(group, key=lambda f: (*_direction(f), f.path.name)))
            kept.append(index)
    some = steps_between(transforms.times_seconds[kept], start, end, max_frames)
    groups, kept = [groups[n] for n in some], [kept[n] for n in some]
    small = bounded_size(size, max_side)
    rgba = [np.stack([read_picture(f.path, max_side=max_side) for f in group]) for group in groups]
    rgba = _with_mattes(rgba, folder.name, matte_views)
    keyframes = tuple(
        SceneKeyframe(pictures, _cameras(group, size).resized(small), float(transforms.times[index]))
        for pictures, group, index in zip(rgba, groups, kept, strict=True)
    )
    return Scene(keyframes, transforms.times_seconds[kept], folder.resolve().name)


def write_scene(path: Path | str, scene: Scene) -> None:
    """Writes a scene folder: RGBA PNGs and `transforms.json`, whole or not at all.

    Raises:
        OutputError: the folder exists and is no scene folder, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not is_scene_folder(path) and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} exists and is not a scene folder; choose another path.")
    frames: list[dict[str, Any]] = []
    with atomic_folder(path) as partial:
        (partial / "images").mkdir()
        for time_index, keyframe in enumerate(scene.keyframes):
            for view, picture in enumerate(keyframe.rgba):
                name = f"images/t{time_index:03d}_v{view:02d}.png"
                Image.fromarray(picture).save(partial / name, compress_level=3)
                pose = keyframe.cameras.world_from_camera[view].double().cpu().numpy() @ OPENGL_FROM_OPENCV
                fx, fy, cx, cy = (float(v) for v in keyframe.cameras.intrinsics[view])
                height, width = keyframe.cameras.size
                frames.append(
                    {"file_path": name, "transform_matrix": pose.tolist(), "time": keyframe.time}
                    | {"time_index": time_index, "view": view, "split": "input"}
                    | {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": width, "h": height}
                )
        seconds = [float(s) for s in scene.times_seconds]
        table = {"world_up": "y", "time_seconds": seconds, "frames": frames}
        (partial / FILE_NAME).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _common_size(folder: Path, frames: list[FrameEntry]) -> tuple[int, int]:
    """(height, width) that all pictures have and their entries declare; nothing is decoded for it."""
    common: tuple[int, int] | None = None
    for frame in frames:
        with open_picture(frame.path) as picture:
            size = (picture.height, picture.width)
        name = frame.path.name
        if frame.size is not None and frame.size != size:
            raise InputError(
                f"{folder / FILE_NAME}: 'w', 'h' say {frame.size[1]}x{frame.size[0]} but {name} is {size[1]}x{size[0]}."
            )
        if common is not None and size != common:
            raise InputError(
                f"{folder / FILE_NAME}: {name} is {size[1]}x{size[0]}, others {common[1]}x{common[0]}; use one size."
            )
        common = size
    if common is None or max(common) > LARGEST_SIDE:
        raise InputError(f"{folder} holds no picture of a usable size.")
    return common


def _direction(frame: FrameEntry) -> tuple[float, float]:
    """Azimuth in [0, 360) and elevation in degrees of a camera, as seen from what it looks at.

    The viewing direction is used rather than the position, so that it needs no scene centre; 0 is on +Z.
    """
    backward = -frame.world_from_camera[:3, 2]
    azimuth = float(np.degrees(np.arctan2(backward[0], backward[2])))
    elevation = float(np.degrees(np.arcsin(np.clip(backward[1], -1, 1))))
    return round(azimuth, 2) % 360.0, round(elevation, 2)


def _cameras(group: list[FrameEntry], size: tuple[int, int]) -> Cameras:
    height, width = size
    intrinsics = []
    for frame in group:
        fx, fy, cx, cy = frame.intrinsics
        if fx is None and fy is None and frame.field_of_view is not None:
            fx = 0.5 * width / float(np.tan(frame.field_of_view / 2))
        fx, fy = fx if fx is not None else fy, fy if fy is not None else fx
        intrinsics.append([fx, fy, width / 2 if cx is None else cx, height / 2 if cy is None else cy])
    poses = np.stack([f.world_from_camera for f in group]).astype(np.float32)
    return Cameras(torch.from_numpy(poses), torch.tensor(intrinsics, dtype=torch.float32), size)


def _with_mattes(rgba: list[np.ndarray], name: str, matte_views: Matte) -> list[np.ndarray]:
    """Gives alpha where pictures lack it: view by view over time, so that mattes can follow motion."""
    if len({len(pictures) for pictures in rgba}) == 1:
        stacked = np.stack(rgba)  # [keyframe, view, height, width, 4]
        for view in range(stacked.shape[1]):
            stacked[:, view] = _matted(stacked[:, view], f"{name}, view {view}", matte_views)
        return list(stacked)
    return [
        np.concatenate([_matted(picture[None], f"{name}, view {view}", matte_views) for view, picture in enumerate(p)])
        for p in rgba
    ]


def _matted(frames: np.ndarray, name: str, matte_views: Matte) -> np.ndarray:
    count = np.arange(len(frames))
    clip = Clip(frames, count.astype(np.float64), bool((frames[..., 3] < 255).any()), name, count)
    return frames if choose_mode(clip) == "alpha" else matte_views(clip).rgba
