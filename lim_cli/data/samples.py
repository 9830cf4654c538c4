"""One training sample from an animated object: what four cameras saw at some instants, and the truth behind it.

All instants of a sample share cameras, light and normalisation; canonical coordinates refer to one reference
instant. Arrays (numpy; batched by the loader):

- views [time, view, 4, h, w] uint8: straight-alpha RGBA of the source rig
- canonical [time, view, 3, h, w] float16: canonical XYZ, 0 where empty (only if asked for)
- world_from_camera [view, 4, 4], intrinsics [view, 4]: the source rig, the same at all instants
- alpha [time]: place of each instant between the first and the last
- origins, directions [time, ray, 3]; ray_rgb, ray_canonical [time, ray, 3], ray_mask, ray_length [time, ray]
- tracks [time, time, track, 3]: points of the surface at the first of the two times, where they are at the second;
  of `keyframes` the second runs over the passed instants, too, as alpha then does: [time + passed]
- points [time, point, 3], sdf [time, point]; surface, surface_rgb, surface_canonical [time, surface, 3]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lim_cli.core.errors import ConfigError
from lim_cli.data.animated_object import AnimatedObject, Light, PosedObject
from lim_cli.data.rigs import Rig, mono_rig, random_light, source_rig, target_rig


@dataclass(frozen=True)
class SampleSpec:
    """instants: `single` (one), `triplet` (src, mid, tgt), `clip` (clip_length equally spaced) or `keyframes`

    (clip_length at random places, and `passed` more between them that only tracks and alpha tell of).

    rays: per labelled instant. labelled: indices of the instants with rays and points.
    tracks: points followed from each instant to all others (0: none).
    patch: 0 draws rays one by one; otherwise they come row by row in squares of so many pixels a side.
    """

    instants: Literal["single", "triplet", "clip", "keyframes"] = "single"
    size: int = 128
    rays: int = 512
    points: int = 2048
    surface: int = 1024
    clip_length: int = 8
    canonical: bool = False
    labelled: tuple[int, ...] = (0,)
    mono: bool = False
    shortest_gap: float = 0.04
    longest_gap: float = 0.3
    patch: int = 0
    tracks: int = 0
    passed: int = 0

    def __post_init__(self) -> None:
        if self.patch and (self.patch > self.size or self.rays % self.patch**2):
            raise ConfigError(
                f"patch must be at most the picture's {self.size} pixels and rays a multiple of its square, "
                f"got patch {self.patch} and rays {self.rays}."
            )

    def draw(self, source: AnimatedObject, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """See `draw_sample`."""
        return draw_sample(source, rng, self)


def draw_sample(source: AnimatedObject, rng: np.random.Generator, spec: SampleSpec) -> dict[str, np.ndarray]:
    """A sample of `source` at random phases, from random cameras, under a random light."""
    phases, alpha, reference_phase = _phases(rng, spec)
    radius = rng.uniform(0.8, 0.97)
    placed = source.normalised(np.concatenate([phases, [reference_phase]]), radius)
    seen = len(phases) - spec.passed
    *poses, reference = placed.poses(np.concatenate([phases[:seen], [reference_phase]]))
    light = random_light(rng)
    rig = mono_rig(rng, spec.size) if spec.mono else source_rig(rng, spec.size)
    views, canonical = [], []
    for pose in poses:
        shots = [pose.render(rig.world_from_camera[v], rig.intrinsics[v], rig.size, light, reference) for v in range(4)]
        views.append(np.stack([s[0] for s in shots]))
        if spec.canonical:
            canonical.append(np.stack([s[2] for s in shots]))
    sample = {
        "views": as_bytes(np.moveaxis(np.stack(views), -1, 2)),
        "world_from_camera": rig.world_from_camera,
        "intrinsics": rig.intrinsics,
        "alpha": alpha.astype(np.float32),
    }
    if spec.canonical:
        sample["canonical"] = np.moveaxis(np.stack(canonical), -1, 2).astype(np.float16)
    if spec.labelled:
        labels = [_labels(poses[i], reference, light, rng, spec) for i in spec.labelled]
        sample.update({k: np.stack([label[k] for label in labels]) for k in labels[0]})
    if spec.tracks:
        sample["tracks"] = np.stack([_tracks(placed, rng, phases, n, spec.tracks) for n in range(seen)])
    return sample


def _tracks(placed: AnimatedObject, rng: np.random.Generator, phases: np.ndarray, first: int, count: int) -> np.ndarray:
    """Points of the surface at the phase `first`, at all phases: [phase, count, 3]."""
    order = np.concatenate([[first], np.delete(np.arange(len(phases)), first)])
    found = placed.track(rng, count, phases[order])
    return found[np.argsort(order)].astype(np.float32)


def _phases(rng: np.random.Generator, spec: SampleSpec) -> tuple[np.ndarray, np.ndarray, float]:
    if spec.instants == "keyframes":
        phases, alpha = keyframe_phases(rng, spec.clip_length, spec.passed)
        return phases, alpha, float(phases[0])
    start = rng.uniform()
    if spec.instants == "single":
        reference = rng.uniform() if rng.uniform() < 0.7 else start
        if spec.canonical:  # near in time, as when a clip is traced
            reference = start + rng.choice([0.0, 1.0]) * rng.uniform(-0.5, 0.5)
        return np.array([start]), np.zeros(1), float(np.clip(reference, 0, 1))
    gap = np.exp(rng.uniform(np.log(spec.shortest_gap), np.log(spec.longest_gap)))
    if spec.instants == "triplet":
        start = start * (1 - gap)
        middle = float(rng.uniform(0.02, 0.98)) if rng.uniform() < 0.8 else 0.5
        alpha = np.array([0.0, middle, 1.0])
    else:
        gap = rng.uniform(0.2, 0.9)
        start = start * (1 - gap)
        alpha = np.linspace(0, 1, spec.clip_length)
    phases = start + gap * alpha
    if rng.uniform() < 0.5:
        phases = start + gap - gap * alpha
    reference = phases[0] if rng.uniform() < 0.5 else float(np.clip(phases[0] + rng.uniform(-0.4, 0.4), 0, 1))
    return phases, alpha, float(reference)


def keyframe_phases(rng: np.random.Generator, keyframes: int, passed: int) -> tuple[np.ndarray, np.ndarray]:
    """Phases of keyframes in a stretch of the motion, in order, and of instants passed between them; and alphas."""
    gap = rng.uniform(0.1, 0.34)
    start = rng.uniform() * (1 - gap)
    between = np.sort(rng.uniform(size=keyframes - 2))
    alpha = np.concatenate([[0.0], between, [1.0], rng.uniform(size=passed)])
    return start + gap * alpha, alpha


def _labels(
    pose: PosedObject, reference: PosedObject, light: Light, rng: np.random.Generator, spec: SampleSpec
) -> dict[str, np.ndarray]:
    rig = target_rig(rng, spec.size)
    origins, directions = _patch_rays(rng, rig, spec) if spec.patch else _random_rays(rng, rig, spec.rays)
    hits = pose.cast(origins, directions, light, reference)
    volume = pose.sample_volume(rng, spec.points, spec.surface, light, reference)
    return {
        "origins": origins,
        "directions": directions,
        "ray_rgb": hits.rgb.astype(np.float16),
        "ray_canonical": hits.canonical_xyz.astype(np.float16),
        "ray_mask": hits.mask.astype(np.float16),
        "ray_length": hits.ray_length.astype(np.float16),
        "points": volume.points,
        "sdf": volume.sdf.astype(np.float16),
        "surface": volume.surface_points,
        "surface_rgb": volume.surface_rgb.astype(np.float16),
        "surface_canonical": volume.surface_canonical.astype(np.float16),
    }


def _random_rays(rng: np.random.Generator, rig: Rig, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rays through random pixels of the rig's views; two thirds pass near the middle, where objects are."""
    view = np.arange(count) % len(rig.intrinsics)
    spread = rng.uniform(size=(count, 2))
    central = np.clip(0.5 + rng.normal(0, 0.17, (count, 2)), 0, 1)
    pixels = np.where((rng.uniform(size=count) < 0.66)[:, None], central, spread) * np.array(rig.size[::-1])
    return rays_through(pixels, view, rig)


def _patch_rays(rng: np.random.Generator, rig: Rig, spec: SampleSpec) -> tuple[np.ndarray, np.ndarray]:
    """Rays through the pixel centres of square patches [patch, row, column], flattened; patches take turns in views."""
    count = spec.rays // spec.patch**2
    room = spec.size - spec.patch
    corner = np.clip(np.round(room * rng.normal(0.5, 0.25, (count, 2))), 0, room)
    rows, columns = np.mgrid[: spec.patch, : spec.patch]
    grid = np.stack([columns, rows], -1).reshape(1, -1, 2) + 0.5
    view = np.repeat(np.arange(count) % len(rig.intrinsics), spec.patch**2)
    return rays_through((corner[:, None] + grid).reshape(-1, 2), view, rig)


def rays_through(pixels: np.ndarray, view: np.ndarray, rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """World origins and directions [ray, 3] of pixels xy [ray, 2] of the rig's views [ray]."""
    intrinsics, pose = rig.intrinsics[view], rig.world_from_camera[view]
    xy = (pixels - intrinsics[:, 2:]) / intrinsics[:, :2]
    local = np.concatenate([xy, np.ones((len(xy), 1))], -1)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    directions = np.einsum("nij,nj->ni", pose[:, :3, :3], local)
    return pose[:, :3, 3].astype(np.float32), directions.astype(np.float32)


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as uint8."""
    result: np.ndarray = np.clip(images * 255 + 0.5, 0, 255).astype(np.uint8)
    return result
