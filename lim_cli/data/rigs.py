"""Random cameras and lights around an object that fits the unit ball."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lim_cli.core.camera import orbit_pose
from lim_cli.data.animated_object import Light


@dataclass(frozen=True)
class Rig:
    """Cameras in numpy: world_from_camera [view, 4, 4], intrinsics [view, 4] in pixels, size (height, width)."""

    world_from_camera: np.ndarray
    intrinsics: np.ndarray
    size: tuple[int, int]


def _intrinsics(field_of_view: np.ndarray, size: int, shift: np.ndarray) -> np.ndarray:
    focal = 0.5 * size / np.tan(np.radians(field_of_view) / 2)
    return np.stack([focal, focal, size / 2 + shift[:, 0] * size, size / 2 + shift[:, 1] * size], -1).astype(np.float32)


def source_rig(rng: np.random.Generator, size: int) -> Rig:
    """Four views about 90 degrees apart, as reconstruction sees them: elevation -10 to 45 degrees, focal lengths

    from 25 to 90 mm (35 mm equivalent), now and then uneven azimuths, elevations and aims.
    """
    start = rng.uniform(0, 360) if rng.uniform() < 0.25 else rng.normal(0, 2)
    uneven = rng.uniform() < 0.5
    azimuths = start + np.arange(4) * 90 + (rng.uniform(-15, 15, 4) if uneven else 0)
    elevations = np.full(4, np.clip(rng.normal(12, 12), -10, 45))
    if uneven:
        elevations = np.clip(elevations + rng.uniform(-8, 8, 4), -15, 55)
    field_of_view = np.full(4, rng.uniform(22, 60) if rng.uniform() < 0.5 else rng.normal(40, 3))
    fill = rng.uniform(0.82, 1.08) if rng.uniform() < 0.6 else rng.normal(0.95, 0.02)
    distance = 1.0 / np.sin(np.radians(field_of_view / 2) * fill)
    aim = rng.normal(0, 0.04, (4, 3)) if uneven else np.zeros((4, 3))
    poses = np.stack([orbit_pose(*c) for c in zip(azimuths, elevations, distance, aim, strict=True)])
    return Rig(poses.astype(np.float32), _intrinsics(field_of_view, size, np.zeros((4, 2))), (size, size))


def mono_rig(rng: np.random.Generator, size: int) -> Rig:
    """Four level views exactly 90 degrees apart, view 0 at azimuth 0: what the view generator produces."""
    field_of_view = np.full(4, float(np.clip(rng.normal(40, 6), 22, 60)))
    elevation = float(np.clip(rng.normal(12, 12), -10, 45))
    distance = 1.0 / np.sin(np.radians(field_of_view / 2) * rng.uniform(0.88, 1.0))
    poses = np.stack([orbit_pose(90.0 * k, elevation, distance[k]) for k in range(4)])
    return Rig(poses.astype(np.float32), _intrinsics(field_of_view, size, np.zeros((4, 2))), (size, size))


def target_rig(rng: np.random.Generator, size: int, count: int = 4) -> Rig:
    """Views from anywhere between -25 and 60 degrees of elevation."""
    azimuths = rng.uniform(0, 360, count)
    elevations = rng.uniform(-25, 60, count)
    field_of_view = rng.uniform(25, 50, count)
    distance = 1.0 / np.sin(np.radians(field_of_view / 2) * rng.uniform(0.85, 1.15, count))
    poses = np.stack([orbit_pose(*c) for c in zip(azimuths, elevations, distance, strict=True)])
    return Rig(poses.astype(np.float32), _intrinsics(field_of_view, size, np.zeros((count, 2))), (size, size))


def random_light(rng: np.random.Generator) -> Light:
    """A key light from above, ambient light of varied strength and tint, weak gloss."""
    direction = rng.normal(size=3) * np.array([1.0, 0.5, 1.0]) + np.array([0.0, 0.8, 0.0])
    direction /= np.linalg.norm(direction)
    key = rng.uniform(0.15, 0.9)
    ambient = rng.uniform(0.45, 0.75) + 0.25 * (0.6 - key)
    tint = 1 + rng.normal(0, 0.06, 3)
    specular = rng.uniform(0, 0.3) if rng.uniform() < 0.4 else 0.0
    return Light(
        direction.astype(np.float32),
        (key * tint).astype(np.float32),
        (ambient * (2 - tint)).astype(np.float32),
        float(specular),
        float(rng.uniform(5, 40)),
    )
