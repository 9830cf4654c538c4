"""Test cases for interpolation: two keyframes of one object, and what is true between them.

Nothing here was trained on: procedural objects come from held-out seeds, scenes and assets from the user's files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError
from lim_cli.data.animated_object import AnimatedObject, Light, PosedObject
from lim_cli.data.asset_library import LibraryItem, motion_figures
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigged_object import RiggedObject
from lim_cli.data.rigs import Rig, random_light, source_rig, target_rig
from lim_cli.data.scene import Scene, SceneKeyframe
from lim_cli.data.scene_folder import read_scene
from lim_cli.data.scene_normalise import NormalisationInfo, normalise_scene, reframe_scene
from lim_cli.video.clip import unpremultiply

IMAGE_SIZE = 128
NOVEL_VIEWS = 2
TRACKED = 4096


@dataclass(frozen=True)
class Middle:
    """The truth at `alpha`: views [view, h, w, 4] from the source cameras, which only the Oracle is shown, and

    truth [novel view, h, w, 4] from the novel ones; uint8, straight alpha.
    """

    alpha: float
    views: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Case:
    """ends: source views [2, view, h, w, 4] uint8 of both keyframes, seen by `cameras` [view], model frame.

    middles: one per alpha asked for. novel: cameras [novel view] that nobody reconstructs from. group: the set it
    belongs to; name: of the object and the place in its motion. before, after: the same views as far beyond each end as
    the ends are apart; None where the motion begins or ends earlier. motion: of alphas, where points of the surface at
    the first of them are at each, model frame [alpha, point, 3]; alphas below 0 and above 1 lie beyond the ends. None
    where that is not known.
    """

    group: str
    name: str
    ends: np.ndarray
    cameras: Cameras
    novel: Cameras
    middles: tuple[Middle, ...]
    before: Callable[[], np.ndarray] | None = None
    after: Callable[[], np.ndarray] | None = None
    motion: Callable[[Sequence[float]], np.ndarray] | None = None


def procedural_cases(
    count: int, *, gap: float, alphas: Sequence[float] = (0.5,), views: int = NOVEL_VIEWS, seed: int = 0
) -> Iterator[Case]:
    """`count` held-out procedural objects, the ends `gap` of the motion apart."""
    for number in range(count):
        rng = np.random.default_rng([2, seed, 7, number])
        drawn = ProceduralObject.draw(rng)
        name = f"{drawn.plan} {number}"
        yield _drawn_case(drawn, rng, f"procedural, gap {gap:g}", name, gap, alphas, views)


def asset_cases(
    file: Path, count: int, *, gap: float, alphas: Sequence[float] = (0.5,), views: int = NOVEL_VIEWS, seed: int = 0
) -> Iterator[Case]:
    """`count` stretches of a rigged .glb file's moving animations, the ends `gap` of an animation apart.

    Raises:
        InputError: the file cannot be read, or nothing in it moves.
    """
    from lim_cli.data.gltf_reading import read_rig

    rig = read_rig(file, texture_size=256)
    moving = LibraryItem(rig, motion_figures(rig)).moving
    if not moving:
        raise InputError(f"Nothing moves in {file}; give a .glb file with an animation.")
    for number in range(count):
        rng = np.random.default_rng([2, seed, 10, number])
        animation = moving[int(rng.integers(len(moving)))]
        source = RiggedObject(rig, animation, yaw=float(rng.uniform(0, 360)))
        name = f"{file.stem} {animation} {number}"
        yield _drawn_case(source, rng, f"{file.stem}, gap {gap:g}", name, gap, alphas, views)


def _drawn_case(
    source: AnimatedObject,
    rng: np.random.Generator,
    group: str,
    name: str,
    gap: float,
    alphas: Sequence[float],
    views: int,
) -> Case:
    start = rng.uniform() * (1 - gap)
    phases = start + gap * np.array([0.0, *alphas, 1.0])
    placed = source.normalised(phases, 0.9)
    first, *between, last = placed.poses(phases)
    light = random_light(rng)
    rig, novel = source_rig(rng, IMAGE_SIZE), target_rig(rng, IMAGE_SIZE, views)
    middles = tuple(
        Middle(
            alpha,
            shots(pose, rig, light, first),
            shots(pose, novel, light, first),
        )
        for alpha, pose in zip(alphas, between, strict=True)
    )
    ends = np.stack([shots(pose, rig, light, first) for pose in (first, last)])

    def beyond(phase: float) -> Callable[[], np.ndarray] | None:
        if not 0 <= phase <= 1:
            return None
        return lambda: shots(next(iter(placed.poses(np.array([phase])))), rig, light, first)

    def motion(alphas: Sequence[float]) -> np.ndarray:
        tracks = placed.track(np.random.default_rng(0), TRACKED, start + gap * np.array(alphas))
        return tracks.astype(np.float32)

    before, after = beyond(start - gap), beyond(start + 2 * gap)
    return Case(group, name, ends, cameras_of(rig), cameras_of(novel), middles, before, after, motion)


def scene_cases(folder: Path, *, alphas: Sequence[float] = (0.5,), most: int | None = None) -> Iterator[Case]:
    """Keyframes of a scene folder with `input` and `eval` views, as far apart as the alphas need.

    The true instants between must be time steps: alpha 0.5 takes every (k, k + 1, k + 2), alpha 0.25 every
    (k, k + 1, k + 4); no alphas at all take neighbours. most: at most so many, evenly spread over the scene.

    Raises:
        InputError: the scene has too few time steps or lacks `eval` views.
    """
    scene, info = normalise_scene(read_scene(folder, split="input"))
    scene = reframe_scene(scene, size=IMAGE_SIZE)
    novel = read_scene(folder, split="eval").keyframes
    span = span_of(alphas)
    starts = len(scene.keyframes) - span
    if starts < 1 or len(novel) != len(scene.keyframes):
        raise InputError(f"{folder} needs {span + 1} time steps with 'input' and 'eval' views each to be evaluated.")
    chosen = range(starts) if most is None or most >= starts else np.linspace(0, starts - 1, most).round().astype(int)
    for k in chosen:
        first, last = scene.keyframes[k], scene.keyframes[k + span]
        middles = []
        for alpha in alphas:
            middle = k + round(alpha * span)
            middles.append(Middle(alpha, scene.keyframes[middle].rgba, shrunk(novel[middle].rgba)))
        before, after = k - span, k + 2 * span
        yield Case(
            f"{scene.name}, every {span} steps" if span > 1 else scene.name,
            f"{scene.name} {k} to {k + span}",
            np.stack([first.rgba, last.rgba]),
            first.cameras,
            in_model(novel[k], info),
            tuple(middles),
            partial(_views_at, scene, before) if before >= 0 else None,
            partial(_views_at, scene, after) if after < len(scene.keyframes) else None,
        )


def _views_at(scene: Scene, keyframe: int) -> np.ndarray:
    return scene.keyframes[keyframe].rgba


def span_of(alphas: Sequence[float]) -> int:
    """Time steps between the ends so that every alpha falls on a step.

    Raises:
        InputError: an alpha is no simple fraction.
    """
    fractions = [Fraction(alpha).limit_denominator(32) for alpha in alphas]
    if any(abs(float(f) - alpha) > 1e-6 for f, alpha in zip(fractions, alphas, strict=True)):
        raise InputError("A scene has no time step at such an alpha; give simple fractions such as 0.25 or 0.5.")
    return math.lcm(*(f.denominator for f in fractions)) if fractions else 1


def shots(pose: PosedObject, rig: Rig, light: Light, reference: PosedObject) -> np.ndarray:
    """What all cameras of a rig see: [view, h, w, 4] uint8."""
    pictures = [
        pose.render(camera, intrinsics, rig.size, light, reference)[0]
        for camera, intrinsics in zip(rig.world_from_camera, rig.intrinsics, strict=True)
    ]
    return np.asarray((np.clip(np.stack(pictures), 0, 1) * 255 + 0.5).astype(np.uint8))


def cameras_of(rig: Rig) -> Cameras:
    return Cameras(torch.from_numpy(rig.world_from_camera), torch.from_numpy(rig.intrinsics), rig.size)


def in_model(keyframe: SceneKeyframe, info: NormalisationInfo) -> Cameras:
    """A keyframe's cameras, given in the world, in the model frame; for pictures of IMAGE_SIZE."""
    poses = keyframe.cameras.world_from_camera.double().clone()
    poses[:, :3, 3] = (poses[:, :3, 3] - torch.from_numpy(info.centre)) * info.scale
    cameras = Cameras(poses.float(), keyframe.cameras.intrinsics, keyframe.cameras.size)
    return cameras.resized((IMAGE_SIZE, IMAGE_SIZE))


def shrunk(rgba: np.ndarray) -> np.ndarray:
    """Pictures [view, h, w, 4] uint8 area-averaged to IMAGE_SIZE, premultiplied while averaging."""
    result = []
    for picture in rgba.astype(np.float32):
        picture[..., :3] *= picture[..., 3:] / 255
        result.append(unpremultiply(cv2.resize(picture, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA)))
    return np.stack(result)
