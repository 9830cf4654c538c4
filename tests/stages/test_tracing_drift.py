"""Drift of the tracer on moving objects whose every point is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from traced_shapes import SHAPES, ellipsoid, traced_frames, turning

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.geometry.arap import ArapSolver
from lim_cli.geometry.face_quality import FaceState
from lim_cli.geometry.face_repair import bad_faces
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.stages.evidence import SIZE, Evidence
from lim_cli.stages.tracer import Shape, Tracer
from lim_cli.stages.track import TrackConfig


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("control_vertices", [120, 100_000])
def test_perfect_fields_are_followed_without_drift(name: str, control_vertices: int) -> None:
    mesh, _, _, size = SHAPES[name]
    traced, truth = traced_frames(name, control_vertices=control_vertices)
    errors = np.linalg.norm(traced - truth, axis=2).max(1)
    assert errors.max() < 0.02 * size
    assert np.mean(errors[-8:]) < 1.5 * np.mean(errors[8:16]) + 1e-3  # bounded, not growing
    assert bad_faces(FaceState.of(mesh.vertices, mesh.faces), FaceState.of(traced[-1], mesh.faces)).mean() <= 0.001


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
    tracer = Tracer(
        ball, ArapSolver(ball.vertices, ball.faces, "uniform"), TrackConfig(picture_rounds=4, outline_rounds=2)
    )
    tracer.look(ball.vertices, evidence.pictures(0.0))
    shape = Shape(0.0, ball.vertices, np.ones(len(ball.vertices), np.float32))
    errors = []
    for frame in range(1, frames):
        guess = Shape(float(times[frame]), shape.vertices, np.zeros_like(shape.confidence))  # nothing but pictures
        (shape,) = tracer.settled(shape, [guess], evidence)
        errors.append(np.linalg.norm(shape.vertices - turning(frame, ball.vertices), axis=1).mean())
    still = np.linalg.norm(turning(frames - 1, ball.vertices) - ball.vertices, axis=1).mean()
    assert errors[-1] < 0.1 * still
    assert max(errors) < 0.02 * 1.4
    assert torch.isfinite(torch.from_numpy(shape.vertices)).all()
    assert shape.confidence.mean() > 0.5
