"""Test cases for tracing: posed keyframes of one object with known tracks, and novel views of every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError
from lim_cli.core.npz import read_npz
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import random_light, source_rig, target_rig
from lim_cli.data.scene_folder import read_scene
from lim_cli.data.scene_normalise import NormalisationInfo
from lim_cli.evaluation.cases import IMAGE_SIZE, NOVEL_VIEWS, cameras_of, in_model, shots, shrunk
from lim_cli.stages import posed
from lim_cli.stages.posed import PosedConfig

STEPS = 8
SOURCE_SIZE = 256
TRACKED_POINTS = 2048
FRAME_RATE = 24.0


@dataclass(frozen=True)
class TracedCase:
    """views: what is reconstructed from. tracks: [time, n, 3] true surface points, world frame.

    truth: [time, novel view, h, w, 4] uint8 from the cameras `novel` [novel view], model frame. group: the set it
    belongs to; name: of the object.
    """

    group: str
    name: str
    views: ViewsArtifact
    tracks: np.ndarray
    novel: Cameras
    truth: np.ndarray

    @property
    def size(self) -> float:
        """Largest side of the box around the tracks of all times, world units."""
        return float(np.ptp(self.tracks.reshape(-1, 3), axis=0).max())


def procedural_sequences(count: int, *, gap: float, steps: int = STEPS, seed: int = 0) -> Iterator[TracedCase]:
    """`count` held-out procedural objects at `steps` keyframes, each `gap` of the motion after the last.

    Raises:
        InputError: the steps together are longer than the motion.
    """
    length = gap * (steps - 1)
    if length > 1:
        raise InputError(f"{steps} steps {gap:g} apart exceed the motion; give --gap {1 / (steps - 1):.2f} or less.")
    for number in range(count):
        rng = np.random.default_rng([2, seed, 11, number])
        drawn = ProceduralObject.draw(rng)
        phases = rng.uniform() * (1 - length) + gap * np.arange(steps)
        placed = drawn.normalised(phases, 0.9)
        poses = placed.poses(phases)
        light, rig, novel = random_light(rng), source_rig(rng, SOURCE_SIZE), target_rig(rng, IMAGE_SIZE, NOVEL_VIEWS)
        views = ViewsArtifact(
            rgba=np.stack([shots(pose, rig, light, poses[0]) for pose in poses]),
            cameras=cameras_of(rig),
            keyframe_times=np.arange(steps) / FRAME_RATE,
            source="posed",
            world_from_model=np.eye(4),
        )
        yield TracedCase(
            f"procedural, steps {gap:g} apart",
            f"{drawn.plan} {number}",
            views,
            placed.track(rng, TRACKED_POINTS, phases).astype(np.float64),
            cameras_of(novel),
            np.stack([shots(pose, novel, light, poses[0]) for pose in poses]),
        )


def scene_sequence(folder: Path) -> TracedCase:
    """A scene folder with `input` and `eval` views and `tracks.npz` (`points` [time, n, 3], world frame).

    Raises:
        InputError: it lacks one of them.
    """
    path = folder / "tracks.npz"
    if not path.is_file():
        raise InputError(f"{folder} holds no tracks.npz to judge tracing by.")
    arrays = read_npz(path)
    if "points" not in arrays or arrays["points"].ndim != 3:
        raise InputError(f"{path} must hold an array 'points' [time, n, 3].")
    tracks = arrays["points"].astype(np.float64)
    views = posed.run(folder, PosedConfig(size=SOURCE_SIZE))
    scene = read_scene(folder, split="eval")
    if len(scene.keyframes) != len(views.keyframe_times) or tracks.shape[::2] != (len(scene.keyframes), 3):
        raise InputError(f"{folder} needs 'input' and 'eval' views and tracks of the same time steps.")
    matrix = views.world_from_model
    info = NormalisationInfo(1 / matrix[0, 0], matrix[:3, 3])
    truth = np.stack([shrunk(keyframe.rgba) for keyframe in scene.keyframes])
    return TracedCase(scene.name, scene.name, views, tracks, in_model(scene.keyframes[0], info), truth)
