"""The first surface fills the input's mattes, also where the network saw nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lim_cli.data.rigs import orbit_pose
from lim_cli.geometry.marching_cubes import UNIT_BOX, Bounds
from lim_cli.geometry.silhouettes import Silhouette
from lim_cli.stages.config import TrackConfig
from lim_cli.stages.surface import Lattice
from lim_cli.stages.track import complete_surface

INTRINSICS = np.array([500.0, 500.0, 128.0, 128.0])


def ball_lattice(*, resolution: int, bounds: Bounds = UNIT_BOX) -> Lattice:
    """Logits of a ball of radius 0.4, as a network that sees no legs would give."""
    axes = (np.linspace(low, high, resolution) for low, high in zip(*bounds, strict=True))
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return Lattice((20 * (0.4 - np.sqrt(x**2 + y**2 + z**2))).astype(np.float32), bounds)


def matte_with_leg() -> Silhouette:
    """A disc as the ball shows it, and a leg that leaves it far beyond the box around the ball."""
    rows, columns = np.mgrid[:256, :256] + 0.5
    disc = np.hypot(rows - 128, columns - 128) < 0.4 / 4 * 500
    leg = (np.abs(columns - 128) < 5) & (rows > 128) & (rows < 225)
    return Silhouette.of(disc | leg, orbit_pose(0.0, 0.0, 4.0), INTRINSICS)


@pytest.mark.parametrize("complete", [True, False])
def test_a_leg_that_only_the_matte_shows(complete: bool) -> None:
    matte = matte_with_leg()
    config = TrackConfig(resolution=80, complete=complete)
    mesh = complete_surface(ball_lattice, [matte], [[matte]], 0.0, config)
    assert mesh is not None
    lowest, _ = matte.project(mesh.vertices[[mesh.vertices[:, 1].argmin()]])
    assert abs(float(lowest[0, 1]) - (225 if complete else 178)) < 3
