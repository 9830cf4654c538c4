from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.errors import ConfigError, WeightsError
from lim_cli.core.rays import camera_rays
from lim_cli.diffusion.adapter import load_views_pipeline
from lim_cli.diffusion.configs import VOLUME_PRESETS, VolumeConfig
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser
from lim_cli.diffusion.frustum_volume import FrustumVolume, march
from lim_cli.diffusion.pipeline import KnownViews, MultiviewVideoPipeline, save_pipeline
from lim_cli.diffusion.pixels import encode_pixels
from lim_cli.diffusion.volume_loss import _varied, volume_loss
from lim_cli.stages.views import steps_of

SIZE = 32
VIEW = {"elevation": 10.0, "field_of_view": 40.0}


@pytest.fixture
def cameras() -> Cameras:
    return orbit_cameras([0.0, 90.0, 180.0, 270.0], elevation=0.0, field_of_view=40.0, distance=3.0, size=(SIZE, SIZE))


@pytest.fixture
def network() -> FrustumVolume:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return FrustumVolume(VOLUME_PRESETS["tiny"]).eval()


def _seen(volume: Tensor, matte: Tensor, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Colour [view, h, w, 3] and opacity [view, h, w] of all four cameras."""
    origins, directions = camera_rays(cameras)
    colour, opacity = march(volume, matte, cameras[:1], origins.flatten(0, 2)[None], directions.flatten(0, 2)[None])
    return colour[0].view(4, SIZE, SIZE, 3), opacity[0].view(4, SIZE, SIZE)


def test_a_slab_stands_at_its_depth_and_shows_its_colours_on_the_right_side(cameras: Cameras) -> None:
    volume = torch.full((1, 4, 8, SIZE // 2, SIZE // 2), -20.0)
    volume[:, 1:] = 0.0
    volume[:, 0, :2] = 20.0  # the quarter of the ball that is nearest to camera 0
    volume[:, 1, :1] = 0.8  # red in front
    volume[:, 2, 1:2] = 0.8  # green behind it
    colour, opacity = _seen(volume, torch.ones(1, SIZE, SIZE), cameras)
    middle = SIZE // 2
    assert opacity[0, middle, middle] > 0.99
    assert opacity[2, middle, middle] > 0.99
    # +Z, where camera 0 stands, is to the left as camera 1 at +X sees it, and to the right for camera 3
    assert opacity[1, middle, : middle - 6].max() > 0.99
    assert opacity[1, middle, middle:].max() < 0.01
    assert opacity[3, middle, middle + 6 :].max() > 0.99
    assert opacity[3, middle, :middle].max() < 0.01
    assert colour[0, middle, middle, 0] > colour[0, middle, middle, 1] + 0.3
    assert colour[2, middle, middle, 1] > colour[2, middle, middle, 0] + 0.3


def test_nothing_is_where_the_matte_is_empty(cameras: Cameras) -> None:
    volume = torch.full((1, 4, 8, SIZE // 2, SIZE // 2), 20.0)
    matte = torch.full((1, SIZE, SIZE), -1.0)
    matte[:, : SIZE // 2] = 1.0  # the upper half
    _, opacity = _seen(volume, matte, cameras)
    assert opacity[:, SIZE // 2 + 2 :].max() < 0.01
    assert opacity[:, SIZE // 4 : SIZE // 2 - 2, SIZE // 2].min() > 0.99


def test_the_world_may_be_turned(network: FrustumVolume, cameras: Cameras) -> None:
    pixels = encode_pixels(torch.rand(1, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(2)))
    turned = orbit_cameras(
        [70.0, 160.0, 250.0, 340.0], elevation=0.0, field_of_view=40.0, distance=3.0, size=(SIZE, SIZE)
    )
    with torch.no_grad():
        here, there = (network(pixels, c[:1]) for c in (cameras, turned))
    assert here.shape == (1, 4, 8, SIZE // 2, SIZE // 2)
    torch.testing.assert_close(here, there, atol=2e-4, rtol=0)


def test_it_learns_what_a_scene_looks_like_from_the_side(
    network: FrustumVolume, moving_balls: Callable[..., dict[str, Tensor]]
) -> None:
    clip = moving_balls(batch=2, time=1, size=SIZE)
    beyond = torch.full((2, 1, 3), 2.0)  # outside the unit ball: of no account
    batch = {**clip, "images": clip["images"][:, 0], "points": beyond, "inside": torch.zeros(2, 1, dtype=torch.bool)}
    found = _learned(network, batch)
    assert all(metrics["points"] == 0 for metrics in found)
    assert sum(float(metrics["overlap"]) for metrics in found[-5:]) / 5 > float(found[0]["overlap"]) + 0.2


def test_points_tell_it_where_along_a_ray_things_are(
    network: FrustumVolume, moving_balls: Callable[..., dict[str, Tensor]]
) -> None:
    clip = moving_balls(batch=2, time=1, size=SIZE)
    points = torch.rand(2, 2000, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1
    batch = {**clip, "images": clip["images"][:, 0], "points": points, "inside": points[..., 2] < 0.1}
    found = _learned(network, batch)
    assert float(found[-1]["points"]) < 0.6 * float(found[0]["points"])


def _learned(network: FrustumVolume, batch: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """What 40 steps on one batch told."""
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    found = []
    for step in range(40):
        loss, metrics = volume_loss(network, batch, torch.Generator().manual_seed(step), varied=False)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(metrics)
    return found


def test_mirrored_samples_are_views_of_one_mirrored_scene(moving_balls: Callable[..., dict[str, Tensor]]) -> None:
    images = encode_pixels(moving_balls(batch=8, time=1, size=SIZE)["images"][:, 0].float() / 255)
    points = torch.rand(8, 5, 3, generator=torch.Generator().manual_seed(1))
    varied, moved = _varied(images, points, torch.Generator().manual_seed(0))
    straight = (varied[:, :, 3] == images[:, :, 3]).flatten(1).all(1)
    assert 0 < int(straight.sum()) < 8
    mirrored = images[~straight][:, [0, 3, 2, 1]].flip(-1)
    assert torch.equal(varied[~straight][:, :, 3], mirrored[:, :, 3])
    assert torch.equal(moved[straight], points[straight])
    assert torch.equal(moved[~straight], points[~straight] * torch.tensor([-1.0, 1.0, 1.0]))
    sums = varied[:, :, :3].sum((2, 3, 4))[straight], images[:, :, :3].sum((2, 3, 4))[straight]
    torch.testing.assert_close(*sums, atol=1e-2, rtol=1e-4)  # channels change places, and no more


@pytest.fixture
def clip() -> Tensor:
    """A disc in random colours."""
    pictures = torch.rand(3, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(5))
    place = torch.arange(SIZE) + 0.5 - SIZE / 2
    pictures[:, 3] = (place.square() + place[:, None].square() < (SIZE / 3) ** 2).float()
    return pictures


@pytest.fixture
def drawing(denoiser: MultiviewVideoDenoiser, network: FrustumVolume, tmp_path: Path) -> MultiviewVideoPipeline:
    save_pipeline(denoiser, tmp_path / "with", volume=network)
    stored = load_file(tmp_path / "with/volume/diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    pipeline = load_views_pipeline(tmp_path / "with", "cpu")
    assert isinstance(pipeline, MultiviewVideoPipeline)
    return pipeline


def test_views_are_drawn_from_the_volume_and_refined_by_steps(drawing: MultiviewVideoPipeline, clip: Tensor) -> None:
    drawn, again, refined = (drawing(clip, **VIEW, num_inference_steps=n).images for n in (0, 0, 2))
    assert torch.equal(drawn, again)
    assert drawn.shape == refined.shape == (3, 4, 4, SIZE, SIZE)
    assert torch.equal(drawn[:, 0], clip)
    assert not torch.equal(drawn[:, 1:], refined[:, 1:])
    decided = drawn[:, 1:, 3]
    assert float(((decided < 0.1) | (decided > 0.9)).float().mean()) > 0.8  # no fog
    given = torch.rand(3, 4, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(6))
    known = torch.zeros(3, 4, dtype=torch.bool)
    known[1, 2] = True
    for steps in (0, 2):
        kept = drawing(clip, **VIEW, num_inference_steps=steps, known_views=KnownViews(given, known)).images
        assert torch.equal(kept[1, 2], given[1, 2])


def test_one_step_starts_from_what_is_drawn(drawing: MultiviewVideoPipeline, clip: Tensor) -> None:
    """However much noise is mixed in, steps see the views of the volume: nothing else differs here."""
    other = FrustumVolume(drawing.volume.options)  # type: ignore[union-attr]
    first = drawing(clip, **VIEW, num_inference_steps=1).images
    drawing.volume.load_state_dict(other.state_dict())  # type: ignore[union-attr]
    assert not torch.equal(first, drawing(clip, **VIEW, num_inference_steps=1).images)


def test_without_a_volume_there_must_be_steps(denoiser: MultiviewVideoDenoiser, clip: Tensor, tmp_path: Path) -> None:
    save_pipeline(denoiser, tmp_path / "without")
    pipeline = load_views_pipeline(tmp_path / "without", "cpu")
    with pytest.raises(ConfigError, match="at least 1"):
        pipeline(clip, **VIEW, num_inference_steps=0)
    with pytest.raises(ConfigError, match="--steps 1 or more"):
        steps_of(pipeline, 0)
    assert [steps_of(pipeline, asked) for asked in (None, 3)] == [1, 3]


def test_a_volume_needs_no_steps(drawing: MultiviewVideoPipeline) -> None:
    assert [steps_of(drawing, asked) for asked in (None, 0, 3)] == [0, 0, 3]


@pytest.mark.parametrize("wrong", [{"image_size": 40}, {"planes": 1}, {"widths": (16, 16, 20, 32)}, {"widths": (16,)}])
def test_sizes_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="volume's"):
        VolumeConfig(**wrong)  # type: ignore[arg-type]


def test_a_volume_of_another_size_is_refused(denoiser: MultiviewVideoDenoiser, tmp_path: Path) -> None:
    volume = FrustumVolume(VolumeConfig(image_size=16, widths=(16, 16, 32, 32), planes=4))
    with pytest.raises(ConfigError, match="16 pixels, the denoiser for those of 32"):
        save_pipeline(denoiser, tmp_path / "views", volume=volume)
    assert not (tmp_path / "views").exists()


@pytest.mark.parametrize("widths", [[16, 16, 10**9, 32], "wide", [16, "wide", 32, 32], 5])
def test_a_damaged_configuration_is_told(
    denoiser: MultiviewVideoDenoiser, network: FrustumVolume, tmp_path: Path, widths: object
) -> None:
    save_pipeline(denoiser, tmp_path / "views", volume=network)
    path = tmp_path / "views/volume/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "widths": widths}))
    with pytest.raises(WeightsError, match=r"view model|widths"):
        load_views_pipeline(tmp_path / "views", "cpu")
