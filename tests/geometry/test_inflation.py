"""What a surface lacks of the mattes, blown up from them."""

from __future__ import annotations

import numpy as np

from lim_cli.data.rigs import orbit_pose
from lim_cli.geometry.inflation import Balls, bare_balls
from lim_cli.geometry.marching_cubes import UNIT_BOX, surface_from_lattice
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.rasterize import rasterize
from lim_cli.geometry.silhouettes import Silhouette

RESOLUTION = 64
LEVEL = -1.0
INTRINSICS = np.array([500.0, 500.0, 128.0, 128.0])
SIZE = (256, 256)


def lattice() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    axis = np.linspace(-1, 1, RESOLUTION)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return x, y, z


def body(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Distance into a ball of radius 0.4, whose middle is off the origin in depth."""
    return np.asarray(0.4 - np.sqrt(x**2 + y**2 + (z - 0.1) ** 2))


def leg(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Distance into a stick of radius 0.06 from the ball's side outward along x."""
    along = np.clip(x, 0.3, 0.75)
    return np.asarray(0.06 - np.sqrt((x - along) ** 2 + y**2 + (z - 0.1) ** 2))


def seen(mesh: Mesh, azimuth: float) -> Silhouette:
    pose = orbit_pose(azimuth, 0.0, 4.0)
    matte = rasterize(mesh.vertices, mesh.faces, pose, INTRINSICS, SIZE).mask
    return Silhouette.of(matte, pose, INTRINSICS)


def grown(part: np.ndarray, balls: Balls) -> Mesh:
    return surface_from_lattice(balls.raise_lattice(LEVEL + 10 * part, UNIT_BOX, LEVEL, 0.5), LEVEL)


def test_a_missing_leg_grows_where_the_matte_shows_it_and_as_deep_as_the_body_ends() -> None:
    grid = lattice()
    whole = surface_from_lattice(np.maximum(body(*grid), leg(*grid)), 0.0)
    trunk = surface_from_lattice(body(*grid), 0.0)
    silhouette = seen(whole, 0.0)
    balls = bare_balls(trunk, [silhouette])
    assert balls is not None
    mesh = grown(body(*grid), balls)
    drawn = seen(mesh, 0.0).matte
    assert np.count_nonzero(silhouette.matte & ~drawn) < 0.01 * np.count_nonzero(silhouette.matte)
    assert np.count_nonzero(drawn & ~silhouette.matte) < 0.03 * np.count_nonzero(silhouette.matte)
    tip = mesh.vertices[mesh.vertices[:, 0] > 0.5]
    assert np.abs(tip[:, 2] - 0.1).max() < 0.16  # 0.06 to the leg's side, and what the body's round rim leaves open
    assert np.ptp(tip[:, 2]) > 0.08  # as thick as it is wide


def test_other_mattes_say_how_deep_it_lies() -> None:
    grid = lattice()

    def horn(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        along = np.clip(y, 0.3, 0.8)  # seen from the front the body ends at z 0.1; the horn stands at its back
        return np.asarray(0.06 - np.sqrt(x**2 + (y - along) ** 2 + (z + 0.15) ** 2))

    whole = surface_from_lattice(np.maximum(body(*grid), horn(*grid)), 0.0)
    trunk = surface_from_lattice(body(*grid), 0.0)
    alone = bare_balls(trunk, [seen(whole, 0.0)])
    helped = bare_balls(trunk, [seen(whole, 0.0), seen(whole, 90.0)])
    assert alone is not None
    assert helped is not None
    depth = [float(np.abs(balls.centres[balls.centres[:, 1] > 0.5, 2] + 0.15).mean()) for balls in (alone, helped)]
    assert depth[0] > 0.15
    assert depth[1] < 0.04


def test_a_surface_that_fills_its_mattes_gets_nothing() -> None:
    grid = lattice()
    whole = surface_from_lattice(np.maximum(body(*grid), leg(*grid)), 0.0)
    assert bare_balls(whole, [seen(whole, 0.0), seen(whole, 90.0)]) is None
    smaller = surface_from_lattice(np.maximum(body(*grid), leg(*grid)) - 0.01, 0.0)  # a pixel all around
    assert bare_balls(smaller, [seen(whole, 0.0)]) is None


def test_a_ball_thinner_than_the_lattice_is_held_by_it() -> None:
    empty = np.full((RESOLUTION,) * 3, LEVEL - 10.0)
    thin = Balls(np.array([[0.013, 0.0, 0.0]]), np.array([0.001]), np.array([0.01]))
    mesh = surface_from_lattice(thin.raise_lattice(empty, UNIT_BOX, LEVEL, 0.5), LEVEL)
    assert np.abs(mesh.vertices.mean(0) - [0.013, 0, 0]).max() < 0.02
    assert 0.01 < np.ptp(mesh.vertices, axis=0).max() < 4 / RESOLUTION


def test_a_surface_out_of_sight_says_nothing_of_depth() -> None:
    grid = lattice()
    whole = surface_from_lattice(body(*grid), 0.0)
    behind = Mesh(whole.vertices + np.float32([0, 0, 9]), whole.faces)
    assert bare_balls(behind, [seen(whole, 0.0)]) is None
