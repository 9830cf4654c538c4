"""Stage 40: one mesh traced through time in canonical coordinates (sec. 3.4 and supplement)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import Akima1DInterpolator

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.store import TrackArtifact, ViewsArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.canonical_matching import SurfaceSamples, match_canonical
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.geometry.mesh_cleanup import simplify, smooth
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.geometry.temporal_smoothing import smooth_track
from lim_cli.models.lim import InterpolationState, state_of
from lim_cli.models.lrm import encode_canonical
from lim_cli.stages.interpolate import load_interval
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks, batched
from lim_cli.stages.surface import FieldQuery, agreeing_level, box_around, triplane_surface

STAGE_VERSION = 1


@dataclass(frozen=True)
class TrackConfig:
    """vertices: of the mesh. resolution: of marching cubes on the first triplane; step_resolution: on the others,

    within the object's box. stiffness: of ARAP. smoothing: Taubin rounds on the first mesh.
    largest_speed: model units per second a vertex may move, which rules out false matches.
    level: of the density logit at the surface; None takes the one that agrees best with the input's mattes.
    evaluations: at most so many times inside an interval run the networks; more output times lie on a smooth
    curve through those.
    """

    vertices: int = 10_000
    resolution: int = 144
    step_resolution: int = 88
    stiffness: float = 2.0
    iterations: int = 3
    smoothing: int = 3
    samples: int = 16_000
    largest_speed: float = 6.0
    level: float | None = None
    evaluations: int = 4


def run(
    keyframes: KeyframesArtifact,
    views: ViewsArtifact,
    times: np.ndarray,
    config: TrackConfig,
    networks: Networks,
    *,
    progress: Progress | None = None,
) -> TrackArtifact:
    """Traces the first keyframe's mesh to every time of `times` (seconds, increasing from the first keyframe).

    1. Marching cubes on LRM's first triplane gives the vertices and, for good, the faces.
    2. At every keyframe the mesh's canonical coordinates (where each vertex was at first) are rendered into
       the keyframe's views and encoded by CanonicalLRM: the anchor that bounds drift.
    3. Between keyframes LIM gives the surface and CanonicalLIM the canonical coordinates on it; every vertex
       goes to its canonical neighbours, and ARAP settles the mesh.

    Vertices are in the model frame. Raises InputError where the first keyframe holds no object.
    """
    progress = progress or SilentProgress()
    device = networks.device
    first = keyframes.output(0, device)
    level = config.level if config.level is not None else surface_level(networks, first.triplane[0], views)
    mesh = initial_mesh(networks, first.triplane[0], level, config)
    tracer = _Tracer(mesh, config)
    times = np.asarray(times, np.float64)
    plan = [_alphas(keyframes.times, k, times, config.evaluations) for k in range(max(len(keyframes) - 1, 0))]
    moments, shapes = [float(keyframes.times[0])], [tracer.vertices]
    sureness = [tracer.confidence]
    with progress.task("Tracing the mesh", sum(len(alphas) for alphas in plan)) as task:
        for k, alphas in enumerate(plan):
            start, end = keyframes.times[k], keyframes.times[k + 1]
            interval = load_interval(keyframes, k, networks)
            state = anchor(networks, tracer.vertices, mesh, views, k)
            for alpha in alphas:
                surface = _surface(networks, interval, state, alpha, tracer.vertices, level, config)
                moment = float(start + alpha * (end - start))
                tracer.step(surface, moment - moments[-1])
                moments.append(moment)
                shapes.append(tracer.vertices)
                sureness.append(tracer.confidence)
                task.advance()
    vertices = _between(np.asarray(moments), smooth_track(np.stack(shapes)), times)
    nearest = np.abs(np.asarray(moments)[None] - times[:, None]).argmin(1)
    return TrackArtifact(TrackedMesh(vertices, mesh.faces, times), np.stack(sureness)[nearest])


def _alphas(keyframe_times: np.ndarray, interval: int, times: np.ndarray, most: int) -> list[float]:
    """Where an interval is evaluated: at its output times and its end, or, where those are many, evenly spread."""
    start, end = keyframe_times[interval], keyframe_times[interval + 1]
    inside = times[(times > start + 1e-9) & (times < end - 1e-9)]
    if len(inside) <= most:
        return [*((inside - start) / (end - start)).tolist(), 1.0]
    return [(n + 1) / (most + 1) for n in range(most + 1)]


def _between(moments: np.ndarray, shapes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Shapes [moment, vertex, 3] at the output times, by a smooth curve through every vertex's places."""
    if len(moments) < 3:
        index = np.abs(moments[None] - times[:, None]).argmin(1) if len(moments) == 1 else None
        if index is not None:
            return np.asarray(shapes[index])
        share = np.interp(times, moments, [0.0, 1.0])[:, None, None]
        return np.asarray(shapes[0] * (1 - share) + shapes[1] * share, np.float32)
    curve = Akima1DInterpolator(moments, shapes, axis=0, method="makima")
    return np.asarray(curve(np.clip(times, moments[0], moments[-1])), np.float32)


def surface_level(networks: Networks, triplane: torch.Tensor, views: ViewsArtifact) -> float:
    """The level that agrees best with the first keyframe's input mattes: all four views, or the one real one."""
    chosen = slice(None) if views.source == "posed" else slice(0, 1)
    mattes = views.rgba[0, chosen, ..., 3] > 127
    return agreeing_level(networks.lrm.field, triplane, views.cameras_at(0)[chosen], mattes)


def initial_mesh(networks: Networks, triplane: torch.Tensor, level: float, config: TrackConfig) -> Mesh:
    """The first keyframe's surface, cleaned and simplified."""
    rough = triplane_surface(networks.lrm.field, triplane, resolution=64, level=level, min_fraction=0.05)
    bounds = box_around(rough.vertices, 0.06)
    mesh = triplane_surface(
        networks.lrm.field, triplane, resolution=config.resolution, bounds=bounds, level=level, min_fraction=0.05
    )
    return simplify(smooth(mesh, config.smoothing), config.vertices)


@torch.no_grad()
def anchor(
    networks: Networks, vertices: np.ndarray, first: Mesh, views: ViewsArtifact, keyframe: int
) -> InterpolationState:
    """CanonicalLRM's state at a keyframe, from renders of the tracked mesh's canonical coordinates."""
    lrm = networks.canonical_lrm
    size = (lrm.config.encoder.image_size,) * 2
    cameras = views.cameras_at(keyframe).resized(size)
    images = []
    for view in range(len(cameras)):
        pose, intrinsics = cameras.world_from_camera[view].numpy(), cameras.intrinsics[view].numpy()
        raster = rasterize(vertices, first.faces, pose, intrinsics, size)
        xyz = torch.from_numpy(interpolate(raster, first.faces, first.vertices)).movedim(-1, 0)
        images.append(encode_canonical(xyz, torch.from_numpy(raster.mask)[None].float()))
    output = lrm(torch.stack(images)[None].to(networks.device), batched(cameras, networks.device))
    return state_of(output)


def _surface(
    networks: Networks,
    interval: Interval,
    state: InterpolationState,
    alpha: float,
    vertices: np.ndarray,
    level: float,
    config: TrackConfig,
) -> SurfaceSamples:
    """Points of LIM's surface at alpha with CanonicalLIM's coordinates."""
    mesh = triplane_surface(
        networks.lrm.field,
        interval.triplane(alpha),
        resolution=config.step_resolution,
        bounds=box_around(vertices, 0.16),
        level=level,
    )
    normals = vertex_normals(mesh.vertices, mesh.faces)
    positions = mesh.vertices
    if len(positions) > config.samples:
        keep = np.linspace(0, len(positions) - 1, config.samples).astype(np.int64)
        positions, normals = positions[keep], normals[keep]
    query = FieldQuery(networks.canonical_lrm.field, interval.canonical_triplane(state, alpha))
    return SurfaceSamples(positions, query.values(positions), normals)


class _Tracer:
    """The mesh as it moves: where it is, how fast, and how sure."""

    def __init__(self, mesh: Mesh, config: TrackConfig) -> None:
        self.mesh, self.config = mesh, config
        self.vertices = mesh.vertices
        self.confidence = np.ones(len(mesh.vertices), np.float32)
        self._solver = ArapSolver(mesh.vertices, mesh.faces, "uniform")

    def step(self, surface: SurfaceSamples, passed: float) -> None:
        """Moves the vertices onto the surface of `passed` seconds later."""
        match = match_canonical(
            self.vertices,
            vertex_normals(self.vertices, self.mesh.faces),
            self.mesh.vertices,
            surface,
            max_motion=float(np.clip(self.config.largest_speed * passed, 0.08, 0.6)),
        )
        self.vertices = self._solver.fit(
            self.vertices,
            match.positions,
            match.confidence,
            stiffness=self.config.stiffness,
            iterations=self.config.iterations,
        )
        self.confidence = match.confidence
