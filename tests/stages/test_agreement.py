"""The likeness of a textured track to pictures of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bending_bar import bar_mesh, bending_bar
from traced_shapes import ellipsoid, turning

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.export.preview import iterate_preview
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.geometry.uv_atlas import unwrap
from lim_cli.stages.agreement import input_drift, input_likeness, silhouette_iou

SIZE = (128, 128)


def shot(textured: TexturedTrack) -> ViewsArtifact:
    """Two views of every time, as an input that the track explains perfectly."""
    cameras = orbit_cameras([0.0, 90.0], elevation=10.0, field_of_view=40.0, distance=3.0, size=SIZE)
    white = replace(textured, texture=np.full_like(textured.texture, 255))
    rgba = np.zeros((len(textured.track.times), 2, *SIZE, 4), np.uint8)
    for view in range(2):
        for n, picture in enumerate(iterate_preview(textured, cameras[view : view + 1], SIZE, (0, 0, 0))):
            rgba[n, view, ..., :3] = picture
        for n, picture in enumerate(iterate_preview(white, cameras[view : view + 1], SIZE, (0, 0, 0))):
            rgba[n, view, ..., 3] = picture[..., 0]
    return ViewsArtifact(rgba, cameras, textured.track.times, "posed", np.eye(4))


def test_a_track_is_like_its_own_pictures_and_a_wrong_colour_or_pose_is_not() -> None:
    textured = bending_bar(*unwrap(bar_mesh(), 256), frames=8, fps=10.0)
    views = shot(textured)
    own = input_likeness(textured, views, None).psnr_fg
    assert own > 22  # one ray a pixel against four
    shifted = replace(textured, texture=(255 - textured.texture).astype(np.uint8))
    assert input_likeness(shifted, views, None).psnr_fg < 10
    still = replace(textured, track=replace(textured.track, vertices=textured.track.vertices[[0] * 8]))
    assert input_likeness(still, views, None).psnr_fg < own - 6
    assert silhouette_iou(textured.track, views, None) > 0.95 > silhouette_iou(textured.track, views, None, still=True)


def test_a_known_error_gives_the_known_decibels() -> None:
    textured = bending_bar(*unwrap(bar_mesh(), 256), frames=2, fps=10.0)
    grey = replace(textured, texture=np.full_like(textured.texture, 100))
    views = shot(grey)
    darker = replace(grey, texture=np.full_like(textured.texture, 75))
    likeness = input_likeness(darker, views, None)
    assert likeness.psnr_fg == pytest.approx(-20 * np.log10(25 / 255), abs=0.3)
    assert likeness.missed < 0.01


def test_a_missing_half_counts_as_black_but_not_against_the_colours() -> None:
    grey = bending_bar(*unwrap(bar_mesh(), 256), frames=1, fps=10.0)
    grey = replace(grey, texture=np.full_like(grey.texture, 100))
    views = shot(grey)
    there = grey.track.vertices[0][grey.track.faces].mean(1)
    upper = grey.track.faces[there[:, 1] > np.median(there[:, 1])]
    likeness = input_likeness(replace(grey, track=replace(grey.track, faces=upper)), views, None)
    assert likeness.psnr_covered > 40
    assert 0.2 < likeness.missed < 0.8
    assert likeness.psnr_fg == pytest.approx(-10 * np.log10(likeness.missed * (100 / 255) ** 2), abs=0.3)


def test_points_that_slide_along_the_surface_are_drift() -> None:
    cameras = orbit_cameras([0.0, 90.0], elevation=10.0, field_of_view=40.0, distance=3.0, size=(256, 256))
    mesh, steps = ellipsoid(5), (0, 1, 2)
    waves = np.random.default_rng(0).normal(size=(12, 3)) * 9
    speckles = 128 + 30 * np.sin(mesh.vertices @ waves.T).reshape(-1, 3, 4).sum(2).clip(-4, 4)
    rgba = np.zeros((len(steps), 2, 256, 256, 4), np.uint8)
    for step, view in np.ndindex(len(steps), 2):
        pose, intrinsics = cameras.world_from_camera[view].numpy(), cameras.intrinsics[view].numpy()
        raster = rasterize(turning(step, mesh.vertices), mesh.faces, pose, intrinsics, (256, 256))
        rgba[step, view, ..., :3] = interpolate(raster, mesh.faces, speckles.astype(np.float32)).clip(0, 255)
        rgba[step, view, ..., 3] = 255 * raster.mask
    times = np.arange(len(steps)) / 10
    views = ViewsArtifact(rgba, cameras, times, "posed", np.eye(4))
    traced = TrackedMesh(np.stack([turning(step, mesh.vertices) for step in steps]), mesh.faces, times)
    own = input_drift(traced, views, None)
    assert own is not None
    assert own < 0.004
    slid = traced.vertices.copy()
    slid[-1] = turning(3, mesh.vertices)  # four degrees too far: 0.015 of the size on the average
    too_far = input_drift(replace(traced, vertices=slid), views, None)
    assert too_far is not None
    assert 0.006 < too_far < 0.03
