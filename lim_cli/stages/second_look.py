"""A second look at all pictures, once a track is known from end to end.

While a mesh is traced, its colours are those of the pictures so far, and where they slipped it follows what slipped.
Afterwards every picture has its say in the mesh's colours, and slips of single ones hardly show in them: drawn so,
the mesh tells of every picture how far it is off there.
"""

from __future__ import annotations

import numpy as np

from lim_cli.geometry.face_repair import unfolded
from lim_cli.geometry.sight_lines import mean_colours, recognised
from lim_cli.stages.evidence import Evidence
from lim_cli.stages.tracer import Shape, Tracer, interpolated

STIFFNESS = (1.0, 0.5)
"""Of ARAP, in parts of `TrackConfig.picture_stiffness`: limbs first swing as a whole, then bend."""


def second_look(tracer: Tracer, shapes: list[Shape], evidence: Evidence) -> list[Shape]:
    """`shapes` (in order of time) drawn to where the pictures show the mesh's mean colours, and onto the mattes.

    Between pictures the correction is interpolated. tracer: one that has seen no colours yet.
    """
    mesh = tracer.mesh
    seen = [(n, pictures) for n, shape in enumerate(shapes) if (pictures := evidence.pictures(shape.time))]
    if not seen:
        return shapes
    for n, pictures in seen:
        tracer.look(shapes[n].vertices, pictures)
    colours, weight = mean_colours(tracer.colours), tracer.config.picture_stiffness
    corrections, sureness = [], [shape.confidence for shape in shapes]
    for n, pictures in seen:
        fitted = shapes[n].vertices
        for share in STIFFNESS:
            lines = recognised(fitted, mesh.faces, colours, pictures)
            fitted, sure = tracer.fit_lines(fitted, lines, share * weight)
            sureness[n] = np.maximum(sureness[n], sure)
        fitted = tracer.fit_outline(fitted, evidence.real(shapes[n].time), lines)
        corrections.append(unfolded(mesh.vertices, fitted, mesh.faces) - shapes[n].vertices)
    times = [shapes[n].time for n, _ in seen]
    return [
        Shape(shape.time, shape.vertices + interpolated(times, corrections, shape.time), sure)
        for shape, sure in zip(shapes, sureness, strict=True)
    ]
