"""Stage 40: one mesh traced through time in canonical coordinates (sec. 3.4 and supplement)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ClipArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.canonical_matching import SurfaceSamples
from lim_cli.geometry.control_mesh import ControlMesh
from lim_cli.geometry.face_repair import unfolded
from lim_cli.geometry.inflation import Balls, bare_balls
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.geometry.mesh_cleanup import simplify, smooth
from lim_cli.geometry.silhouettes import Silhouette
from lim_cli.geometry.surface_pull import ColouredSurface
from lim_cli.geometry.temporal_smoothing import smooth_track
from lim_cli.stages.agreed_surface import agreed_surface, coloured_surface, surface_near
from lim_cli.stages.canonical import CanonicalCoordinates, canonical_coordinates
from lim_cli.stages.config import TrackConfig
from lim_cli.stages.evidence import Evidence
from lim_cli.stages.intervals import Interval, Intervals
from lim_cli.stages.networks import Networks
from lim_cli.stages.second_look import second_look
from lim_cli.stages.surface import FieldQuery, Lattice, NoObjectError, agreeing_level, box_around
from lim_cli.stages.traced import Traced, kept_first_mesh, load_traced, save_traced
from lim_cli.stages.tracer import Shape, Tracer, blended, no_surface
from lim_cli.stages.track_plan import between, calm, looks, spans, stops

STAGE_VERSION = 8
OPENS = 1.1
"""How much longer than at first the outlines must usually be for another keyframe to be the template."""
SURROUNDING = 3
"""So many pictures at a time show a surface from all sides."""
CONTROL_VERTICES, SURROUNDED_CONTROL_VERTICES = 6_000, 2_000
"""Unless told otherwise."""


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
    """Traces one keyframe's mesh to every time of `times` (seconds, increasing from the first keyframe).

    1. Marching cubes on LRM's triplane of the template keyframe gives the vertices and, for good, the faces; what it
       lacks of the input's mattes is blown up from them (`geometry.inflation`). The template is
       the paper's first one unless the object is folded up there; then the one where its outline is longest, and the
       steps below go from there to both ends of the clip.
    2. At every `span`-th keyframe canonical coordinates begin anew, with the mesh as it lies there
       (`stages.canonical`).
    3. To the next such keyframe LIM gives the surface and CanonicalLIM the canonical coordinates on it; every vertex
       goes to its canonical neighbours, and ARAP settles the mesh.
    4. Past the paper: wherever the input shows the object, vertices follow its pixels by optical flow, are drawn
       to where their own colours are found again, and the outline is fitted to the matte, since the input's pixels
       are the one thing known for sure; the corrections fade linearly between those times. Where pictures surround
       the object, step 3 is left out, since the twins of release v1 find points less well than several pictures do;
       the mesh settles on LRM's own surface of every keyframe instead, place, normal and colour telling where.
    5. Once the whole track is known, all pictures are looked at again (`stages.second_look`).

    All this moves a coarse copy of the mesh, which then carries the fine one; its faces that turned over are mended.

    clip: the input frames of a single-camera clip, None for posed views. Vertices are in the model frame.
    pieces: keeps the first mesh and every finished interval.

    Raises:
        InputError: the first keyframe holds no object.
        NumericalError: a network returned NaN.
    """
    progress, pieces = progress or SilentProgress(), pieces or Pieces()
    evidence = Evidence(views, clip)
    times = np.asarray(times, np.float64)
    template = config.template if config.template is not None else most_open(evidence, keyframes.times)
    template = min(template, len(keyframes) - 1)
    mesh, level = kept_first_mesh(pieces, lambda: first_mesh(networks, keyframes, views, evidence, config, template))
    start = float(keyframes.times[template])
    usual = SURROUNDED_CONTROL_VERTICES if _surrounded(evidence, start) else CONTROL_VERTICES
    control = ControlMesh.of(mesh, config.control_vertices or usual)
    stretches = spans(template, len(keyframes), config.span)
    intervals = Intervals(networks, keyframes)
    own = FieldQuery(networks.lrm.field, keyframes.output(template, networks.device).triplane[0])
    paint = own.values(control.rest.vertices)
    known = {start: (control.rest.vertices, np.ones(len(control.rest.vertices), np.float32))}
    with progress.task("Tracing the mesh", len(stretches)) as task:
        for number, span in enumerate(stretches):
            direction = 1 if span[1] > span[0] else -1
            if span[0] == template:
                evidence = Evidence(views, clip, direction)
                tracer = Tracer(control.rest, control.solver, config, paint)
                tracer.look(tracer.vertices, evidence.pictures(direction * start))
            done = load_traced(pieces, number)
            if done is None:
                done = _span(
                    intervals, networks, keyframes, span, direction, times, views, evidence, tracer, level, config
                )
                save_traced(pieces, number, done)
            known |= {
                direction * moment: (shape, sure)
                for moment, shape, sure in zip(done.moments, done.shapes, done.sureness, strict=True)
            }
            if len(done.shapes) > 1:
                tracer.earlier = Shape(done.moments[-2], done.shapes[-2], done.sureness[-2])
            else:
                tracer.earlier = Shape(direction * float(keyframes.times[span[0]]), tracer.vertices, tracer.confidence)
            tracer.vertices, tracer.confidence, tracer.colours = done.shapes[-1], done.sureness[-1], done.colours
            task.advance()
    shapes = [Shape(moment, *known[moment]) for moment in sorted(known)]
    with progress.task("Looking again", config.second_looks) as task:
        for _ in range(config.second_looks):
            shapes = second_look(Tracer(control.rest, control.solver, config, paint), shapes, Evidence(views, clip))
            task.advance()
    moments = np.array([shape.time for shape in shapes])
    found = between(moments, np.stack([shape.vertices for shape in shapes]), times)
    coarse = smooth_track(found, window=calm(moments, times))
    vertices = np.stack([unfolded(mesh.vertices, control.carry(shape), mesh.faces) for shape in coarse])
    nearest = np.abs(moments[None] - times[:, None]).argmin(1)
    sure = np.stack([control.spread(shapes[n].confidence) for n in nearest])
    return TrackArtifact(TrackedMesh(vertices, mesh.faces, times), sure)


def _span(
    intervals: Intervals,
    networks: Networks,
    keyframes: KeyframesArtifact,
    span: tuple[int, int],
    direction: int,
    times: np.ndarray,
    views: ViewsArtifact,
    evidence: Evidence,
    tracer: Tracer,
    level: float,
    config: TrackConfig,
) -> Traced:
    """Traces the mesh from the first keyframe of a span, where `tracer` is, to the last, by the clock of `evidence`."""
    start, end = (direction * float(keyframes.times[k]) for k in span)
    matched = [Shape(start, tracer.vertices, tracer.confidence)]
    looked = []
    surrounded = _surrounded(evidence, start)
    if config.matching == "always" or not surrounded:
        looked = looks(start, end, direction * times, evidence.times, config.evaluations)
        interval = intervals.between(*span)
        canonical = canonical_coordinates(networks, interval, tracer.vertices, tracer.mesh, views, span[0])
        for moment in looked:
            alpha = (moment - start) / (end - start)
            surface = _surface(networks, interval, canonical, alpha, moment, tracer.vertices, level, evidence, config)
            if surface is not None:
                tracer.step(surface, canonical.of_vertices, moment - matched[-1].time)
            matched.append(Shape(moment, tracer.vertices, tracer.confidence))
    else:
        matched.append(Shape(end, tracer.vertices, np.zeros_like(tracer.confidence)))
    moments = stops(start, end, looked, evidence.times)

    def surface_at(moment: float, near: np.ndarray) -> ColouredSurface | None:
        keyframe = int(np.abs(direction * keyframes.times - moment).argmin())
        triplane = keyframes.output(keyframe, networks.device).triplane[0]
        few = config.samples // 4  # it is matched sixteen times, and as well by these
        mattes, resolution = [evidence.real(moment)], config.step_resolution
        return coloured_surface(networks, triplane, near, mattes, level=level, resolution=resolution, most=few)

    asked = surface_at if surrounded and config.surface_rounds else no_surface
    settled = tracer.settled(matched[0], [blended(matched, moment) for moment in moments], evidence, asked)
    return Traced(moments, [s.vertices for s in settled], [s.confidence for s in settled], tracer.colours)


def _surrounded(evidence: Evidence, moment: float) -> bool:
    return len(evidence.pictures(moment)) >= SURROUNDING


def most_open(evidence: Evidence, moments: np.ndarray) -> int:
    """The moment whose mattes have the longest outlines: there limbs lie neither in front of the body nor together.

    The first one, where it shows about as much as most others (the median one) do.
    """
    lengths = [sum(silhouette.length for silhouette in evidence.real(float(moment))) for moment in moments]
    longest = int(np.argmax(lengths))
    return longest if np.median(lengths) >= OPENS * lengths[0] else 0


def first_mesh(
    networks: Networks,
    keyframes: KeyframesArtifact,
    views: ViewsArtifact,
    evidence: Evidence,
    config: TrackConfig,
    keyframe: int,
) -> tuple[Mesh, float]:
    """A keyframe's surface, brought to fill the mattes and no more, cleaned, simplified, fitted; and its level."""
    triplane = keyframes.output(keyframe, networks.device).triplane[0]
    field, moment = networks.lrm.field, float(views.keyframe_times[keyframe])
    trusted = [evidence.real(moment), evidence.loose(moment)]
    silhouettes = [s for group in trusted for s in group]
    level = config.level
    if level is None:
        mattes = views.rgba[keyframe, ..., 3] > 127
        level = agreeing_level(field, triplane, views.cameras_at(keyframe), mattes, silhouettes=silhouettes)
    mesh = complete_surface(partial(Lattice.of, field, triplane), evidence.real(moment), trusted, level, config)
    if mesh is None:
        raise NoObjectError(f"No object was found in keyframe {keyframe}; check the matte (--matte) and the picture.")
    mesh = smooth(simplify(smooth(mesh, config.smoothing), config.vertices), config.polish)
    solver = ArapSolver(mesh.vertices, mesh.faces, "uniform")
    fitted = Tracer(mesh, solver, config).fit_outline(mesh.vertices, evidence.real(moment))
    return Mesh(fitted, mesh.faces), level


def complete_surface(
    lattice: Callable[..., Lattice],
    real: list[Silhouette],
    trusted: list[list[Silhouette]],
    level: float,
    config: TrackConfig,
) -> Mesh | None:
    """The surface in full resolution, with what it lacks of the input's own mattes; None where there is none."""

    def lacking(mesh: Mesh) -> Balls | None:
        return bare_balls(mesh, real) if config.complete else None

    cut = partial(agreed_surface, silhouettes=trusted, level=level, min_fraction=0.05)
    rough = cut(lattice(resolution=64))
    if rough is None:
        return None
    added = lacking(rough)
    reach = rough.vertices if added is None else np.concatenate([rough.vertices, added.centres])
    fine = lattice(resolution=config.resolution, bounds=box_around(reach, 0.06))
    mesh = cut(fine)
    added = None if mesh is None else lacking(mesh)
    return mesh if added is None else cut(fine, added=added)


def _surface(
    networks: Networks,
    interval: Interval,
    canonical: CanonicalCoordinates,
    alpha: float,
    moment: float,
    vertices: np.ndarray,
    level: float,
    evidence: Evidence,
    config: TrackConfig,
) -> SurfaceSamples | None:
    """Points of LIM's surface at alpha with their canonical coordinates; None where LIM sees nothing near the mesh."""
    silhouettes = [evidence.real(moment), evidence.loose(moment)]
    found = surface_near(
        networks,
        interval.triplane(alpha),
        vertices,
        silhouettes,
        margin=0.16,
        level=level,
        resolution=config.step_resolution,
        most=config.samples,
    )
    if found is None:
        return None
    positions, normals = found
    return SurfaceSamples(positions, canonical.of_points(positions, alpha), normals)
