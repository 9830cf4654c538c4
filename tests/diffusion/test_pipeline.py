from __future__ import annotations

import json
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from lim_cli.core.camera import orbit_cameras
from lim_cli.core.errors import ConfigError, InputError, MissingError, WeightsError
from lim_cli.diffusion.adapter import load_views_pipeline
from lim_cli.diffusion.configs import TINY
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser
from lim_cli.diffusion.noise import correlated_noise, still_noise
from lim_cli.diffusion.pipeline import (
    KnownViews,
    MultiviewVideoDenoiserModel,
    MultiviewVideoPipeline,
    default_distance,
    save_pipeline,
)
from lim_cli.diffusion.pixels import decode_pixels, encode_pixels
from lim_cli.diffusion.sampling import sample_window, shifted_levels
from lim_cli.diffusion.windows import plan_windows

VIEW = {"elevation": 10.0, "field_of_view": 40.0}


@pytest.fixture
def pipeline(denoiser: MultiviewVideoDenoiser) -> MultiviewVideoPipeline:
    model = MultiviewVideoDenoiserModel.from_plain(denoiser).eval()
    return MultiviewVideoPipeline(model, diffusers.FlowMatchEulerDiscreteScheduler(shift=2.0))


def _clip(count: int, size: int = 32) -> Tensor:
    return torch.rand(count, 4, size, size, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("count", [1, 3, 4, 11])
def test_any_length(pipeline: MultiviewVideoPipeline, count: int) -> None:
    clip = _clip(count)
    images = pipeline(clip, **VIEW, num_inference_steps=2).images
    assert images.shape == (count, 4, 4, 32, 32)
    assert torch.equal(images[:, 0], clip)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    assert bool((images[:, 1:].flatten(2).std(-1) > 0).all())  # every image was written


def test_same_seed_same_bytes(pipeline: MultiviewVideoPipeline) -> None:
    def made(seed: int | None) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return pipeline(_clip(5), **VIEW, num_inference_steps=2, generator=generator).images

    state = torch.random.get_rng_state()
    assert torch.equal(made(7), made(7))
    assert torch.equal(made(None), made(0))
    assert not torch.equal(made(7), made(8))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_known_images_never_change(pipeline: MultiviewVideoPipeline) -> None:
    given = torch.rand(5, 4, 4, 32, 32, generator=torch.Generator().manual_seed(6))
    known = torch.zeros(5, 4, dtype=torch.bool)
    known[1, 2] = known[3, 1] = known[4, 3] = True
    images = pipeline(_clip(5), **VIEW, num_inference_steps=2, known_views=KnownViews(given, known)).images
    assert torch.equal(images[known], given[known])
    assert torch.equal(images[:, 0], _clip(5))
    free = pipeline(_clip(5), **VIEW, num_inference_steps=2).images
    assert not torch.equal(images[0, 1], free[0, 1])  # and they are looked at


def test_all_known_needs_no_step(pipeline: MultiviewVideoPipeline) -> None:
    given = torch.rand(2, 4, 4, 32, 32)
    views = KnownViews(given, torch.ones(2, 4, dtype=torch.bool))
    steps: list[int] = []
    images = pipeline(
        given[:, 0],
        **VIEW,
        known_views=views,
        callback_on_step_end=lambda _p, step, _t, _k: steps.append(step),
    ).images
    assert torch.equal(images, given)
    assert not steps


def test_windows_keep_the_past(pipeline: MultiviewVideoPipeline) -> None:
    """A longer clip begins with exactly the frames that its first window makes."""
    long = pipeline(_clip(7), **VIEW, num_inference_steps=2, window=4, overlap=2).images
    first = pipeline(_clip(7)[:4], **VIEW, num_inference_steps=2, window=4, overlap=2).images
    assert torch.equal(long[:4], first)


def test_agrees_with_plain_euler(pipeline: MultiviewVideoPipeline) -> None:
    images = pipeline(_clip(4), **VIEW, num_inference_steps=3).images
    cameras = orbit_cameras([0.0, 90.0, 180.0, 270.0], **VIEW, distance=default_distance(40.0), size=(32, 32))
    random = torch.Generator().manual_seed(0)
    shape = (1, 4, 3, 4, 32, 32)
    noise = correlated_noise(shape, random, "cpu", still=still_noise(shape, random, "cpu"))
    pixels = torch.zeros(1, 4, 4, 4, 32, 32)
    pixels[0, :, 0] = encode_pixels(_clip(4))
    made = sample_window(
        pipeline.denoiser,
        pixels,
        torch.zeros(1, 4, 4, dtype=torch.bool),
        cameras.world_from_camera[None],
        cameras.intrinsics[None],
        noise,
        shifted_levels(3),
    )
    torch.testing.assert_close(decode_pixels(made[0, :, 1:])[:, :, 3], images[:, 1:, 3], rtol=0, atol=1e-4)


def test_a_cut_off_clip_goes_on_the_same(pipeline: MultiviewVideoPipeline) -> None:
    """Every window given back as known: the rest comes out the same, however many steps it takes."""
    windows: list[tuple[int, Tensor]] = []

    def on_window(index: int, start: int, made: Tensor) -> None:
        assert index == len(windows)
        windows.append((start, made.clone()))

    whole = pipeline(_clip(9), **VIEW, num_inference_steps=2, callback_on_window_end=on_window).images
    assert len(windows) > 2
    for done in range(1, len(windows)):
        given, known = torch.zeros_like(whole), torch.zeros(9, 4, dtype=torch.bool)
        for start, made in windows[:done]:
            given[start : start + len(made)], known[start : start + len(made)] = made, True
        rest = pipeline(_clip(9), **VIEW, num_inference_steps=2, known_views=KnownViews(given, known))
        assert torch.equal(rest.images, whole)


def test_steps_are_reported(pipeline: MultiviewVideoPipeline) -> None:
    seen: list[tuple[int, int]] = []

    def on_step(pipe: MultiviewVideoPipeline, step: int, timestep: Tensor, given: dict[str, Tensor]) -> None:
        assert given["latents"].shape == (1, 4, 3, 4, 32, 32)
        seen.append((step, pipe.num_timesteps))

    pipeline(_clip(7), **VIEW, num_inference_steps=2, overlap=1, callback_on_step_end=on_step)
    assert seen == [(step, 4) for step in range(4)]


def test_save_and_load_are_bitwise(pipeline: MultiviewVideoPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "views")
    assert not list((tmp_path / "views").rglob("*.bin"))
    loaded = load_views_pipeline(tmp_path / "views", "cpu")
    assert isinstance(loaded, MultiviewVideoPipeline)
    assert loaded.denoiser.options == TINY
    stored = load_file(tmp_path / "views/denoiser/diffusion_pytorch_model.safetensors")
    for name, tensor in pipeline.denoiser.state_dict().items():
        assert torch.equal(loaded.denoiser.state_dict()[name], tensor)
        assert torch.equal(stored[name], tensor)
    again = loaded(_clip(2), **VIEW, num_inference_steps=2).images
    assert torch.equal(again, pipeline(_clip(2), **VIEW, num_inference_steps=2).images)


def test_released_weights_are_bfloat16_and_run_in_float32(denoiser: MultiviewVideoDenoiser, tmp_path: Path) -> None:
    save_pipeline(denoiser, tmp_path / "views")
    stored = load_file(tmp_path / "views/denoiser/diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert set(stored) == set(denoiser.state_dict())  # the plain module loads the same file
    loaded = load_views_pipeline(tmp_path / "views", "cpu")
    assert isinstance(loaded, MultiviewVideoPipeline)
    assert loaded.denoiser.dtype == torch.float32
    assert {p.dtype for p in denoiser.parameters()} == {torch.float32}
    half = MultiviewVideoPipeline.from_pretrained(tmp_path / "views", torch_dtype=torch.bfloat16)
    assert bool(half(_clip(1), **VIEW, num_inference_steps=1).images.isfinite().all())


def test_images_in_other_forms(pipeline: MultiviewVideoPipeline) -> None:
    array = (_clip(2).movedim(1, -1).numpy() * 255).round().astype(np.uint8)
    pictures = [Image.fromarray(frame, "RGBA") for frame in array]
    expected = torch.from_numpy(array).movedim(-1, 1).float() / 255
    for images in (array, pictures, array.astype(np.float32) / 255, expected):
        made = pipeline(images, **VIEW, num_inference_steps=1).images
        torch.testing.assert_close(made[:, 0], expected)
    assert pipeline(_clip(1, size=48), **VIEW, num_inference_steps=1).images.shape[-1] == 32


def test_bad_calls_are_named(pipeline: MultiviewVideoPipeline) -> None:
    with pytest.raises(InputError, match="square RGBA"):
        pipeline(torch.zeros(2, 3, 32, 32), **VIEW)
    with pytest.raises(InputError, match="square RGBA"):
        pipeline(torch.zeros(0, 4, 32, 32), **VIEW)
    with pytest.raises(InputError, match="divide"):
        pipeline(torch.full((1, 4, 32, 32), 200.0), **VIEW)
    with pytest.raises(InputError, match="known_views"):
        pipeline(_clip(2), **VIEW, known_views=KnownViews(torch.zeros(1), torch.zeros(1, dtype=torch.bool)))
    with pytest.raises(ConfigError, match="overlap"):
        pipeline(_clip(2), **VIEW, window=2, overlap=2)
    with pytest.raises(ConfigError, match="num_inference_steps"):
        pipeline(_clip(2), **VIEW, num_inference_steps=0)
    with pytest.raises(ConfigError, match="field_of_view"):
        pipeline(_clip(2), elevation=0.0, field_of_view=0.0)


@pytest.mark.parametrize(("window", "overlap"), [(1, 0), (2, 0), (2, 1), (8, 0), (8, 2), (8, 4), (9, 2), (9, 8)])
def test_windows_cover_a_clip(window: int, overlap: int) -> None:
    for count in range(1, 40):
        windows = plan_windows(count, window=window, overlap=overlap)
        made: set[int] = set()
        for index, part in enumerate(windows):
            frames = part.frames()
            assert len(frames) == window
            assert max(frames) < count
            assert made >= set(frames[: part.past])
            assert not made & set(frames[part.past :])
            assert part.past >= overlap or index == 0
            made |= set(frames)
        assert made == set(range(count))
    assert len(plan_windows(16, window=9, overlap=2)) == 2


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no model_index"):
        load_views_pipeline(tmp_path, "cpu")
    with pytest.raises(WeightsError, match="There is no pipeline folder"):
        load_views_pipeline(tmp_path / "absent", "cpu")


def test_incomplete_and_foreign_folders(denoiser: MultiviewVideoDenoiser, tmp_path: Path) -> None:
    save_pipeline(denoiser, tmp_path / "views")
    (tmp_path / "views/denoiser/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_views_pipeline(tmp_path / "views", "cpu")
    index = tmp_path / "views/model_index.json"
    index.write_text(json.dumps({"_class_name": "NoSuchPipeline"}))
    with pytest.raises(WeightsError, match="diffusers does not have"):
        load_views_pipeline(tmp_path / "views", "cpu")
    index.write_text(json.dumps({"_class_name": "DDPMPipeline"}))
    with pytest.raises(WeightsError, match="does not take images, elevation"):
        load_views_pipeline(tmp_path / "views", "cpu")
    index.write_text("{")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_views_pipeline(tmp_path / "views", "cpu")


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(diffusers.DiffusionPipeline, "load_config", unreachable)
    with pytest.raises(MissingError, match="the hub did not give it: no connection"):
        load_views_pipeline("somebody/views", "cpu")
