"""The renderer that skips empty space against plain ray marching of the whole box."""

from __future__ import annotations

import numpy as np
import torch

from lim_cli.core.rays import camera_rays
from lim_cli.models.triplane import FieldConfig, FieldDecoder, density
from lim_cli.render.marching import march_rays
from lim_cli.stages.pictures import DEPTH_UNITS, depth_units
from lim_cli.stages.render import orbit, render_view


def ball() -> tuple[FieldDecoder, torch.Tensor]:
    """A field whose logit falls off along all three axes, positive in a blob about the origin."""
    torch.manual_seed(0)
    field = FieldDecoder(FieldConfig(channels=1, hidden=4))
    line = torch.linspace(-1, 1, 33)[None].square()
    triplane = (line + line.T).expand(3, 1, 33, 33).contiguous()
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.zero_()
        field.input.weight[0] = 1.0  # SiLU is nearly the identity for large positive numbers
        field.input.bias[0] = 10.0
        field.hidden.weight[0, 0] = 1.0
        field.output.weight[0, 0] = -8.0
        field.output.bias[0] = 81.0
        field.output.bias[1:] = torch.tensor([2.0, 0.0, -2.0])
    return field, triplane


@torch.no_grad()
def test_it_agrees_with_plain_marching() -> None:
    field, triplane = ball()
    cameras = orbit([0.0, 70.0], elevation=15, field_of_view=40, size=24)
    found = render_view(field, triplane, cameras, samples=256)

    def plain(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logit, colour = field(triplane[None], points)
        return density(logit), colour

    origins, directions = camera_rays(cameras)
    marched = march_rays(plain, origins.reshape(1, -1, 3), directions.reshape(1, -1, 3), samples=1024)
    opacity = marched.opacity.view(2, 24, 24).numpy()
    assert 20 < (opacity[0] > 0.5).sum() < 400
    np.testing.assert_allclose(found.opacity, opacity, atol=0.03)
    solid = opacity > 0.9
    np.testing.assert_allclose(found.rgb[solid], np.broadcast_to([0.8808, 0.5, 0.1192], (solid.sum(), 3)), atol=0.01)
    axis = cameras.world_from_camera[:, :3, 2]
    cosine = (directions * axis[:, None, None]).sum(-1).numpy()
    depth = marched.ray_length.view(2, 24, 24).numpy() * cosine
    np.testing.assert_allclose(found.depth[solid], depth[solid], atol=0.02)
    assert found.rgba().dtype == np.uint8
    assert (found.depth[opacity < 1e-7] == 0).all()


@torch.no_grad()
def test_nothing_at_all_is_transparent() -> None:
    field, triplane = ball()
    field.output.bias[0] = -50.0
    found = render_view(field, triplane, orbit([0.0], elevation=0, field_of_view=40, size=8))
    assert not found.opacity.any()
    assert not found.depth.any()


def test_depth_fits_16_bits_from_any_distance() -> None:
    for field_of_view in (1.0, 10.0, 40.0):
        cameras = orbit([0.0], elevation=0.0, field_of_view=field_of_view, size=8)
        away = float(cameras.world_from_camera[0, :3, 3].norm())
        units = depth_units(cameras)
        assert 0.98 * 65535 < units * (away + 3**0.5) <= 65535 or units == DEPTH_UNITS
