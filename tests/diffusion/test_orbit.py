"""A real image-to-video pipeline with random weights as a view model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_orbit import FRAMES, SIDE, save_tiny_orbit
from torch import Tensor

from lim_cli.core.errors import InputError, WeightsError
from lim_cli.diffusion import orbit
from lim_cli.diffusion.adapter import load_views_pipeline, works_in_windows
from lim_cli.diffusion.orbit import OrbitViews, cut_out, nearest_frames

VIEW = {"elevation": 10.0, "field_of_view": 40.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_orbit(tmp_path_factory.mktemp("orbit") / "model")


@pytest.fixture(scope="module")
def views(folder: Path) -> OrbitViews:
    loaded = load_views_pipeline(folder, "cpu")
    assert isinstance(loaded, OrbitViews)
    return loaded


def clip(count: int) -> Tensor:
    images = torch.zeros(count, 4, 48, 48)
    images[:, :, 12:36, 12:36] = torch.tensor([0.8, 0.3, 0.2, 1.0])[:, None, None]
    return images


@pytest.mark.parametrize(
    ("azimuths", "chosen"),
    [
        ([360.0 * n / 8 for n in range(8)], [2, 4, 6]),
        ([360.0 * (n + 1) / 21 for n in range(21)], [4, 10, 15]),  # SV3D's: the input comes last
        ([-360.0 * n / 8 for n in range(8)], [6, 4, 2]),
        ([0.0, 181.0, 275.0, 85.0], [3, 1, 2]),
    ],
)
def test_the_nearest_frames_of_an_orbit(azimuths: list[float], chosen: list[int]) -> None:
    assert nearest_frames(azimuths) == chosen


def test_a_film_that_does_not_go_round_is_no_orbit() -> None:
    with pytest.raises(WeightsError, match="no frame near azimuth 180"):
        nearest_frames([float(a) for a in range(0, 140, 10)])


def test_a_disc_is_cut_out_of_white() -> None:
    rows, columns = np.mgrid[:96, :96] + 0.5
    disc = torch.from_numpy(np.hypot(rows - 48, columns - 40) < 25)
    pictures = torch.where(disc, torch.tensor([0.2, 0.5, 0.9])[:, None, None], torch.ones(3, 96, 96))
    rgba = cut_out(pictures[None].repeat(2, 1, 1, 1), 90.0)
    assert rgba.shape == (2, 4, 96, 96)
    assert float(((rgba[:, 3] > 0.5) == disc).float().mean()) > 0.995
    inner = torch.from_numpy(np.hypot(rows - 48, columns - 40) < 22)
    torch.testing.assert_close(rgba[0, :3, inner].mean(1), torch.tensor([0.2, 0.5, 0.9]), atol=0.01, rtol=0)


def test_an_empty_picture_is_named() -> None:
    with pytest.raises(InputError, match="azimuth 180"):
        cut_out(torch.ones(2, 3, 64, 64), 180.0)


def test_every_keyframe_gets_four_views(views: OrbitViews, monkeypatch: pytest.MonkeyPatch) -> None:
    # what random weights draw has no background: the cutting out is tested above
    kept: list[Tensor] = []

    def opaque(pictures: Tensor, azimuth: float) -> Tensor:
        kept.append(pictures)
        return torch.cat([pictures, torch.ones_like(pictures[:, :1])], 1)

    monkeypatch.setattr(orbit, "cut_out", opaque)
    steps: list[int] = []

    def on_step(_pipeline: object, step: int, _time: object, given: dict[str, Tensor]) -> dict[str, Tensor]:
        assert given["latents"].shape == (1, FRAMES, 4, SIDE // 2, SIDE // 2)
        steps.append(step)
        return given

    images = clip(2)
    images[1] = 0.5 * images[1]
    out = views(images, **VIEW, num_inference_steps=2, callback_on_step_end=on_step).images
    assert out.shape == (2, 4, 4, SIDE, SIDE)
    assert steps == [0, 1, 0, 1]
    assert float(out[0, 0, 3].mean()) == pytest.approx(0.25, abs=0.01)  # the input itself, shrunk
    again = views(images[[0, 0]], **VIEW, num_inference_steps=2, generator=None).images
    assert torch.equal(again[0], again[1])  # the same noise for every keyframe
    assert torch.equal(again[0], out[0])
    other = views(images[:1], **VIEW, num_inference_steps=2, generator=torch.Generator().manual_seed(5)).images
    assert not torch.equal(other[0, 1], out[0, 1])
    assert not torch.equal(out[0, 1], out[0, 2])
    assert not works_in_windows(views)


def test_the_picked_frames_are_those_of_the_pipeline(views: OrbitViews, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(orbit, "cut_out", lambda p, a: seen.append(p) or torch.cat([p, p[:, :1]], 1))
    views(clip(1), **VIEW, num_inference_steps=2)
    from PIL import Image

    white = clip(1)[0, :3] * clip(1)[0, 3:] + 1 - clip(1)[0, 3:]
    small = torch.nn.functional.interpolate(white[None], size=(SIDE, SIDE), mode="bilinear", antialias=True)[0]
    picture = Image.fromarray((small.movedim(0, -1).numpy() * 255 + 0.5).astype(np.uint8))
    made = views._pipeline(
        picture, height=SIDE, width=SIDE, num_frames=FRAMES, num_inference_steps=2,
        generator=torch.Generator().manual_seed(0), output_type="pt",
    ).frames[0]  # fmt: skip
    for view, frame in enumerate((2, 4, 6)):
        torch.testing.assert_close(seen[view][0], made[frame], atol=0.02, rtol=0)


def test_a_folder_may_say_where_its_frames_stand(folder: Path) -> None:
    table = folder / "orbit.json"
    try:
        table.write_text(json.dumps({"azimuths": [360.0 - 45 * n for n in range(8)]}))
        assert load_views_pipeline(folder, "cpu").chosen == [6, 4, 2]  # type: ignore[attr-defined]
        for wrong in ('{"azimuths": [1, 2]}', '{"angles": []}', "[", '{"azimuths": ["x", 1, 2]}'):
            table.write_text(wrong)
            with pytest.raises(WeightsError, match=r"orbit\.json must be"):
                load_views_pipeline(folder, "cpu")
    finally:
        table.unlink()
