"""Slips of single pictures are found once all pictures have told what the mesh looks like."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from shapes import rotation, sphere

from lim_cli.core.camera import orbit_cameras
from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.geometry.sight_lines import Picture
from lim_cli.geometry.silhouettes import Silhouette
from lim_cli.stages.config import TrackConfig
from lim_cli.stages.evidence import Evidence
from lim_cli.stages.second_look import second_look
from lim_cli.stages.tracer import Shape, Tracer, interpolated

SIZE = 160
TIMES = [0.1 * n for n in range(6)]


class Filmed:
    """Evidence of one camera that filmed a patterned ball while it turned; of `unseen` times there is no picture."""

    def __init__(self, mesh: Mesh, unseen: tuple[int, ...] = ()) -> None:
        self.mesh = mesh
        camera = orbit_cameras([0], elevation=10, field_of_view=40, distance=3.2, size=(SIZE, SIZE))
        self.pose, self.intrinsics = camera.world_from_camera[0].numpy(), camera.intrinsics[0].numpy()
        x, y, z = mesh.vertices.T
        waves = np.stack([np.sin(9 * x + 4 * y), np.sin(8 * y + 3 * z), np.sin(7 * z + 5 * x)], 1)
        self.colours = (127 + 120 * waves).astype(np.float32)
        self.seen = {time: self._filmed(time) for n, time in enumerate(TIMES) if n not in unseen}

    def truth(self, time: float) -> np.ndarray:
        return np.asarray(self.mesh.vertices @ rotation(60 * time).T, np.float32)

    def _filmed(self, time: float) -> Picture:
        raster = rasterize(self.truth(time), self.mesh.faces, self.pose, self.intrinsics, (SIZE, SIZE))
        rgb = interpolate(raster, self.mesh.faces, self.colours)
        rgba = np.concatenate([rgb, 255.0 * raster.mask[..., None]], -1).round().astype(np.uint8)
        return Picture(rgba, self.pose, self.intrinsics)

    def pictures(self, time: float) -> list[Picture]:
        return [self.seen[time]] if time in self.seen else []

    def real(self, time: float) -> list[Silhouette]:
        return [Silhouette.of(p.rgba[..., 3] > 127, self.pose, self.intrinsics) for p in self.pictures(time)]


@pytest.fixture(scope="module")
def ball() -> Mesh:
    return sphere(0.7, 4)


def slipped(filmed: Filmed, degrees: list[float]) -> list[Shape]:
    """Traced shapes that are turned too far by so much."""
    sure = np.ones(len(filmed.mesh.vertices), np.float32)
    return [
        Shape(time, np.asarray(filmed.truth(time) @ rotation(slip).T, np.float32), sure)
        for time, slip in zip(TIMES, degrees, strict=True)
    ]


def looked(filmed: Filmed, shapes: list[Shape]) -> list[Shape]:
    tracer = Tracer(filmed.mesh, ArapSolver(filmed.mesh.vertices, filmed.mesh.faces, "uniform"), TrackConfig())
    return second_look(tracer, shapes, cast(Evidence, filmed))


def errors(filmed: Filmed, shapes: list[Shape]) -> np.ndarray:
    """Mean distance from the truth of the points that the camera sees, at every time."""
    facing = np.stack([filmed.truth(s.time) @ filmed.pose[:3, 2] < -0.3 for s in shapes])
    away = np.stack([np.linalg.norm(s.vertices - filmed.truth(s.time), axis=1) for s in shapes])
    return np.asarray((away * facing).sum(1) / facing.sum(1))


def test_slips_are_taken_out(ball: Mesh) -> None:
    filmed = Filmed(ball)
    shapes = slipped(filmed, [0, 0, 6, 0, -5, 0])
    before, after = errors(filmed, shapes), errors(filmed, looked(filmed, shapes))
    assert after[2] < 0.6 * before[2]  # the side that no picture shows holds the rest back
    assert after[4] < 0.6 * before[4]
    assert after[[0, 1, 3, 5]].max() < 0.1 * before[2]  # those that were right stay nearly so


def test_between_pictures_the_correction_is_interpolated(ball: Mesh) -> None:
    """The third time has no picture; its neighbours slipped as it did."""
    filmed = Filmed(ball, unseen=(2,))
    shapes = slipped(filmed, [0, 5, 5, 5, 0, 0])
    before, after = errors(filmed, shapes), errors(filmed, looked(filmed, shapes))
    assert after[2] < 0.75 * before[2]


def test_without_pictures_nothing_changes(ball: Mesh) -> None:
    filmed = Filmed(ball, unseen=tuple(range(len(TIMES))))
    shapes = slipped(filmed, [0, 1, 2, 3, 4, 5])
    assert looked(filmed, shapes) == shapes


def test_interpolation_holds_at_the_ends() -> None:
    values = [np.array([0.0]), np.array([2.0])]
    found = [float(interpolated([1.0, 2.0], values, time)[0]) for time in (0.0, 1.0, 1.25, 2.0, 3.0)]
    assert found == [0.0, 0.0, 0.5, 2.0, 2.0]
