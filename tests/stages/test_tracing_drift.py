"""Drift of the tracer on moving objects whose every point is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bending_bar import LENGTH, bar_mesh, bend, curvature_at
from shapes import rotation, sphere

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.geometry.canonical_matching import SurfaceSamples
from lim_cli.geometry.face_repair import bad_faces
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.normals import vertex_normals
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.stages.evidence import SIZE, Evidence
from lim_cli.stages.track import TrackConfig, _Shape, _Tracer

FRAMES = 64


def bending(frame: int, points: np.ndarray) -> np.ndarray:
    return bend(points, curvature_at(frame / 30))


def turning(frame: int, points: np.ndarray) -> np.ndarray:
    return (points @ rotation(4.0 * frame).T).astype(np.float32)


def ellipsoid(subdivisions: int) -> Mesh:
    ball = sphere(1.0, subdivisions)
    return Mesh(ball.vertices * np.array([0.7, 0.4, 0.3], np.float32), ball.faces)


@pytest.mark.parametrize(
    ("mesh", "fine", "motion", "size"),
    [(bar_mesh(33, 4), bar_mesh(257, 12), bending, LENGTH), (ellipsoid(3), ellipsoid(5), turning, 1.4)],
)
def test_perfect_fields_are_followed_without_drift(mesh: Mesh, fine: Mesh, motion, size: float) -> None:  # type: ignore[no-untyped-def]
    tracer = _Tracer(mesh, TrackConfig())
    errors = []
    for frame in range(1, FRAMES + 1):
        positions = motion(frame, fine.vertices)
        tracer.step(SurfaceSamples(positions, fine.vertices, vertex_normals(positions, fine.faces)), 1 / 30)
        errors.append(float(np.linalg.norm(tracer.vertices - motion(frame, mesh.vertices), axis=1).max()))
    assert max(errors) < 0.02 * size
    assert np.mean(errors[-8:]) < 1.5 * np.mean(errors[8:16]) + 1e-3  # bounded, not growing
    assert bad_faces(mesh.vertices, tracer.vertices, mesh.faces).mean() <= 0.001


def test_pictures_alone_carry_the_mesh_and_its_own_colours_bound_the_drift() -> None:
    ball, frames = ellipsoid(3), 7
    waves, phases = np.random.default_rng(0).normal(size=(12, 3)) * 9, np.arange(12.0)
    fine = ellipsoid(4)
    speckles = 128 + 30 * np.sin(fine.vertices @ waves.T + phases).reshape(-1, 3, 4).sum(2).clip(-4, 4)
    cameras = orbit_cameras([0, 90, 180, 270], elevation=10.0, field_of_view=40.0, distance=3.0, size=(SIZE, SIZE))
    rgba = np.zeros((frames, 4, SIZE, SIZE, 4), np.uint8)
    for frame in range(frames):
        for view in range(4):
            pose, intrinsics = cameras.world_from_camera[view].numpy(), cameras.intrinsics[view].numpy()
            raster = rasterize(turning(frame, fine.vertices), fine.faces, pose, intrinsics, (SIZE, SIZE))
            rgba[frame, view, ..., :3] = interpolate(raster, fine.faces, speckles.astype(np.float32)).clip(0, 255)
            rgba[frame, view, ..., 3] = 255 * raster.mask
    times = np.arange(frames) / 10
    evidence = Evidence(ViewsArtifact(rgba, cameras, times, "posed", np.eye(4)), None)
    tracer = _Tracer(ball, TrackConfig(picture_rounds=4, outline_rounds=2))
    tracer.look(ball.vertices, evidence.pictures(0.0))
    shape = _Shape(0.0, ball.vertices, np.ones(len(ball.vertices), np.float32))
    errors = []
    for frame in range(1, frames):
        guess = _Shape(float(times[frame]), shape.vertices, np.zeros_like(shape.confidence))  # nothing but pictures
        (shape,) = tracer.settled(shape, [guess], evidence)
        errors.append(np.linalg.norm(shape.vertices - turning(frame, ball.vertices), axis=1).mean())
    still = np.linalg.norm(turning(frames - 1, ball.vertices) - ball.vertices, axis=1).mean()
    assert errors[-1] < 0.1 * still
    assert max(errors) < 0.02 * 1.4
    assert torch.isfinite(torch.from_numpy(shape.vertices)).all()
    assert shape.confidence.mean() > 0.5
