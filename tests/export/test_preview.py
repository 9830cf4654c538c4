from __future__ import annotations

import numpy as np
import pytest
from bending_bar import bar_mesh, bending_bar

from lim_cli.core.camera import orbit_cameras
from lim_cli.export.preview import render_preview, sample_texture
from lim_cli.geometry.mesh import TexturedTrack
from lim_cli.geometry.uv_atlas import unwrap

ATLAS = unwrap(bar_mesh(), 128)


def test_a_red_bar_is_red_on_the_background() -> None:
    bar = bending_bar(*ATLAS, frames=3)
    texture = np.zeros_like(bar.texture)
    texture[..., 0] = 200
    red = TexturedTrack(bar.track, bar.uv, texture)
    cameras = orbit_cameras([0, 90, 180], elevation=0, field_of_view=40, distance=4, size=(64, 64))
    frames = render_preview(red, cameras, (48, 48), background=(0, 0, 255))
    assert frames.shape == (3, 48, 48, 3)
    assert frames.dtype == np.uint8
    assert (frames[:, 24, 24] == [200, 0, 0]).all()
    assert (frames[:, 0, 0] == [0, 0, 255]).all()


def test_a_fixed_camera_serves_all_frames() -> None:
    cameras = orbit_cameras([0], elevation=0, field_of_view=40, distance=4, size=(32, 32))
    frames = render_preview(bending_bar(*ATLAS, frames=3), cameras, (32, 32), frames=[0, 2])
    assert frames.shape == (2, 32, 32, 3)
    assert (frames[0] != frames[1]).any()


def test_camera_count_is_checked() -> None:
    cameras = orbit_cameras([0, 90], elevation=0, field_of_view=40, distance=4, size=(32, 32))
    with pytest.raises(ValueError, match="1 camera or 3"):
        render_preview(bending_bar(*ATLAS, frames=3), cameras, (32, 32))


def test_bilinear_lookup_is_exact_on_a_ramp() -> None:
    texture = np.tile(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None], (16, 1, 3))
    u = np.linspace(0.5 / 16, 15.5 / 16, 33)
    colours = sample_texture(texture, np.stack([u, np.full(33, 0.4)], axis=1))
    np.testing.assert_allclose(colours[:, 0], (u * 16 - 0.5) * 10, atol=1e-3)
