"""Training pictures of the camera estimator: an object cropped as a frame of a user's clip is, and its camera.

A crop keeps the camera's place but not its axis or its field of view; what is asked for are those of the crop, since
the stages know only the crop. Arrays:

- pictures [camera, 4, h, w] uint8: straight-alpha RGBA, the object about in the middle with some free space about it
- elevation, field_of_view [camera] float32: of the crop's camera, degrees
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lim_cli.core.camera import orbit_pose
from lim_cli.core.errors import ConfigError
from lim_cli.data.animated_object import AnimatedObject, PosedObject
from lim_cli.data.rigs import random_light
from lim_cli.video.cropping import CropInfo, crop_frame

LOWEST, HIGHEST = -10.0, 45.0
"""Elevations, degrees."""
SHORTEST, LONGEST = 25.0, 90.0
"""Focal lengths, mm for a picture 36 mm wide: fields of view from 22.6 to 71.5 degrees."""
USUAL_ELEVATION, USUAL_SPREAD = 10.0, 8.0
SHARPER = 1.25
"""Pictures are drawn so many times larger than they are handed on, since most of one may be free space."""


@dataclass(frozen=True)
class CameraSpec:
    """size: pixels on a side. cameras: that look at one pose, since posing an object costs more than a picture.

    usual_share: of the cameras have an elevation near the usual one, as people film; the others have any.
    """

    size: int = 64
    cameras: int = 4
    usual_share: float = 0.5

    def __post_init__(self) -> None:
        if min(self.size, self.cameras) < 1 or not 0 <= self.usual_share <= 1:
            raise ConfigError(f"size and cameras must be at least 1 and usual_share from 0 to 1, got {self}.")

    def draw(self, source: AnimatedObject, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Pictures of `source` at a random phase, each from a random camera, under a random light."""
        phase = np.array([rng.uniform()])
        posed = source.normalised(phase, 0.95).poses(phase)[0]
        shots = [self._shot(posed, rng) for _ in range(self.cameras)]
        pictures, elevations, fields_of_view = zip(*shots, strict=True)
        return {
            "pictures": np.stack(pictures),
            "elevation": np.array(elevations, np.float32),
            "field_of_view": np.array(fields_of_view, np.float32),
        }

    def _shot(self, posed: PosedObject, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
        field_of_view = random_field_of_view(rng)
        drawn = round(SHARPER * self.size)
        pose = random_pose(rng, self._random_elevation(rng), field_of_view)
        focal = 0.5 * drawn / np.tan(np.radians(field_of_view) / 2)
        intrinsics = np.array([focal, focal, drawn / 2, drawn / 2], np.float32)
        rgba, _, _ = posed.render(pose, intrinsics, (drawn, drawn), random_light(rng), posed)
        picture = (np.clip(rgba, 0, 1) * 255 + 0.5).astype(np.uint8)
        crop = random_crop(picture[..., 3], rng)
        elevation, field_of_view = camera_of_crop(pose, float(focal), crop)
        return np.moveaxis(crop_frame(picture, crop, self.size), -1, 0), elevation, field_of_view

    def _random_elevation(self, rng: np.random.Generator) -> float:
        if rng.uniform() < self.usual_share:
            return float(np.clip(rng.normal(USUAL_ELEVATION, USUAL_SPREAD), LOWEST, HIGHEST))
        return float(rng.uniform(LOWEST, HIGHEST))


def random_crop(alpha: np.ndarray, rng: np.random.Generator) -> CropInfo:
    """A square about the object in alpha [h, w] uint8, with free space as one frame of a moving clip has it."""
    height, width = alpha.shape
    rows, columns = np.flatnonzero((alpha > 15).any(1)), np.flatnonzero((alpha > 15).any(0))
    if not rows.size:  # an object can be thinner than a pixel
        return CropInfo(0, 0, width, (height, width))
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    free = rng.uniform(0.05, 0.15) + (rng.uniform(0, 0.3) if rng.uniform() < 0.4 else 0)
    side = math.ceil(extent * (1 + 2 * free))
    shift = rng.uniform(-1, 1, 2) * (free - 0.05) * extent
    return CropInfo(
        left=math.floor((columns[0] + columns[-1] + 1 - side) / 2 + shift[0]),
        top=math.floor((rows[0] + rows[-1] + 1 - side) / 2 + shift[1]),
        side=side,
        source_size=(height, width),
    )


def random_field_of_view(rng: np.random.Generator) -> float:
    """Degrees; of focal lengths from SHORTEST to LONGEST, any octave as likely."""
    millimetres = np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST)))
    return float(2 * np.degrees(np.arctan(18 / millimetres)))


def camera_of_crop(world_from_camera: np.ndarray, focal: float, crop: CropInfo) -> tuple[float, float]:
    """Elevation and field of view, degrees, of a camera that looks at the middle of a crop and sees just that crop.

    world_from_camera: [4, 4] of the whole picture's camera, whose axis meets the picture's middle. focal: its, pixels.
    """
    height, width = crop.source_size
    right = crop.left + crop.side / 2 - width / 2
    down = crop.top + crop.side / 2 - height / 2
    towards = world_from_camera[:3, :3] @ np.array([right, down, focal])
    length = float(np.linalg.norm(towards))
    return (
        float(np.degrees(np.arcsin(-towards[1] / length))),
        float(2 * np.degrees(np.arctan(crop.side / 2 / length))),
    )


def random_pose(rng: np.random.Generator, elevation: float, field_of_view: float) -> np.ndarray:
    """world_from_camera [4, 4] with the unit ball in view, more or less in the middle."""
    distance = 1.0 / np.sin(np.radians(field_of_view / 2) * rng.uniform(0.75, 0.97))
    pose = orbit_pose(rng.uniform(0, 360), elevation, distance).astype(np.float64)
    aim = rng.normal(0, 0.05, 2)
    pose[:3, 3] += pose[:3, :2] @ aim
    return pose.astype(np.float32)
