"""Procedural animated objects behind the `AnimatedObject` protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lim_cli.data.animated_object import Light, PaintedSurface, PosedObject, RayHits, VolumeSamples
from lim_cli.data.procedural.body_plans import PLAN_CHANCES, PLANS, Plan
from lim_cli.data.procedural.chance import Choice
from lim_cli.data.procedural.parts import BALL, BOX, ROUND_CONE, Parts, Skin
from lim_cli.data.procedural.queries import cast_rays, describe_points, signed_distances
from lim_cli.data.procedural.rendering import render_view
from lim_cli.data.procedural.skeleton import Skeleton, rotation

_DIRECTIONS = np.array(
    [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)], np.float64
)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)

_PLANS = Choice(PLAN_CHANCES)
_DARK = np.zeros(11, np.float32)


def light_row(light: Light) -> np.ndarray:
    """A light as the kernels read it: [11] float32."""
    return np.concatenate([light.direction, light.colour, light.ambient, [light.specular, light.gloss]]).astype(
        np.float32
    )


def _without_highlight(light: Light) -> np.ndarray:
    row = light_row(light)
    row[9] = 0.0
    return row


@dataclass(frozen=True)
class ProceduralPose:
    """Parts at one phase. frames: world from part [part, 4, 4] float64."""

    frames: np.ndarray
    shapes: np.ndarray
    looks: np.ndarray
    blend: float
    hard_colour: bool

    @cached_property
    def forward(self) -> np.ndarray:
        """World from part [part, 12] float32."""
        return self.frames[:, :3].reshape(-1, 12).astype(np.float32)

    def _balls(self) -> np.ndarray:
        """Bounding balls [part, 4] float32, widened by the blend."""
        kind, a, b, c = self.shapes[:, 0], self.shapes[:, 1], self.shapes[:, 2], self.shapes[:, 3]
        cone = kind == ROUND_CONE
        centre_y = np.where(cone, (a + c - b) / 2, 0.0)
        radius = np.select(
            [cone, kind == BOX, kind == BALL],
            [np.maximum((a + b + c) / 2, np.maximum(b, c)), np.sqrt(a * a + b * b + c * c), a],
            np.sqrt(a * a + b * b),
        )
        local = np.stack([np.zeros_like(centre_y), centre_y, np.zeros_like(centre_y), np.ones_like(centre_y)], -1)
        centre = np.einsum("pij,pj->pi", self.frames[:, :3], local)
        stretch = np.linalg.svd(self.frames[:, :3, :3], compute_uv=False)[:, 0]
        return np.concatenate([centre, (radius * stretch + self.blend + 2e-3)[:, None]], -1).astype(np.float32)

    @cached_property
    def parts(self) -> Parts:
        """The parts as the kernels read them."""
        inverse = np.linalg.inv(self.frames)[:, :3].reshape(-1, 12).astype(np.float32)
        return Parts(inverse, self.shapes, self._balls(), np.float32(self.blend))

    def skin(self, reference: PosedObject, light: np.ndarray) -> Skin:
        """The looks of the parts under a light ([11], see `light_row`), and where they are in `reference`."""
        if not isinstance(reference, ProceduralPose):
            raise TypeError(f"expected a pose of the same procedural object, got {type(reference).__name__}")
        return Skin(reference.forward, self.looks, self.hard_colour, light)

    def cast(self, origins: np.ndarray, directions: np.ndarray, light: Light, reference: PosedObject) -> RayHits:
        rays = np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32)
        return RayHits(*cast_rays(self.parts, self.skin(reference, light_row(light)), *rays))

    def render(
        self,
        world_from_camera: np.ndarray,
        intrinsics: np.ndarray,
        size: tuple[int, int],
        light: Light,
        reference: PosedObject,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        camera = np.ascontiguousarray(world_from_camera, np.float32), np.ascontiguousarray(intrinsics, np.float32)
        rgba, depth, canonical = render_view(self.parts, self.skin(reference, light_row(light)), *camera, *size)
        return rgba, depth, canonical

    def sdf(self, points: np.ndarray) -> np.ndarray:
        """Signed distances [N] of points [N, 3] float32."""
        distances: np.ndarray = signed_distances(self.parts, np.ascontiguousarray(points, np.float32))
        return distances

    def inside(self, points: np.ndarray) -> np.ndarray:
        within: np.ndarray = self.sdf(points) < 0
        return within

    def describe(
        self, points: np.ndarray, reference: PosedObject, light: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lit rgb (no specular), normal and canonical_xyz, each [N, 3], of points [N, 3] float32 on the surface."""
        skin = self.skin(reference, light)
        rgb, normal, canonical = describe_points(self.parts, skin, np.ascontiguousarray(points, np.float32))
        return rgb, normal, canonical

    def surface_points(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Up to `count` points on the union's surface [N, 3] float32, roughly uniform over the parts' areas."""
        kind = self.shapes[:, 0]
        a, b, c = self.shapes[:, 1], self.shapes[:, 2], self.shapes[:, 3]
        area = np.select(
            [kind == ROUND_CONE, kind == BOX, kind == BALL],
            [(a + b + c) * (b + c) * 3.14, 8 * (a * b + b * c + a * c), 12.6 * a * a],
            6.3 * a * (a + 2 * b),
        ) * np.abs(np.linalg.det(self.frames[:, :3, :3])) ** (2 / 3)
        chances = np.sqrt(area)
        part = rng.choice(len(kind), size=2 * count, p=chances / chances.sum())
        direction = rng.normal(size=(2 * count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        kinds, shape = kind[part], self.shapes[part]
        along = rng.uniform(size=2 * count)
        cone = direction * (shape[:, 2] + (shape[:, 3] - shape[:, 2]) * along)[:, None]
        cone[:, 1] = np.where(along < 0.08, -np.abs(cone[:, 1]), np.where(along > 0.92, np.abs(cone[:, 1]), 0.0))
        cone[:, 1] += shape[:, 1] * along
        cube = direction / np.abs(direction).max(1, keepdims=True) * shape[:, 1:4]
        tube = direction / np.maximum(np.linalg.norm(direction[:, ::2], axis=1), np.abs(direction[:, 1]))[:, None]
        tube = tube * shape[:, [1, 2, 1]]
        local = np.select(
            [(kinds == ROUND_CONE)[:, None], (kinds == BOX)[:, None], (kinds == BALL)[:, None]],
            [cone, cube, direction * shape[:, 1:2]],
            tube,
        )
        frames = self.frames[part]
        points = np.einsum("nij,nj->ni", frames[:, :3, :3], local) + frames[:, :3, 3]
        points = points.astype(np.float32)
        for _ in range(2):
            sdf = self.sdf(points)
            keep = sdf > -0.03
            normal = self.describe(points[keep], self, _DARK)[1]
            points = points[keep] - sdf[keep, None] * normal
        return points[np.abs(self.sdf(points)) < 4e-3][:count]

    def sample_volume(
        self, rng: np.random.Generator, count: int, surface_count: int, light: Light, reference: PosedObject
    ) -> VolumeSamples:
        surface = self.surface_points(rng, max(surface_count, count // 2))
        if len(surface) == 0:
            surface = np.zeros((1, 3), np.float32)
        near = int(count * 0.66)
        spread = rng.choice(np.array([0.01, 0.03, 0.09], np.float32), size=(near, 1))
        around = surface[rng.integers(len(surface), size=near)]
        around = around + spread * rng.normal(size=(near, 3)).astype(np.float32)
        free = rng.uniform(-1, 1, size=(count - near, 3)).astype(np.float32)
        points = np.clip(np.concatenate([around, free]), -1, 1)
        row = _without_highlight(light)
        chosen = surface[rng.integers(len(surface), size=surface_count)]
        rgb, _, canonical = self.describe(chosen, reference, row)
        return VolumeSamples(points, self.sdf(points), chosen, rgb, canonical)

    def painted(
        self, rng: np.random.Generator, count: int, light: Light, others: Sequence[PosedObject]
    ) -> PaintedSurface:
        points = self.surface_points(rng, count)
        row = _without_highlight(light)
        told = [self.describe(points, other, row) for other in others]
        colours, normals, _ = told[0]
        return PaintedSurface(points, normals, colours, np.stack([there for _, _, there in told]))


@dataclass(frozen=True)
class ProceduralObject:
    """A skeleton with its look; `base` ([4, 4]) turns, mirrors, moves and scales it into the world."""

    skeleton: Skeleton
    shapes: np.ndarray
    looks: np.ndarray
    blend: float
    hard_colour: bool
    base: np.ndarray
    plan: str

    @staticmethod
    def draw(rng: np.random.Generator) -> ProceduralObject:
        """A new random object."""
        name = _PLANS.draw(rng)
        skeleton = PLANS[name](Plan(rng))
        blend = 0.0 if rng.uniform() < 0.4 or name == "machine" else float(rng.uniform(0.02, 0.09))
        if name == "soft_thing":
            blend = float(rng.uniform(0.08, 0.15))
        base = np.eye(4)
        tilt = rotation(rng.normal(size=3), np.array(rng.normal(0, 0.15)))
        base[:3, :3] = tilt @ rotation(np.array([0.0, 1.0, 0.0]), np.array(rng.uniform(0, 2 * np.pi)))
        return ProceduralObject(
            skeleton, skeleton.shapes(), skeleton.looks(), blend, bool(rng.uniform() < 0.6), base, name
        )

    def frames(self, phases: np.ndarray) -> np.ndarray:
        """World from part [phase, part, 4, 4]."""
        return self.base @ self.skeleton.part_frames(np.asarray(phases, np.float64))

    def poses(self, phases: np.ndarray) -> list[ProceduralPose]:
        """The object at several phases, cheaper than one by one."""
        poses = []
        all_frames = self.frames(phases)
        all_stretches = np.linalg.svd(all_frames[..., :3, :3], compute_uv=False)
        for frames, stretch in zip(all_frames, all_stretches, strict=True):
            shapes = self.shapes.copy()
            shapes[:, 7] = np.where(stretch[:, 0] < 1.02 * stretch[:, 2], stretch[:, 2], -stretch[:, 2])
            poses.append(ProceduralPose(frames, shapes, self.looks, self.blend, self.hard_colour))
        return poses

    def pose(self, phase: float) -> ProceduralPose:
        return self.poses(np.array([phase]))[0]

    def normalised(self, phases: np.ndarray, radius: float) -> ProceduralObject:
        points = self._extremes(np.asarray(phases, np.float64)).reshape(-1, 3)
        centre = (points.min(0) + points.max(0)) / 2
        scale = radius / np.linalg.norm(points - centre, axis=1).max()
        change = np.diag([scale, scale, scale, 1.0])
        change[:3, 3] = -scale * centre
        return replace(self, base=change @ self.base, blend=self.blend * scale)

    def _extremes(self, phases: np.ndarray) -> np.ndarray:
        """Outermost points of every part [phase, part, point, 3]."""
        kind, a, b, c = (self.shapes[:, k, None, None] for k in range(4))
        zero = np.zeros_like(a)
        start = _DIRECTIONS * b
        end = _DIRECTIONS * c + np.concatenate([zero, a, zero], -1)
        signs = np.sign(_DIRECTIONS)
        box = signs * np.concatenate([a, b, c], -1)
        tube = _DIRECTIONS / np.maximum(np.linalg.norm(_DIRECTIONS[:, ::2], axis=1, keepdims=True), 0.5)
        tube = np.clip(tube, -1, 1) * np.concatenate([a, zero, a], -1) + signs * np.concatenate([zero, b, zero], -1)
        single = np.where(kind == BOX, box, np.where(kind == BALL, _DIRECTIONS * a, tube))
        cone = kind == ROUND_CONE
        local = np.concatenate([np.where(cone, start, single), np.where(cone, end, single)], 1)
        frames = self.frames(phases)
        points: np.ndarray = local @ frames[..., :3, :3].swapaxes(-1, -2) + frames[:, :, None, :3, 3]
        return points

    def track(self, rng: np.random.Generator, count: int, phases: np.ndarray) -> np.ndarray:
        poses = self.poses(np.asarray(phases))
        drawn = poses[0].surface_points(rng, 2 * count)
        points = drawn[rng.choice(len(drawn), count, replace=len(drawn) < count)]
        return np.stack([poses[0].describe(points, later, _DARK)[2] for later in poses])
