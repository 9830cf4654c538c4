from __future__ import annotations

import pytest
import torch
from balls import ball, ball_field
from torch import Tensor

from lim_cli.core.camera import orbit_cameras
from lim_cli.models.lrm import premultiplied
from lim_cli.models.seen_rays import Room, SeenRays, disagreement, seen_rays
from lim_cli.models.triplane import FieldDecoder
from lim_cli.stages.render import render_view

CAMERAS = orbit_cameras([0, 90, 180, 270], elevation=10, field_of_view=40, distance=3.2, size=(48, 48))


@pytest.fixture(scope="module")
def field() -> FieldDecoder:
    return ball_field()


@pytest.fixture(scope="module")
def pictures(field: FieldDecoder) -> Tensor:
    """A white ball of radius 0.6."""
    rgba = render_view(field, ball(0.6, 1.0), CAMERAS, samples=32).rgba()
    return premultiplied(torch.from_numpy(rgba).movedim(-1, 1).float() / 255)


def test_rays_are_bounded_by_what_is_there(field: FieldDecoder, pictures: Tensor) -> None:
    rays = seen_rays(Room.of(field, ball(0.6, 1.0)), pictures, CAMERAS, [1, 0, 0, 1])
    middle = -(rays.origins * rays.directions).sum(-1)
    nearest = (rays.origins + rays.directions * middle[:, None]).norm(dim=-1)
    through = nearest < 0.55
    assert bool((rays.near[through] < middle[through] - (0.6**2 - nearest[through] ** 2).sqrt()).all())
    assert bool((rays.far > rays.near).all())
    assert float(nearest.max()) < 1.0
    assert 0 < int((rays.mattes < 0.5).sum()) < int((rays.mattes > 0.5).sum())


def test_the_four_phases_are_all_rays(field: FieldDecoder, pictures: Tensor) -> None:
    room = Room.of(field, ball(0.6, 1.0))
    whole = seen_rays(room, pictures, CAMERAS, [1, 0.5, 1, 1])
    parts = [seen_rays(room, pictures, CAMERAS, [1, 0.5, 1, 1], phase=(r, c)) for r in (0, 1) for c in (0, 1)]
    for name in ("directions", "colours", "near"):
        found = torch.cat([getattr(part, name).reshape(len(part), -1) for part in parts])
        expected = getattr(whole, name).reshape(len(whole), -1)
        assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, expected.tolist()))
    assert sorted(torch.cat([part.chances for part in parts]).tolist()) == sorted(whole.chances.tolist())
    assert sorted(torch.cat([part.weights for part in parts]).tolist()) == sorted(whole.weights.tolist())


def test_what_was_seen_is_agreed_with(field: FieldDecoder, pictures: Tensor) -> None:
    """The triplane that was photographed disagrees least; a smaller or a darker ball more."""

    def off(radius: float, colour: float) -> tuple[float, float]:
        planes = ball(radius, colour)
        rays = seen_rays(Room.of(field, planes), pictures, CAMERAS, [1] * 4)
        with torch.no_grad():
            found, outline = disagreement(field, planes, rays, 24)
        return float(found.sum()), float(outline.sum())

    right, smaller, darker = off(0.6, 1.0), off(0.5, 1.0), off(0.6, -1.0)
    assert right[0] < 0.1 * smaller[0]
    assert right[1] < 0.5 * smaller[1]  # its soft rim is half opaque in all
    assert right[0] < 0.1 * darker[0]


def test_several_at_once_are_each_as_alone(field: FieldDecoder, pictures: Tensor) -> None:
    """With rays of weight 0 where one has fewer than another."""
    both = torch.stack([ball(0.6, 1.0), ball(0.5, -1.0)])
    rays = [seen_rays(Room.of(field, planes), pictures, CAMERAS, [1] * 4) for planes in both]
    rays[1] = rays[1][:500]
    padded = SeenRays.padded(rays)
    assert padded.near.shape == (2, len(rays[0]))
    assert not bool(padded.weights[1, 500:].any())
    with torch.no_grad():
        together = disagreement(field, both, padded, 6)
        for n, (planes, some) in enumerate(zip(both, rays, strict=True)):
            for found, alone in zip(together, disagreement(field, planes, some, 6), strict=True):
                torch.testing.assert_close(found[n, : len(some)], alone)
                assert bool(found[n].isfinite().all())
