"""What the tracer keeps of its work, so that a killed run goes on from its last finished interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lim_cli.artifacts.pieces import Pieces
from lim_cli.geometry.mesh import Mesh
from lim_cli.stages.failures import require_finite

FIRST_MESH = "first_mesh"


@dataclass(frozen=True)
class Traced:
    """One interval: its moments [moment] in seconds, and for each shapes [vertex, 3] and sureness [vertex] float32.

    The last of them, and the colours [vertex, 4] the tracer remembers, are all that the next interval builds on.
    """

    moments: list[float]
    shapes: list[np.ndarray]
    sureness: list[np.ndarray]
    colours: np.ndarray


def kept_first_mesh(pieces: Pieces, make: Callable[[], tuple[Mesh, float]]) -> tuple[Mesh, float]:
    """The first mesh and its level, as kept or else made and kept.

    Raises:
        NumericalError: a vertex is NaN or infinite.
    """
    stored = pieces.load(FIRST_MESH)
    if stored is not None:
        return Mesh(stored["vertices"], stored["faces"]), stored["level"].item()
    mesh, level = make()
    require_finite("A vertex of the first mesh", mesh.vertices)
    pieces.save(FIRST_MESH, {"vertices": mesh.vertices, "faces": mesh.faces, "level": np.array([level], np.float64)})
    return mesh, level


def load_traced(pieces: Pieces, interval: int) -> Traced | None:
    """An interval as kept, or None."""
    stored = pieces.load(_name(interval))
    if stored is None:
        return None
    return Traced(stored["moments"].tolist(), list(stored["shapes"]), list(stored["sureness"]), stored["colours"])


def save_traced(pieces: Pieces, interval: int, traced: Traced) -> None:
    """Keeps an interval.

    Raises:
        NumericalError: a vertex is NaN or infinite.
    """
    shapes = np.stack(traced.shapes)
    require_finite(f"A vertex traced from keyframe {interval} on", shapes)
    moments, sureness = np.asarray(traced.moments, np.float64), np.stack(traced.sureness)
    kept = {"moments": moments, "shapes": shapes, "sureness": sureness, "colours": traced.colours}
    pieces.save(_name(interval), kept)


def _name(interval: int) -> str:
    return f"interval_{interval:05d}"
