"""Bringing a scene into the models' frame, and its pictures to the models' framing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError
from lim_cli.data.scene import Scene, SceneKeyframe
from lim_cli.video.clip import unpremultiply

OBJECT_RADIUS = 0.95
VISIBLE = 16
"""Alpha (of 255) from which a pixel counts as object."""


@dataclass(frozen=True)
class NormalisationInfo:
    """model = scale * (world - centre). centre: [3] float64 world units; scale: model per world unit."""

    scale: float
    centre: np.ndarray

    @property
    def world_from_model(self) -> np.ndarray:
        """[4, 4] float64 similarity, invertible."""
        matrix = np.diag([1 / self.scale, 1 / self.scale, 1 / self.scale, 1.0])
        matrix[:3, 3] = self.centre
        return matrix


def normalise_scene(scene: Scene, *, frame_half_width: float = 1.05) -> tuple[Scene, NormalisationInfo]:
    """Moves and scales the cameras so that the object lies in the unit ball about the origin at all times.

    The centre is the point nearest (least squares) to the rays through the middle of each view's matte, which
    are the optical axes where cameras look straight at the object. The scale makes the farthest visible matte
    pixel, measured at the centre's depth, `OBJECT_RADIUS` from it. Pictures and rotations are untouched.

    Args:
        frame_half_width: where no matte bounds the object, half a picture at the centre's depth is this wide.

    Raises:
        InputError: no camera sees the centre in front of it.
    """
    boxes = _boxes(scene)
    centre = _centre(boxes)
    reaches, widths = [], []
    for box in boxes:
        local = (centre - box.position) @ box.rotation
        if local[2] > 1e-6:
            pixel = local[:2] / local[2] * box.focal + box.principal
            if box.bounded:
                reaches.append(box.reach(pixel) * local[2])
            else:
                widths.append(float((box.high - box.low)[0] / 2 / box.focal[0]) * local[2])
    if reaches:
        scale = OBJECT_RADIUS / max(float(max(reaches)), 1e-9)
    elif widths:
        scale = frame_half_width / max(float(max(widths)), 1e-9)
    else:
        raise InputError(f"The cameras of {scene.name} do not look at a common point; check 'transform_matrix'.")
    keyframes = tuple(replace(k, cameras=_moved(k.cameras, centre, scale)) for k in scene.keyframes)
    return replace(scene, keyframes=keyframes), NormalisationInfo(scale, centre)


def reframe_scene(scene: Scene, *, size: int, frame_half_width: float = 1.05) -> Scene:
    """Crops each picture of a normalised scene to [size, size] about the origin; intrinsics follow.

    Half of the new picture is `frame_half_width` model units wide at the origin's depth, the framing models
    are trained with. Rotations stay, so the principal point may leave the middle. Beyond the old picture is
    transparent.

    Raises:
        InputError: the origin is behind a camera, or so far aside that its picture would be empty.
    """
    keyframes = []
    for keyframe in scene.keyframes:
        cameras = keyframe.cameras
        pixels, depths = cameras.project(torch.zeros(len(cameras), 1, 3))
        if bool((depths <= 1e-6).any()):
            raise InputError(f"A camera of {scene.name} has the object behind it; check 'transform_matrix'.")
        half = cameras.intrinsics[:, :2] * frame_half_width / depths  # [view, 2] pixels of the old picture
        zoom = size / (2 * half)
        low = pixels[:, 0] - half
        centre = (cameras.intrinsics[:, 2:] - low) * zoom
        intrinsics = torch.cat([cameras.intrinsics[:, :2] * zoom, centre], -1)
        rgba = np.stack(
            [
                _window(picture, low[view].double().numpy(), zoom[view].double().numpy(), size)
                for view, picture in enumerate(keyframe.rgba)
            ]
        )
        keyframes.append(
            SceneKeyframe(rgba, Cameras(cameras.world_from_camera, intrinsics, (size, size)), keyframe.time)
        )
    return replace(scene, keyframes=tuple(keyframes))


@dataclass(frozen=True)
class _Box:
    """A view's camera and what its matte covers; low, high: pixel xy; outline: [n, 2] xy of its hull."""

    position: np.ndarray
    rotation: np.ndarray
    focal: np.ndarray
    principal: np.ndarray
    low: np.ndarray
    high: np.ndarray
    outline: np.ndarray
    bounded: bool

    def reach(self, pixel: np.ndarray) -> float:
        """Largest distance of the matte from a pixel, on the plane at depth 1."""
        return float(np.hypot(*((self.outline - pixel) / self.focal).T).max())

    @property
    def ray(self) -> np.ndarray:
        """World unit direction [3] through the middle of the box."""
        local = np.append(((self.low + self.high) / 2 - self.principal) / self.focal, 1.0)
        return np.asarray(self.rotation @ local / np.linalg.norm(local))


def _boxes(scene: Scene) -> list[_Box]:
    """One box per view and keyframe with anything visible."""
    boxes = []
    for keyframe in scene.keyframes:
        poses = keyframe.cameras.world_from_camera.double().cpu().numpy()
        intrinsics = keyframe.cameras.intrinsics.double().cpu().numpy()
        for view, picture in enumerate(keyframe.rgba):
            visible = (picture[..., 3] >= VISIBLE).astype(np.uint8)
            if not visible.any():
                continue
            points = cv2.findNonZero(visible).reshape(-1, 2)
            outline = cv2.convexHull(points).reshape(-1, 2).astype(np.float64) + 0.5
            boxes.append(
                _Box(
                    position=poses[view, :3, 3],
                    rotation=poses[view, :3, :3],
                    focal=intrinsics[view, :2],
                    principal=intrinsics[view, 2:],
                    low=outline.min(0) - 0.5,
                    high=outline.max(0) + 0.5,
                    outline=outline,
                    bounded=bool(visible.mean() < 0.98),
                )
            )
    if not boxes:
        raise InputError(f"Nothing is visible in the pictures of {scene.name}; check their alpha channels.")
    return boxes


def _centre(boxes: list[_Box]) -> np.ndarray:
    """Point [3] nearest to all rays: sum (I - d d^T) x = sum (I - d d^T) o.

    Along directions that the rays leave open (one view, or all parallel) the point nearest to the world's
    origin is taken, but in front of the cameras.
    """
    system, right = np.zeros((3, 3)), np.zeros(3)
    for box in boxes:
        across = np.eye(3) - np.outer(box.ray, box.ray)
        system += across
        right += across @ box.position
    values, vectors = np.linalg.eigh(system / len(boxes))
    sure = values > 1e-3  # sin^2 of about 2 degrees between rays.
    coordinates = vectors.T @ right / len(boxes)
    solved = np.where(sure, coordinates / np.where(sure, values, 1.0), 0.0)
    centre = np.asarray(vectors @ solved)
    mean_ray = np.mean([box.ray for box in boxes], axis=0)
    depths = [float((centre - box.position) @ box.ray) for box in boxes]
    if not sure.all() and min(depths) <= 1e-3 and np.linalg.norm(mean_ray) > 1e-6:
        centre = centre + mean_ray / np.linalg.norm(mean_ray) * (1.0 - min(depths))
    return centre


def _moved(cameras: Cameras, centre: np.ndarray, scale: float) -> Cameras:
    poses = cameras.world_from_camera.double().clone()
    poses[:, :3, 3] = (poses[:, :3, 3] - torch.from_numpy(centre)) * scale
    return Cameras(poses.float(), cameras.intrinsics, cameras.size)


def _window(picture: np.ndarray, low: np.ndarray, zoom: np.ndarray, size: int) -> np.ndarray:
    """The window from pixel xy `low`, magnified by `zoom` [2], as [size, size, 4]; averages if it shrinks.

    Averages over whole old pixels by drawing at a whole multiple of `size` first.
    """
    times = min(8, max(1, math.ceil(1.0 / float(zoom.min()))))
    premultiplied = picture.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255.0
    fine = zoom * times
    shift = -low * fine + 0.5 * fine - 0.5  # Pixel centres at +0.5 on both sides.
    matrix = np.array([[fine[0], 0, shift[0]], [0, fine[1], shift[1]]])
    drawn = cv2.warpAffine(premultiplied, matrix, (size * times, size * times), flags=cv2.INTER_LINEAR)
    if times > 1:
        drawn = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
    return unpremultiply(drawn)
