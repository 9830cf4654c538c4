"""Test cases for Tables 4 and 5: sixteen frames of one camera, the truth from four unseen views, and true tracks.

All of a case lies in the frame that a single-camera reconstruction works in: the input camera stands at azimuth 0, as
far from the origin as the unit ball just fits its picture. The camera's elevation and field of view are given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.axes import OPENGL_FROM_OPENCV
from lim_cli.core.camera import Cameras, orbit_pose
from lim_cli.core.errors import PARSER_ERRORS, InputError
from lim_cli.core.npz import read_npz
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import Rig, mono_rig, random_light
from lim_cli.data.scene import Scene, SceneKeyframe
from lim_cli.data.scene_folder import read_scene
from lim_cli.data.scene_normalise import reframe_scene
from lim_cli.evaluation.cases import IMAGE_SIZE, cameras_of, shots, shrunk
from lim_cli.evaluation.sequences import FRAME_RATE, SOURCE_SIZE, TRACKED_POINTS
from lim_cli.metrics.alignment import Similarity
from lim_cli.stages.posed import keyframe_indices
from lim_cli.stages.views import camera_distance
from lim_cli.video.cropping import VISIBLE, CropInfo
from lim_cli.video.pictures import read_picture

FRAMES = 16
STRIDE = 2
"""LRM on frames 1, 3, 5, ... (and on the last, past which LIM cannot look), LIM on the others."""
NOVEL = ((45.0, 10.0), (135.0, 30.0), (225.0, -5.0), (315.0, 45.0))
"""Azimuth and elevation of the unseen views of procedural objects: those of the scenes, degrees."""
MARGIN = 0.1


@dataclass(frozen=True)
class MonocularCase:
    """clip: what is reconstructed from, seen from `elevation` through `field_of_view` (degrees).

    true_views: views at azimuths 0, 90, 180, 270 of the times where they are known, which only the Oracle is shown.
    tracks: [frame, n, 3] true surface points. truth: [shown, novel view, h, w, 4] uint8 of the frames `shown` from
    the cameras `novel`. group: the set it belongs to; name: of the object.
    """

    group: str
    name: str
    clip: ClipArtifact
    elevation: float
    field_of_view: float
    true_views: ViewsArtifact
    tracks: np.ndarray
    novel: Cameras
    shown: tuple[int, ...]
    truth: np.ndarray

    @property
    def size(self) -> float:
        """Largest side of the box around the tracks of all times."""
        return float(np.ptp(self.tracks.reshape(-1, 3), axis=0).max())


def procedural_clips(count: int, *, frames: int = FRAMES, seed: int = 0) -> Iterator[MonocularCase]:
    """`count` held-out procedural objects over 0.3 to 0.8 of their motion; the truth of every frame is known."""
    for number in range(count):
        rng = np.random.default_rng([2, seed, 12, number])
        drawn = ProceduralObject.draw(rng)
        length = rng.uniform(0.3, 0.8)
        phases = rng.uniform(0, 1 - length) + length * np.linspace(0, 1, frames)
        placed = drawn.normalised(phases, 0.92)
        poses = placed.poses(phases)
        light, rig = random_light(rng), mono_rig(rng, SOURCE_SIZE)
        model = _Model.of(rig.world_from_camera[0], _angle(rig.intrinsics[0, 0], SOURCE_SIZE), depth=None)
        distance = float(np.linalg.norm(rig.world_from_camera[0, :3, 3]))
        orbit = np.stack([orbit_pose(*place, distance) for place in NOVEL]).astype(np.float32)
        novel = Rig(orbit, rig.intrinsics * (IMAGE_SIZE / SOURCE_SIZE), (IMAGE_SIZE, IMAGE_SIZE))
        seen = np.stack([shots(pose, rig, light, poses[0]) for pose in poses])  # [frame, view, h, w, 4]
        times = np.arange(frames) / FRAME_RATE
        known = keyframe_indices(frames, STRIDE)
        yield MonocularCase(
            group="procedural",
            name=f"{drawn.plan} {number}",
            clip=ClipArtifact(seen[:, 0], times, CropInfo(0, 0, SOURCE_SIZE, (SOURCE_SIZE, SOURCE_SIZE))),
            elevation=model.elevation,
            field_of_view=model.field_of_view,
            true_views=ViewsArtifact(seen[known], model.cameras(cameras_of(rig)), times[known], "posed", np.eye(4)),
            tracks=model.points(placed.track(rng, TRACKED_POINTS, phases)),
            novel=model.cameras(cameras_of(novel)),
            shown=tuple(range(frames)),
            truth=np.stack([shots(pose, novel, light, poses[0]) for pose in poses]),
        )


def scene_clip(folder: Path, *, frames: int = FRAMES) -> MonocularCase:
    """The first frames of a scene folder's single-camera clip: the block `mono` of its transforms.json

    (`fl_x`, `w`, `transform_matrix`, `frames` with `file_path` and `time`), and `points_mono`, `times_mono` of its
    tracks.npz. Views are true where a frame is a time step of the scene.

    Raises:
        InputError: it lacks one of them, or no time step falls on a frame.
    """
    mono = _mono_block(folder, frames)
    tracks = _tracks(folder, mono)
    scene, unseen = read_scene(folder, split="input"), read_scene(folder, split="eval")
    span = float(scene.times_seconds[-1] - scene.times_seconds[0])
    steps = np.array([keyframe.time for keyframe in scene.keyframes])
    on_frame = [int(np.argmin(np.abs(mono.times - step))) for step in steps]
    met = [k for k, frame in enumerate(on_frame) if abs(mono.times[frame] - steps[k]) < 1e-4]
    if len(met) < 2 or len(unseen.keyframes) != len(scene.keyframes):
        raise InputError(f"{folder} needs 'input' and 'eval' views at two frames of its clip, or more.")

    # 1. One crop about the optical axis, so that the principal point stays in the middle.
    pictures = np.stack([read_picture(path) for path in mono.paths])
    crop = _centred_crop(pictures[..., 3], mono.intrinsics, folder)
    centre = (tracks.reshape(-1, 3).min(0) + tracks.reshape(-1, 3).max(0)) / 2
    pose = mono.world_from_camera
    depth = float((centre - pose[:3, 3]) @ pose[:3, 2])
    model = _Model.of(pose, _angle(mono.intrinsics[0], crop.side), depth=depth)
    rgba = model.cropped(pictures, mono, scene.name)

    # 2. The scene's own views in the clip's frame.
    moved = tuple(replace(scene.keyframes[k], cameras=model.cameras(scene.keyframes[k].cameras)) for k in met)
    framed = reframe_scene(replace(scene, keyframes=moved, times_seconds=scene.times_seconds[met]), size=SOURCE_SIZE)
    times = mono.times * span
    shown = tuple(on_frame[k] for k in met)
    cameras = [keyframe.cameras for keyframe in framed.keyframes]
    return MonocularCase(
        group=scene.name,
        name=scene.name,
        clip=ClipArtifact(rgba, times, crop),
        elevation=model.elevation,
        field_of_view=model.field_of_view,
        true_views=ViewsArtifact(
            np.stack([keyframe.rgba for keyframe in framed.keyframes]),
            Cameras(
                torch.stack([c.world_from_camera for c in cameras]).float(),
                torch.stack([c.intrinsics for c in cameras]).float(),
                cameras[0].size,
            ),
            times[list(shown)],
            "posed",
            np.eye(4),
        ),
        tracks=model.points(tracks),
        novel=model.cameras(unseen.keyframes[met[0]].cameras).resized((IMAGE_SIZE, IMAGE_SIZE)),
        shown=shown,
        truth=np.stack([shrunk(unseen.keyframes[k].rgba) for k in met]),
    )


@dataclass(frozen=True)
class _Model:
    """The similarity from the world to the clip's model frame, in which its camera is at azimuth 0."""

    from_world: Similarity
    elevation: float
    field_of_view: float

    @staticmethod
    def of(world_from_camera: np.ndarray, field_of_view: float, *, depth: float | None) -> _Model:
        """depth: of the object's centre along the optical axis, world units; None: it is the world's origin."""
        pose = world_from_camera.astype(np.float64)
        elevation = math.degrees(math.asin(float(np.clip(-pose[1, 2], -1, 1))))
        distance = camera_distance(field_of_view)
        target = orbit_pose(0.0, elevation, distance).astype(np.float64)
        scale = distance / (depth if depth is not None else float(np.linalg.norm(pose[:3, 3])))
        rotation = target[:3, :3] @ pose[:3, :3].T
        similarity = Similarity(scale, rotation, target[:3, 3] - scale * rotation @ pose[:3, 3])
        return _Model(similarity, elevation, field_of_view)

    def points(self, points: np.ndarray) -> np.ndarray:
        return self.from_world.apply(points.astype(np.float64))

    def cameras(self, cameras: Cameras) -> Cameras:
        poses = cameras.world_from_camera.double().clone()
        poses[..., :3, 3] = torch.from_numpy(self.points(poses[..., :3, 3].numpy()))
        poses[..., :3, :3] = torch.from_numpy(self.from_world.rotation) @ poses[..., :3, :3]
        return Cameras(poses.float(), cameras.intrinsics, cameras.size)

    def cropped(self, pictures: np.ndarray, mono: _Mono, name: str) -> np.ndarray:
        """The clip's frames [frame, h, w, 4] as the model's camera sees them: [frame, SOURCE_SIZE, SOURCE_SIZE, 4]."""
        pose = torch.from_numpy(mono.world_from_camera[None])
        camera = self.cameras(Cameras(pose, torch.tensor([mono.intrinsics]), pictures.shape[1:3]))
        frames = tuple(
            SceneKeyframe(picture[None], camera, time) for picture, time in zip(pictures, mono.times, strict=True)
        )
        half = camera_distance(self.field_of_view) * math.tan(math.radians(self.field_of_view) / 2)
        framed = reframe_scene(Scene(frames, mono.times, name), size=SOURCE_SIZE, frame_half_width=half)
        return np.stack([frame.rgba[0] for frame in framed.keyframes])


@dataclass(frozen=True)
class _Mono:
    """intrinsics: fx, fy, cx, cy in pixels; times: [frame] in 0..1; world_from_camera [4, 4], OpenCV axes."""

    paths: list[Path]
    times: np.ndarray
    intrinsics: tuple[float, float, float, float]
    world_from_camera: np.ndarray


def _mono_block(folder: Path, frames: int) -> _Mono:
    file = folder / "transforms.json"
    if not file.is_file():
        raise InputError(f"{folder} has no transforms.json; give a scene folder with a block 'mono'.")
    try:
        mono: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["mono"]
        entries = mono["frames"][:frames]
        paths = [folder / entry["file_path"] for entry in entries]
        times = np.array([float(entry["time"]) for entry in entries])
        matrix = np.array(mono["transform_matrix"], np.float64).reshape(4, 4) @ OPENGL_FROM_OPENCV
        fx = float(mono["fl_x"])
        size = float(mono["w"]), float(mono["h"])
        inner = fx, float(mono.get("fl_y", fx)), float(mono.get("cx", size[0] / 2)), float(mono.get("cy", size[1] / 2))
        if len(entries) < frames or not fx > 0 or not np.isfinite(matrix).all() or not bool(np.all(np.diff(times) > 0)):
            raise ValueError(f"{len(entries)} frames")
    except PARSER_ERRORS as error:
        raise InputError(f"{file} holds no block 'mono' with one camera and {frames} frames in order.") from error
    return _Mono(paths, times, inner, matrix)


def _tracks(folder: Path, mono: _Mono) -> np.ndarray:
    """True points [frame, n, 3] at the clip's frames, world frame."""
    path = folder / "tracks.npz"
    arrays = read_npz(path) if path.is_file() else {}
    points, times = arrays.get("points_mono"), arrays.get("times_mono")
    count = len(mono.times)
    if points is None or times is None or points.ndim != 3 or points.shape[2] != 3 or len(points) < count:
        raise InputError(f"{folder} holds no tracks.npz with 'points_mono' and 'times_mono' to judge by.")
    if len(times) != len(points) or np.abs(times[:count] - mono.times).max() > 1e-4:
        raise InputError(f"{path}: 'times_mono' are not the times of the clip's frames.")
    return np.asarray(points[:count], np.float64)


def _centred_crop(mattes: np.ndarray, intrinsics: tuple[float, float, float, float], folder: Path) -> CropInfo:
    """The square about the principal point that holds the object at all times: mattes [frame, h, w] uint8."""
    rows, columns = (np.flatnonzero((mattes >= VISIBLE).any(axes)) for axes in ((0, 2), (0, 1)))
    if not len(rows):
        raise InputError(f"The clip of {folder} shows nothing; its frames need an alpha channel.")
    _, _, cx, cy = intrinsics
    reach = max(cx - columns[0], columns[-1] + 1 - cx, cy - rows[0], rows[-1] + 1 - cy)
    side = 2 * math.ceil(reach * (1 + 2 * MARGIN))
    return CropInfo(round(cx - side / 2), round(cy - side / 2), side, (mattes.shape[1], mattes.shape[2]))


def _angle(focal: float, side: float) -> float:
    return math.degrees(2 * math.atan(side / 2 / float(focal)))
