"""A real image-to-video pipeline with random weights as a view model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_orbit import FRAMES, SIDE, save_tiny_orbit
from tiny_release import cached_weights
from torch import Tensor

from lim_cli.core.errors import InputError, WeightsError
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
        ([360.0 * (n + 1) / 21 for n in range(21)], [4, 9, 15]),  # SV3D's: the input comes last
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


def test_every_keyframe_gets_the_same_noise_and_the_picked_frames(views: OrbitViews) -> None:
    steps: list[int] = []

    def on_step(_pipeline: object, step: int, _time: object, given: dict[str, Tensor]) -> dict[str, Tensor]:
        assert given["latents"].shape == (1, FRAMES, 4, SIDE // 2, SIDE // 2)
        steps.append(step)
        return given

    images = clip(2)
    made = views.opaque_views(images, 2, 7, on_step)
    assert made.shape == (2, 3, 3, SIDE, SIDE)
    assert steps == [0, 1, 0, 1]
    assert torch.equal(made[0], made[1])  # equal keyframes look alike
    white = images[0, :3] * images[0, 3:] + 1 - images[0, 3:]
    small = torch.nn.functional.interpolate(white[None], size=(SIDE, SIDE), mode="bilinear", antialias=True)[0]
    orbit = views.pipeline(
        Image.fromarray((small.movedim(0, -1).numpy() * 255 + 0.5).astype(np.uint8)),
        height=SIDE,
        width=SIDE,
        num_frames=FRAMES,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(7),
        output_type="pt",
    ).frames[0]
    torch.testing.assert_close(made[0], orbit[[2, 4, 6]], atol=0.02, rtol=0)
    assert not torch.allclose(orbit[2], orbit[4], atol=0.02)


def test_what_random_weights_draw_holds_no_object(views: OrbitViews) -> None:
    with pytest.raises(InputError, match="azimuth 90; try more --steps"):
        views(clip(1), **VIEW, num_inference_steps=2)
    assert not works_in_windows(views)


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


def test_our_own_pipeline_loads_without_a_word_of_what_orbits_need() -> None:
    folder = next(cached_weights().glob("*/views"))
    code = f"from lim_cli.diffusion.adapter import load_views_pipeline as load; load({str(folder)!r}, 'cpu')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
