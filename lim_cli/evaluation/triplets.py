"""Test cases for interpolation: three instants of one object, source views of each, truth of the middle one.

Nothing here was trained on: procedural objects come from the held-out seeds, scenes from folders of the user's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError
from lim_cli.data.animated_object import Light, PosedObject
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import Rig, random_light, source_rig, target_rig
from lim_cli.data.scene import SceneKeyframe
from lim_cli.data.scene_folder import read_scene
from lim_cli.data.scene_normalise import NormalisationInfo, normalise_scene, reframe_scene

IMAGE_SIZE = 128


@dataclass(frozen=True)
class Triplet:
    """rgba: source views [3, view, h, w, 4] uint8 of src, mid, tgt with `cameras` [view], model frame.

    truth: novel views of mid [view, h, w, 4] uint8 with `truth_cameras`. alpha: place of mid. name: of the object.
    """

    name: str
    rgba: np.ndarray
    cameras: Cameras
    truth: np.ndarray
    truth_cameras: Cameras
    alpha: float


def procedural_triplets(count: int, *, gap: float, views: int = 2, seed: int = 0) -> Iterator[Triplet]:
    """`count` held-out procedural objects at phases `gap` of the motion apart, alpha 0.5."""
    for number in range(count):
        rng = np.random.default_rng([2, seed, 7, number])
        drawn = ProceduralObject.draw(rng)
        start = rng.uniform() * (1 - gap)
        phases = np.array([start, start + gap / 2, start + gap])
        placed = drawn.normalised(phases, 0.9)
        poses = placed.poses(phases)
        light = random_light(rng)
        rig, novel = source_rig(rng, IMAGE_SIZE), target_rig(rng, IMAGE_SIZE, views)

        shots = partial(_shots, light=light, reference=poses[0])
        yield Triplet(
            name=f"{drawn.plan} {number}",
            rgba=np.stack([shots(pose, rig) for pose in poses]),
            cameras=Cameras(torch.from_numpy(rig.world_from_camera), torch.from_numpy(rig.intrinsics), rig.size),
            truth=shots(poses[1], novel),
            truth_cameras=Cameras(
                torch.from_numpy(novel.world_from_camera), torch.from_numpy(novel.intrinsics), novel.size
            ),
            alpha=0.5,
        )


def _shots(pose: PosedObject, rig: Rig, *, light: Light, reference: PosedObject) -> np.ndarray:
    """What all cameras of a rig see: [view, h, w, 4] uint8."""
    pictures = [
        pose.render(camera, intrinsics, rig.size, light, reference)[0]
        for camera, intrinsics in zip(rig.world_from_camera, rig.intrinsics, strict=True)
    ]
    return np.asarray((np.clip(np.stack(pictures), 0, 1) * 255 + 0.5).astype(np.uint8))


def scene_triplets(folder: Path) -> Iterator[Triplet]:
    """Every (k, k+1, k+2) of a scene folder with `input` and `eval` views.

    Raises:
        InputError: the scene has fewer than three time steps or no `eval` views.
    """
    scene, info = normalise_scene(read_scene(folder, split="input"))
    scene = reframe_scene(scene, size=IMAGE_SIZE)
    novel = read_scene(folder, split="eval").keyframes
    if len(scene.keyframes) < 3 or len(novel) != len(scene.keyframes):
        raise InputError(f"{folder} needs three time steps with 'input' and 'eval' views each to be evaluated.")
    for k in range(len(scene.keyframes) - 2):
        three = scene.keyframes[k : k + 3]
        yield Triplet(
            name=f"{scene.name} {k + 1}",
            rgba=np.stack([keyframe.rgba for keyframe in three]),
            cameras=three[0].cameras,
            truth=_shrunk(novel[k + 1].rgba),
            truth_cameras=_in_model(novel[k + 1], info),
            alpha=0.5,
        )


def _in_model(keyframe: SceneKeyframe, info: NormalisationInfo) -> Cameras:
    poses = keyframe.cameras.world_from_camera.double().clone()
    poses[:, :3, 3] = (poses[:, :3, 3] - torch.from_numpy(info.centre)) * info.scale
    cameras = Cameras(poses.float(), keyframe.cameras.intrinsics, keyframe.cameras.size)
    return cameras.resized((IMAGE_SIZE, IMAGE_SIZE))


def _shrunk(rgba: np.ndarray) -> np.ndarray:
    """Area-averaged to IMAGE_SIZE, premultiplied while averaging."""
    import cv2

    result = []
    for picture in rgba.astype(np.float32) / 255:
        picture = np.concatenate([picture[..., :3] * picture[..., 3:], picture[..., 3:]], -1)
        small = cv2.resize(picture, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA)
        small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
        result.append(small)
    return np.asarray((np.clip(np.stack(result), 0, 1) * 255 + 0.5).astype(np.uint8))
