"""The mesh as it moves: after canonical matches, after the input's pixels, onto the mattes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.canonical_matching import SurfaceSamples, match_canonical
from lim_cli.geometry.face_repair import unfolded
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.sight_lines import Picture, SightLines, followed, mean_colours, recognised, seen_colours
from lim_cli.geometry.silhouettes import Silhouette, outline_pull
from lim_cli.geometry.surface_pull import ColouredSurface, surface_pull
from lim_cli.stages.config import TrackConfig
from lim_cli.stages.evidence import Evidence

OUTLIER = 8.0
"""Pixels off at which what a picture says of a vertex loses three quarters of its weight."""
LATER = 0.25
"""Weight of the colours seen after the first time: a shape that was traced wrongly must not teach them."""
SURFACE_FIRST_STIFFNESS = 20.0
"""Of ARAP when a mesh begins to settle on a surface: limbs swing as a whole before they bend."""
MOMENTUM = 0.5
"""Share of its last motion that the mesh is expected to go on with."""
LINES_SHARE = 0.5
"""Weight of the pixels' lines beside the mattes while the outline is fitted."""


@dataclass(frozen=True)
class Shape:
    """The mesh at one time: vertices [vertex, 3] and how sure each is, [vertex] in [0, 1]."""

    time: float
    vertices: np.ndarray
    confidence: np.ndarray


SurfaceAt = Callable[[float, np.ndarray], ColouredSurface | None]
"""Of a time and the vertices thought to be there: the surface, or None where none can be trusted."""


def no_surface(time: float, vertices: np.ndarray) -> None:
    """Of no time is a surface known."""


def blended(shapes: list[Shape], time: float) -> Shape:
    """The shape at `time` on the straight way between the two of `shapes` (in order of time) about it."""
    after = min(int(np.searchsorted([shape.time for shape in shapes], time)), len(shapes) - 1)
    first, second = shapes[max(after - 1, 0)], shapes[after]
    gap = second.time - first.time
    share = np.float32(min((time - first.time) / gap, 1.0) if gap > 0 else 1.0)
    vertices = first.vertices * (1 - share) + second.vertices * share
    return Shape(time, vertices, first.confidence * (1 - share) + second.confidence * share)


def interpolated(times: list[float], values: list[np.ndarray], time: float) -> np.ndarray:
    """The value at `time` on the straight way between those at `times` (increasing); beyond them the nearest."""
    place = float(np.interp(time, times, np.arange(len(times))))
    before = int(place)
    after = min(before + 1, len(times) - 1)
    share = np.float32(place - before)
    return np.asarray(values[before] * (1 - share) + values[after] * share, np.float32)


class Tracer:
    """The mesh as it moves: where it is, how sure, and in what colours it was seen (sums of RGB, and of weight).

    paint: [vertex, 3] RGB in [0, 1], the mesh's colours as triplanes have them; all grey if left out.
    earlier: the shape before the last one.
    """

    def __init__(self, mesh: Mesh, solver: ArapSolver, config: TrackConfig, paint: np.ndarray | None = None) -> None:
        self.mesh, self.config = mesh, config
        self.paint = np.full_like(mesh.vertices, 0.5) if paint is None else paint
        self.vertices = mesh.vertices
        self.earlier: Shape | None = None
        self.confidence = np.ones(len(mesh.vertices), np.float32)
        self.colours = np.zeros((len(mesh.vertices), 4))
        self._solver = solver

    def look(self, vertices: np.ndarray, pictures: list[Picture], weight: float = 1.0) -> None:
        """Remembers the colours that pictures show the vertices in."""
        self.colours = self.colours + weight * seen_colours(vertices, self.mesh.faces, pictures)

    def step(self, surface: SurfaceSamples, canonical: np.ndarray, passed: float) -> None:
        """Moves the vertices, of canonical coordinates [vertex, 3], onto the surface of `passed` seconds later."""
        match = match_canonical(
            self.vertices,
            vertex_normals(self.vertices, self.mesh.faces),
            canonical,
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

    def settled(
        self, began: Shape, traced: list[Shape], evidence: Evidence, surface_at: SurfaceAt = no_surface
    ) -> list[Shape]:
        """Traced shapes brought into agreement with the input's pictures and mattes, and with the surfaces there are.

        The correction is found where there are pictures, and is none at `began`; between, it is interpolated.
        """
        known, corrections = [began.time], [np.zeros_like(began.vertices)]
        earlier, last, sureness = self.earlier, began, [shape.confidence for shape in traced]
        for n, shape in enumerate(traced):
            silhouettes = evidence.real(shape.time)
            if silhouettes:
                pictures = evidence.pictures(shape.time)
                start = shape.vertices + corrections[-1]
                surface = surface_at(shape.time, start)
                if surface is not None:
                    start = self.fit_surface(self._carried_on(start, earlier, last, shape.time), surface)
                fitted, sure, lines = self._follow(last, start, evidence.pictures(last.time), pictures)
                if surface is not None:
                    fitted = self.fit_surface(fitted, surface)
                fitted = unfolded(self.mesh.vertices, self.fit_outline(fitted, silhouettes, lines), self.mesh.faces)
                self.look(fitted, pictures, LATER)
                sureness[n] = np.maximum(shape.confidence, sure)
                earlier, last = last, Shape(shape.time, fitted, sureness[n])
                known.append(shape.time)
                corrections.append(fitted - shape.vertices)
        return [
            Shape(shape.time, shape.vertices + interpolated(known, corrections, shape.time), sure)
            for shape, sure in zip(traced, sureness, strict=True)
        ]

    def _carried_on(self, start: np.ndarray, earlier: Shape | None, last: Shape, time: float) -> np.ndarray:
        """`start` after a share of the motion from `earlier` to `last` has gone on until `time`, without tearing."""
        if earlier is None:
            return start
        motion = (last.vertices - earlier.vertices) * ((time - last.time) / (last.time - earlier.time))
        moved = (start + MOMENTUM * motion).astype(np.float32)
        return self._solver.fit(moved, moved, np.full(len(moved), 0.1, np.float32), stiffness=3.0, iterations=3)

    def fit_surface(self, vertices: np.ndarray, surface: ColouredSurface) -> np.ndarray:
        """Vertices that lie on the surface, each where it looks like itself (non-rigid iterated closest points)."""
        rounds, stiffness = self.config.surface_rounds, self.config.surface_stiffness
        fitted = vertices
        for stiff in np.geomspace(max(SURFACE_FIRST_STIFFNESS, stiffness), stiffness, rounds):
            targets, weight = surface_pull(fitted, vertex_normals(fitted, self.mesh.faces), self.paint, surface)
            fitted = self._solver.fit(fitted, targets, weight, stiffness=float(stiff), iterations=2, temporal=0.02)
        return fitted

    def _follow(
        self, last: Shape, start: np.ndarray, before: list[Picture], after: list[Picture]
    ) -> tuple[np.ndarray, np.ndarray, SightLines | None]:
        """`start` drawn to where the pixels that showed `last` went, how sure that is [vertex] in [0, 1], and the lines

        that the pixels name last; None at a time without pictures.
        """
        if len(before) != len(after):
            return start, np.zeros(len(start), np.float32), None
        passes = self.config.recognitions
        lines = followed(last.vertices, self.mesh.faces, before, after)
        fitted, sure = self.fit_lines(start, lines, self.config.picture_stiffness * 2**passes)
        colours = mean_colours(self.colours)
        for left in reversed(range(passes)):  # limbs first swing as a whole, then bend
            lines = recognised(fitted, self.mesh.faces, colours, after)
            fitted, again = self.fit_lines(fitted, lines, self.config.picture_stiffness * 2**left)
            sure = np.maximum(sure, again)
        return fitted, sure, lines

    def fit_lines(self, start: np.ndarray, lines: SightLines, stiffness: float) -> tuple[np.ndarray, np.ndarray]:
        """Vertices drawn onto lines they should lie on, and how sure that is [vertex] in [0, 1]."""
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

    def fit_outline(
        self, vertices: np.ndarray, silhouettes: list[Silhouette], lines: SightLines | None = None
    ) -> np.ndarray:
        """Vertices whose outline lies on the mattes; `lines` hold those that pixels know from sliding along with it."""
        fitted = vertices
        for _ in range(self.config.outline_rounds if silhouettes else 0):
            targets, weight = outline_pull(fitted, self.mesh.faces, silhouettes)
            if lines is not None:
                held = LINES_SHARE * lines.trust(len(fitted))
                places = lines.believed(fitted, OUTLIER / 2).targets(fitted)
                share = (held / np.maximum(weight + held, 1e-9))[:, None]
                targets, weight = targets * (1 - share) + places * share, np.minimum(weight + held, 1.0)
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
