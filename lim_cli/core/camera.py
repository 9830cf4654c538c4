"""Pinhole cameras, OpenCV axes (x right, y down, z forward), and where they stand around an object.

World: right-handed, +Y up. Pixel centres at +0.5. Azimuth 0 is on the +Z side, 90 degrees on +X.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Cameras:
    """A batch of pinhole cameras sharing one image size.

    world_from_camera: [..., 4, 4] float32, OpenCV axes.
    intrinsics: [..., 4] float32: fx, fy, cx, cy in pixels.
    size: (height, width) in pixels.
    """

    world_from_camera: Tensor
    intrinsics: Tensor
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.world_from_camera.shape[-2:] != (4, 4) or self.intrinsics.shape[-1] != 4:
            raise ValueError(
                f"expected world_from_camera [..., 4, 4] and intrinsics [..., 4], got "
                f"{tuple(self.world_from_camera.shape)} and {tuple(self.intrinsics.shape)}"
            )

    def __getitem__(self, index: int | slice | Tensor) -> Cameras:
        return Cameras(self.world_from_camera[index], self.intrinsics[index], self.size)

    def __len__(self) -> int:
        return self.world_from_camera.shape[0]

    def to(self, device: torch.device | str) -> Cameras:
        return Cameras(self.world_from_camera.to(device), self.intrinsics.to(device), self.size)

    def resized(self, size: tuple[int, int]) -> Cameras:
        """The same cameras with images of another size (height, width)."""
        scale_y, scale_x = size[0] / self.size[0], size[1] / self.size[1]
        scale = self.intrinsics.new_tensor([scale_x, scale_y, scale_x, scale_y])
        return Cameras(self.world_from_camera, self.intrinsics * scale, size)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """World points [..., N, 3] -> pixel xy [..., N, 2] and camera depth z [..., N]."""
        return project(points, self.world_from_camera, self.intrinsics)


def project(points: Tensor, world_from_camera: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """World points [..., N, 3] -> pixels xy [..., N, 2] and depth [..., N]; depth <= 0 is behind."""
    rotation, position = world_from_camera[..., :3, :3], world_from_camera[..., :3, 3]
    local = (points - position[..., None, :]) @ rotation  # [..., N, 3]
    depth = local[..., 2]
    focal, centre = intrinsics[..., None, :2], intrinsics[..., None, 2:]
    return local[..., :2] / depth.clamp_min(1e-6)[..., None] * focal + centre, depth


def look_at(position: np.ndarray, target: np.ndarray, up: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> np.ndarray:
    """world_from_camera [4, 4] of a camera at `position` looking at `target` (world frame)."""
    forward = target - position
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, np.asarray(up))
    right = right / max(float(np.linalg.norm(right)), 1e-8)
    down = np.cross(forward, right)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = right, down, forward, position
    return matrix


def orbit_pose(azimuth: float, elevation: float, distance: float, target: np.ndarray | None = None) -> np.ndarray:
    """world_from_camera [4, 4] of a camera on an orbit; angles in degrees, looking at `target` (origin)."""
    centre = np.zeros(3) if target is None else np.asarray(target, dtype=np.float64)
    a, e = np.radians(azimuth), np.radians(elevation)
    offset = distance * np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    return look_at(centre + offset, centre)


def orbit_cameras(
    azimuths: list[float],
    *,
    elevation: float,
    field_of_view: float,
    distance: float,
    size: tuple[int, int],
) -> Cameras:
    """Cameras looking at the origin; angles in degrees, `field_of_view` across the image width."""
    height, width = size
    focal = 0.5 * width / np.tan(np.radians(field_of_view) / 2)
    poses = np.stack([orbit_pose(a, elevation, distance) for a in azimuths])
    intrinsics = np.tile(np.array([focal, focal, width / 2, height / 2], np.float32), (len(azimuths), 1))
    return Cameras(torch.from_numpy(poses.astype(np.float32)), torch.from_numpy(intrinsics), size)
