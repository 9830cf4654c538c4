"""Stage 40: one mesh traced through time in canonical coordinates (sec. 3.4 and supplement)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.interpolate import Akima1DInterpolator

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ClipArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.canonical_matching import SurfaceSamples, match_canonical
from lim_cli.geometry.face_repair import unfolded
from lim_cli.geometry.marching_cubes import UNIT_BOX, Bounds
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.geometry.mesh_cleanup import simplify, smooth
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.geometry.sight_lines import Picture, SightLines, followed, recognised, seen_colours
from lim_cli.geometry.silhouettes import Silhouette, outline_pull
from lim_cli.geometry.temporal_smoothing import smooth_track
from lim_cli.models.lim import InterpolationState, state_of
from lim_cli.models.lrm import encode_canonical
from lim_cli.stages.config import TrackConfig
from lim_cli.stages.evidence import Evidence
from lim_cli.stages.interpolate import load_interval
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks, batched
from lim_cli.stages.surface import FieldQuery, NoObjectError, agreeing_level, box_around, triplane_surface
from lim_cli.stages.traced import Traced, kept_first_mesh, load_traced, save_traced

STAGE_VERSION = 3
OUTLIER = 8.0
"""Pixels off at which what a picture says of a vertex loses three quarters of its weight."""


def run(
    keyframes: KeyframesArtifact,
    views: ViewsArtifact,
    clip: ClipArtifact | None,
    times: np.ndarray,
    config: TrackConfig,
    networks: Networks,
    *,
    pieces: Pieces | None = None,
    progress: Progress | None = None,
) -> TrackArtifact:
    """Traces the first keyframe's mesh to every time of `times` (seconds, increasing from the first keyframe).

    1. Marching cubes on LRM's first triplane gives the vertices and, for good, the faces.
    2. At every keyframe the mesh's canonical coordinates (where each vertex was at first) are rendered into
       the keyframe's views and encoded by CanonicalLRM: the anchor that bounds drift.
    3. Between keyframes LIM gives the surface and CanonicalLIM the canonical coordinates on it; every vertex
       goes to its canonical neighbours, and ARAP settles the mesh.
    4. Past the paper: wherever the input shows the object, vertices follow its pixels by optical flow, are drawn
       to where their own colours are found again, and the outline is fitted to the matte, since the input's pixels
       are the one thing known for sure; the corrections fade linearly between those times.

    clip: the input frames of a single-camera clip, None for posed views. Vertices are in the model frame.
    pieces: keeps the first mesh and every finished interval.

    Raises:
        InputError: the first keyframe holds no object.
        NumericalError: a network returned NaN.
    """
    progress, pieces = progress or SilentProgress(), pieces or Pieces()
    evidence = Evidence(views, clip)
    times = np.asarray(times, np.float64)
    mesh, level = kept_first_mesh(
        pieces, lambda: first_mesh(networks, keyframes.output(0, networks.device).triplane[0], views, evidence, config)
    )
    tracer = _Tracer(mesh, config)
    tracer.look(mesh.vertices, evidence.pictures(float(keyframes.times[0])))
    plan = [_stops(keyframes.times, k, times, evidence.times, config.evaluations) for k in range(len(keyframes) - 1)]
    moments, shapes, sureness = [float(keyframes.times[0])], [tracer.vertices], [tracer.confidence]
    with progress.task("Tracing the mesh", sum(len(stops) for stops in plan)) as task:
        for k, stops in enumerate(plan):
            if (done := load_traced(pieces, k)) is not None:
                moments += done.moments
                shapes += done.shapes
                sureness += done.sureness
                tracer.vertices, tracer.confidence, tracer.colours = shapes[-1], sureness[-1], done.colours
                task.advance(len(stops))
                continue
            start, end = keyframes.times[k], keyframes.times[k + 1]
            interval = load_interval(keyframes, k, networks)
            state = anchor(networks, tracer.vertices, mesh, views, k)
            began = _Shape(float(start), tracer.vertices, tracer.confidence)
            traced = []
            for moment in stops:
                alpha = float((moment - start) / (end - start))
                surface = _surface(networks, interval, state, alpha, moment, tracer.vertices, level, evidence, config)
                if surface is not None:
                    tracer.step(surface, moment - moments[-1])
                traced.append(_Shape(moment, tracer.vertices, tracer.confidence))
                moments.append(moment)
                task.advance()
            settled = tracer.settled(began, traced, evidence)
            shapes += [shape.vertices for shape in settled]
            sureness += [shape.confidence for shape in settled]
            tracer.vertices, tracer.confidence = shapes[-1], sureness[-1]
            count = len(stops)
            save_traced(pieces, k, Traced(stops, shapes[-count:], sureness[-count:], tracer.colours))
    vertices = _between(np.asarray(moments), np.stack(shapes), times)
    vertices = smooth_track(vertices, window=_calm(np.asarray(moments), times))
    nearest = np.abs(np.asarray(moments)[None] - times[:, None]).argmin(1)
    return TrackArtifact(TrackedMesh(vertices, mesh.faces, times), np.stack(sureness)[nearest])


def _stops(
    keyframe_times: np.ndarray, interval: int, times: np.ndarray, pictures: np.ndarray, most: int
) -> list[float]:
    """Where an interval is evaluated: at its input pictures, at its end, and at its output times if those are few;

    else at evenly spread times.
    """
    start, end = float(keyframe_times[interval]), float(keyframe_times[interval + 1])

    def inside(values: np.ndarray) -> list[float]:
        return [float(v) for v in values if start + 1e-6 < v < end - 1e-6]

    wanted = inside(times)
    if len(wanted) > most:
        wanted = [start + (end - start) * (n + 1) / (most + 1) for n in range(most)]
    seen = inside(pictures)
    apart = 0.25 * (end - start) / (most + 1)
    return [*sorted(seen + [w for w in wanted if all(abs(w - s) > apart for s in seen)]), end]


def _between(moments: np.ndarray, shapes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Shapes [moment, vertex, 3] at the output times, by a smooth curve through every vertex's places."""
    if len(moments) == 1:
        return np.repeat(shapes, len(times), 0)
    inside = np.clip(times, moments[0], moments[-1])
    if len(moments) == 2:
        share = np.interp(inside, moments, [0.0, 1.0])[:, None, None]
        return np.asarray(shapes[0] * (1 - share) + shapes[1] * share, np.float32)
    return np.asarray(Akima1DInterpolator(moments, shapes, axis=0, method="makima")(inside), np.float32)


def _calm(moments: np.ndarray, times: np.ndarray) -> int:
    """Over how many output times jitter is smoothed: no more than lie between two looks, which hold real motion."""
    if len(times) < 2 or len(moments) < 2:
        return 3
    apart = float(np.median(np.diff(moments)) / np.median(np.diff(times)))
    return 5 if apart >= 4 else 3


def first_mesh(
    networks: Networks, triplane: torch.Tensor, views: ViewsArtifact, evidence: Evidence, config: TrackConfig
) -> tuple[Mesh, float]:
    """The first keyframe's surface, cut at the mattes, cleaned, simplified and fitted to them; and its level."""
    field, moment = networks.lrm.field, float(views.keyframe_times[0])
    trusted = [evidence.real(moment), evidence.loose(moment)]
    silhouettes = [s for group in trusted for s in group]
    level = config.level
    if level is None:
        mattes = views.rgba[0, ..., 3] > 127
        level = agreeing_level(field, triplane, views.cameras_at(0), mattes, silhouettes=silhouettes)
    cut = partial(_agreed_surface, networks, triplane, trusted, level=level, min_fraction=0.05)
    rough = cut(resolution=64, bounds=UNIT_BOX)
    mesh = cut(resolution=config.resolution, bounds=box_around(rough.vertices, 0.06)) if rough is not None else None
    if mesh is None:
        raise NoObjectError("No object was found in the first keyframe; check the matte (--matte) and the picture.")
    mesh = smooth(simplify(smooth(mesh, config.smoothing), config.vertices), config.polish)
    fitted = _Tracer(mesh, config).fit_outline(mesh.vertices, evidence.real(moment))
    return Mesh(fitted, mesh.faces), level


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
    moment: float,
    vertices: np.ndarray,
    level: float,
    evidence: Evidence,
    config: TrackConfig,
) -> SurfaceSamples | None:
    """Points of LIM's surface at alpha with CanonicalLIM's coordinates; None where LIM sees nothing near the mesh."""
    mesh = _agreed_surface(
        networks,
        interval.triplane(alpha),
        [evidence.real(moment), evidence.loose(moment)],
        resolution=config.step_resolution,
        bounds=box_around(vertices, 0.16),
        level=level,
    )
    if mesh is None:
        return None
    normals = vertex_normals(mesh.vertices, mesh.faces)
    positions = mesh.vertices
    if len(positions) > config.samples:
        keep = np.linspace(0, len(positions) - 1, config.samples).astype(np.int64)
        positions, normals = positions[keep], normals[keep]
    query = FieldQuery(networks.canonical_lrm.field, interval.canonical_triplane(state, alpha))
    return SurfaceSamples(positions, query.values(positions), normals)


def _agreed_surface(
    networks: Networks,
    triplane: torch.Tensor,
    silhouettes: list[list[Silhouette]],
    *,
    resolution: int,
    bounds: Bounds,
    level: float,
    min_fraction: float = 0.02,
) -> Mesh | None:
    """The surface cut at all silhouettes; at fewer of them, the least trusted (last) first, if nothing is left."""
    for count in range(len(silhouettes), -1, -1):
        try:
            return triplane_surface(
                networks.lrm.field,
                triplane,
                resolution=resolution,
                bounds=bounds,
                level=level,
                min_fraction=min_fraction,
                silhouettes=[s for group in silhouettes[:count] for s in group],
            )
        except NoObjectError:
            continue
    return None


@dataclass(frozen=True)
class _Shape:
    """The mesh at one time: vertices [vertex, 3] and how sure each is, [vertex] in [0, 1]."""

    time: float
    vertices: np.ndarray
    confidence: np.ndarray


class _Tracer:
    """The mesh as it moves: where it is, how sure, and in what colours it was seen (sums of RGB, and of weight)."""

    def __init__(self, mesh: Mesh, config: TrackConfig) -> None:
        self.mesh, self.config = mesh, config
        self.vertices = mesh.vertices
        self.confidence = np.ones(len(mesh.vertices), np.float32)
        self.colours = np.zeros((len(mesh.vertices), 4))
        self._solver = ArapSolver(mesh.vertices, mesh.faces, "uniform")

    def look(self, vertices: np.ndarray, pictures: list[Picture]) -> None:
        """Remembers the colours that pictures show the vertices in."""
        self.colours = self.colours + seen_colours(vertices, self.mesh.faces, pictures)

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

    def settled(self, began: _Shape, traced: list[_Shape], evidence: Evidence) -> list[_Shape]:
        """Traced shapes brought into agreement with the input's pictures and mattes.

        The correction is found where there are pictures, and is none at `began`; between, it is interpolated.
        """
        known, corrections = [began.time], [np.zeros_like(began.vertices)]
        last, sureness = began, [shape.confidence for shape in traced]
        for n, shape in enumerate(traced):
            silhouettes = evidence.real(shape.time)
            if silhouettes:
                pictures = evidence.pictures(shape.time)
                start = shape.vertices + corrections[-1]
                followed_to, seen = self._follow(last, start, evidence.pictures(last.time), pictures)
                fitted = unfolded(self._solver, self.mesh.vertices, self.fit_outline(followed_to, silhouettes))
                self.look(fitted, pictures)
                sureness[n] = np.maximum(shape.confidence, seen)
                last = _Shape(shape.time, fitted, sureness[n])
                known.append(shape.time)
                corrections.append(fitted - shape.vertices)
        stacked = np.stack(corrections)
        shapes = []
        for shape, sure in zip(traced, sureness, strict=True):
            after = min(int(np.searchsorted(known, shape.time)), len(known) - 1)
            before = max(after - 1, 0)
            gap = known[after] - known[before]
            share = min((shape.time - known[before]) / gap, 1.0) if gap > 0 else 1.0
            vertices = shape.vertices + stacked[before] * (1 - share) + stacked[after] * share
            shapes.append(_Shape(shape.time, vertices.astype(np.float32), sure))
        return shapes

    def _follow(
        self, last: _Shape, start: np.ndarray, before: list[Picture], after: list[Picture]
    ) -> tuple[np.ndarray, np.ndarray]:
        """`start` drawn to where the pixels that showed `last` went, and how sure that is [vertex] in [0, 1]."""
        if len(before) != len(after):  # a time without pictures
            return start, np.zeros(len(start), np.float32)
        passes = self.config.recognitions
        lines = followed(last.vertices, self.mesh.faces, before, after)
        fitted, sure = self._fit_lines(start, lines, self.config.picture_stiffness * 2**passes)
        weight = self.colours[:, 3:]
        colours = np.concatenate([self.colours[:, :3] / np.maximum(weight, 1e-6), np.minimum(weight, 1.0)], 1)
        for left in reversed(range(passes)):  # limbs first swing as a whole, then bend
            lines = recognised(fitted, self.mesh.faces, colours, after)
            fitted, again = self._fit_lines(fitted, lines, self.config.picture_stiffness * 2**left)
            sure = np.maximum(sure, again)
        return fitted, sure

    def _fit_lines(self, start: np.ndarray, lines: SightLines, stiffness: float) -> tuple[np.ndarray, np.ndarray]:
        fitted = start
        for n in range(self.config.picture_rounds):
            if n == 1:  # once all lines have had their say, those that do not fit in lose theirs
                lines = lines.believed(fitted, OUTLIER)
            fitted = self._solver.fit(
                fitted,
                lines.targets(fitted),
                lines.trust(len(start)),
                stiffness=stiffness,
                iterations=2,
                prediction=start,
                temporal=0.02,
            )
        return fitted, lines.trust(len(start))

    def fit_outline(self, vertices: np.ndarray, silhouettes: list[Silhouette]) -> np.ndarray:
        """Vertices whose outline lies on the mattes."""
        fitted = vertices
        for _ in range(self.config.outline_rounds if silhouettes else 0):
            targets, weight = outline_pull(fitted, self.mesh.faces, silhouettes)
            fitted = self._solver.fit(
                fitted,
                targets,
                weight,
                stiffness=self.config.outline_stiffness,
                iterations=2,
                prediction=vertices,
                temporal=0.02,
            )
        return fitted
