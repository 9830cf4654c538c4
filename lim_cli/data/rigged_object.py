"""A rigged asset as a source of training data: its poses are ray cast, antialiased and sampled in 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lim_cli.data.animated_object import Light, PaintedSurface, PosedObject, RayHits, VolumeSamples
from lim_cli.data.gltf_animation import Rig
from lim_cli.data.mesh_sampling import (
    OFFSETS,
    SurfaceSamples,
    distance_to_surface,
    outside,
    visible_surface,
)
from lim_cli.data.ray_mesh import RayMesh
from lim_cli.data.shading import Painter, Recolouring, shade, vertex_normals

_DEFAULT_PHASES = np.linspace(0, 1, 9)
_DEFAULT_RADIUS = 0.95
_EDGE_CONTRAST = 0.05  # neighbouring pixels that differ more than this are supersampled
_SUBPIXELS = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]], np.float32)
_SURFACE_SAMPLES = 6144  # drawn for distances and visibility; more is slower and closer


@dataclass(frozen=True)
class Placement:
    """Asset frame -> world: (turn @ x - centre) * scale; turn [3, 3], centre [3]."""

    turn: np.ndarray
    centre: np.ndarray
    scale: float

    def apply(self, vertices: np.ndarray) -> np.ndarray:
        placed: np.ndarray = (vertices @ self.turn.T.astype(np.float32) - self.centre.astype(np.float32)) * np.float32(
            self.scale
        )
        return placed


class RiggedObject:
    """An animation of a rig (AnimatedObject). Phase 0 to 1 is the animation's first to last key.

    Without `normalised` it is fitted over its whole animation into the ball of radius 0.95.
    """

    def __init__(
        self,
        rig: Rig,
        animation: str,
        *,
        yaw: float = 0.0,
        mirrored: bool = False,
        recolouring: Recolouring | None = None,
    ) -> None:
        """yaw: degrees about +Y; mirrored: x becomes -x before the turn."""
        self.rig = rig
        self.clip = rig.animation(animation)
        angle = np.radians(yaw)
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        self._turn = turn @ np.diag([-1.0 if mirrored else 1.0, 1, 1])
        self._painter = Painter(rig.paint, recolouring)
        self._placement: Placement | None = None

    def pose(self, phase: float) -> RiggedPose:
        """The object at `phase` in [0, 1]."""
        return RiggedPose(self.vertices(phase), self.rig, self._painter)

    def poses(self, phases: np.ndarray) -> list[RiggedPose]:
        """The object at several phases."""
        return [self.pose(float(phase)) for phase in phases]

    def vertices(self, phase: float) -> np.ndarray:
        """Vertices [V, 3] at `phase`, normalised; faces are `rig.faces`."""
        if self._placement is None:
            self._placement = self._fitted(_DEFAULT_PHASES, _DEFAULT_RADIUS)
        return self._placement.apply(self._source(phase))

    def normalised(self, phases: np.ndarray, radius: float) -> RiggedObject:
        """The same object, its box over `phases` centred and scaled into the ball of `radius`."""
        result = object.__new__(RiggedObject)
        result.__dict__.update(self.__dict__)
        result._placement = self._fitted(phases, radius)
        return result

    def placed(self, centre: np.ndarray, scale: float) -> RiggedObject:
        """The same object under a given placement: world = (turned asset - centre) * scale."""
        result = object.__new__(RiggedObject)
        result.__dict__.update(self.__dict__)
        result._placement = Placement(self._turn, np.asarray(centre, np.float64), float(scale))
        return result

    def track(self, rng: np.random.Generator, count: int, phases: np.ndarray) -> np.ndarray:
        """Surface points [phase, count, 3] followed through time, visible ones of phases[0]."""
        first = self.pose(float(phases[0]))
        seen = first.surface(rng, max(4 * count, 256))
        pick = rng.integers(0, len(seen.face), count) if len(seen.face) < count else np.arange(count)
        corners, bary = self.rig.faces[seen.face[pick]], seen.bary[pick]
        return np.stack(
            [np.einsum("nk,nkc->nc", bary, self.vertices(float(p))[corners]) for p in np.asarray(phases).reshape(-1)]
        )

    def _source(self, phase: float) -> np.ndarray:
        clip = self.clip
        return self.rig.evaluate(clip.name, clip.start + float(phase) * (clip.end - clip.start))

    def _fitted(self, phases: np.ndarray, radius: float) -> Placement:
        turned = [self._source(float(p)) @ self._turn.T.astype(np.float32) for p in np.asarray(phases).reshape(-1)]
        low, high = np.min([v.min(0) for v in turned], 0), np.max([v.max(0) for v in turned], 0)
        centre = (low.astype(np.float64) + high) / 2
        reach = max(float(np.linalg.norm(v - centre, axis=1).max()) for v in turned)
        return Placement(self._turn, centre, radius / max(reach, 1e-12))


class RiggedPose:
    """A rig at one time (PosedObject): vertices [V, 3] float32; rays are prepared for when first cast."""

    def __init__(self, vertices: np.ndarray, rig: Rig, painter: Painter) -> None:
        self.vertices = vertices
        self.faces = rig.faces
        self._smoothing = rig.smoothing
        self._painter = painter

    @cached_property
    def mesh(self) -> RayMesh:
        return RayMesh(self.vertices, self.faces)

    @cached_property
    def normals(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit normals of vertices [V, 3] and of faces [F, 3]."""
        return vertex_normals(self.vertices, self.faces, self._smoothing)

    def surface(self, rng: np.random.Generator, count: int) -> SurfaceSamples:
        """Up to `count` random surface points that can be seen from outside."""
        return visible_surface(rng, self.mesh, self.vertices, self.faces, *self.normals, count)

    def cast(self, origins: np.ndarray, directions: np.ndarray, light: Light, reference: PosedObject) -> RayHits:
        """Rays [N, 3], unit [N, 3] -> first hits; two-sided, no shadows."""
        hits = self.mesh.first_hits(origins, directions)
        toward = np.asarray(directions, np.float32)[hits.ray]
        normal = self._shading_normal(hits.face, hits.bary, toward)
        albedo = self._painter.albedo(self.faces, hits.face, hits.bary)
        canonical = _between(_vertices(reference), self.faces, hits.face, hits.bary)
        count = len(origins)
        result = RayHits(
            rgb=np.zeros((count, 3), np.float32),
            mask=np.zeros(count, np.float32),
            ray_length=np.zeros(count, np.float32),
            normal=np.zeros((count, 3), np.float32),
            canonical_xyz=np.zeros((count, 3), np.float32),
        )
        result.rgb[hits.ray] = shade(albedo, normal, -toward, light)
        result.mask[hits.ray] = 1
        result.ray_length[hits.ray] = hits.ray_length
        result.normal[hits.ray] = normal
        result.canonical_xyz[hits.ray] = canonical
        return result

    def render(
        self,
        world_from_camera: np.ndarray,
        intrinsics: np.ndarray,
        size: tuple[int, int],
        light: Light,
        reference: PosedObject,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One view: straight-alpha rgba [height, width, 4], depth [height, width], canonical_xyz [..., 3].

        Pixels beside a change of mask or colour are averaged over five rays; depth and canonical_xyz are
        those of the centre ray, or of any other that hits, so they are set wherever opacity is above zero.
        """
        height, width = size
        xs, ys = np.meshgrid(np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5)
        pixels = np.stack([xs, ys], -1).reshape(-1, 2)
        # 1. One ray through every pixel centre.
        rgb, mask, depth, canonical = self._view(pixels, world_from_camera, intrinsics, light, reference)
        # 2. Four more where a neighbour differs.
        edge = np.flatnonzero(_differs(rgb.reshape(height, width, 3), mask.reshape(height, width)))
        if len(edge):
            around = (pixels[edge, None] + _SUBPIXELS).reshape(-1, 2)
            fine = self._view(around, world_from_camera, intrinsics, light, reference)
            many = [
                np.concatenate([coarse[edge][:, None], part.reshape(len(edge), len(_SUBPIXELS), *part.shape[1:])], 1)
                for coarse, part in zip((rgb, mask, depth, canonical), fine, strict=True)
            ]
            hits = many[1].sum(1)
            rgb[edge] = many[0].sum(1) / np.maximum(hits, 1)[:, None]
            mask[edge] = hits / many[1].shape[1]
            shown = many[1].argmax(1)
            rows = np.arange(len(edge))
            depth[edge], canonical[edge] = many[2][rows, shown], many[3][rows, shown]
        rgba = np.concatenate([rgb, mask[:, None]], 1).reshape(height, width, 4)
        return rgba, depth.reshape(height, width), canonical.reshape(height, width, 3)

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether no ray gets away from each of points [N, 3]: bool [N]."""
        return ~outside(self.mesh, points, self.vertices.min(0), self.vertices.max(0))

    def sample_volume(
        self, rng: np.random.Generator, count: int, surface_count: int, light: Light, reference: PosedObject
    ) -> VolumeSamples:
        """Points with signed distance (two thirds near the surface) and lit points of the visible surface."""
        drawn = self.surface(rng, max(_SURFACE_SAMPLES, surface_count))
        # 1. Points near the surface at several scales, and uniform ones.
        near_count = count * 2 // 3
        pick = rng.integers(0, len(drawn.face), near_count)
        spread = rng.choice(np.array(OFFSETS, np.float32), near_count) * rng.standard_normal(near_count, np.float32)
        near = drawn.points[pick] + spread[:, None] * drawn.normal[pick]
        uniform = rng.uniform(-1, 1, (count - near_count, 3)).astype(np.float32)
        points = np.concatenate([np.clip(near, -1, 1), uniform])
        # 2. Sign by visibility, size by the nearest triangles.
        inside = self.inside(points)
        distance = distance_to_surface(points, drawn, self.vertices[self.faces])
        # 3. What the visible surface looks like and where it is in the reference pose.
        few = len(drawn.face) < surface_count
        chosen = rng.integers(0, len(drawn.face), surface_count) if few else np.arange(surface_count)
        face, bary = drawn.face[chosen], drawn.bary[chosen]
        return VolumeSamples(
            points=points,
            sdf=np.where(inside, -distance, distance).astype(np.float32),
            surface_points=drawn.points[chosen],
            surface_rgb=shade(self._painter.albedo(self.faces, face, bary), drawn.normal[chosen], None, light),
            surface_canonical=_between(_vertices(reference), self.faces, face, bary),
        )

    def painted(
        self, rng: np.random.Generator, count: int, light: Light, others: Sequence[PosedObject]
    ) -> PaintedSurface:
        seen = self.surface(rng, count)
        colours = shade(self._painter.albedo(self.faces, seen.face, seen.bary), seen.normal, None, light)
        later = [_between(_vertices(other), self.faces, seen.face, seen.bary) for other in others]
        return PaintedSurface(seen.points, seen.normal, colours, np.stack(later))

    def _view(
        self,
        pixels: np.ndarray,
        world_from_camera: np.ndarray,
        intrinsics: np.ndarray,
        light: Light,
        reference: PosedObject,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """rgb [N, 3], mask [N], depth [N] and canonical_xyz [N, 3] of pixels xy [N, 2]."""
        pose, lens = np.asarray(world_from_camera, np.float32), np.asarray(intrinsics, np.float32)
        local = np.empty((len(pixels), 3), np.float32)
        local[:, :2] = (pixels - lens[2:]) / lens[:2]
        local[:, 2] = 1
        cosine = 1 / np.sqrt((local * local).sum(1))  # depth / ray length
        directions = (local * cosine[:, None]) @ pose[:3, :3].T
        hits = self.cast(np.broadcast_to(pose[:3, 3], directions.shape), directions, light, reference)
        return hits.rgb, hits.mask, hits.ray_length * cosine, hits.canonical_xyz

    def _shading_normal(self, face: np.ndarray, bary: np.ndarray, toward: np.ndarray) -> np.ndarray:
        """Interpolated unit normals [N, 3] on the side the ray comes from."""
        vertex_normal, face_normal = self.normals
        flat = face_normal[face]
        smooth = np.einsum("nk,nkc->nc", bary, vertex_normal[self.faces[face]])
        smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
        agree = (smooth * flat).sum(1, keepdims=True) > 0
        back = (flat * toward).sum(1, keepdims=True) > 0
        normal = np.where(agree, smooth, flat)
        facing: np.ndarray = np.where(back, -normal, normal).astype(np.float32)
        return facing


def recoloured(material_count: int, rng: np.random.Generator, strength: float = 1.0) -> Recolouring:
    """A random change of colours: a turn of hue, some saturation and brightness, a tint per material."""
    angle = rng.uniform(-np.pi, np.pi) * strength * (rng.random() < 0.7)
    grey = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * grey
    saturation = 1 + strength * rng.uniform(-0.3, 0.3)
    matrix = (saturation * np.eye(3) + (1 - saturation) * grey) @ turn
    gain = np.exp(strength * (rng.normal(0, 0.12, (material_count, 3)) + rng.normal(0, 0.12, (material_count, 1))))
    return Recolouring(matrix.astype(np.float32), gain.astype(np.float32))


def _between(vertices: np.ndarray, faces: np.ndarray, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
    points: np.ndarray = np.einsum("nk,nkc->nc", bary, vertices[faces[face]])
    return points


def _vertices(reference: PosedObject) -> np.ndarray:
    if not isinstance(reference, RiggedPose):
        raise TypeError(f"the reference of a rigged pose must be one too, got {type(reference).__name__}")
    return reference.vertices


def _differs(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Pixels [height * width] with a neighbour of another mask or a clearly different colour."""
    values = np.concatenate([rgb, mask[..., None]], -1)
    edge = np.zeros(mask.shape, bool)
    down = (np.abs(values[1:] - values[:-1]) > _EDGE_CONTRAST).any(-1)
    right = (np.abs(values[:, 1:] - values[:, :-1]) > _EDGE_CONTRAST).any(-1)
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge.reshape(-1)
