from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lim_cli.core.camera import orbit_cameras, orbit_pose
from lim_cli.core.errors import ConfigError
from lim_cli.diffusion.configs import PRESETS, SMALL, TINY, DenoiserConfig
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser, azimuth_aligned
from lim_cli.diffusion.flops import step_flops
from lim_cli.diffusion.loss import denoising_loss
from lim_cli.diffusion.noise import correlated_noise
from lim_cli.diffusion.patches import images_from_patches, patches_from_images
from lim_cli.diffusion.pixels import decode_pixels, encode_pixels
from lim_cli.diffusion.sampling import sample_window, shifted_levels

Balls = Callable[..., dict[str, Tensor]]


def _inputs(batch: int = 2, time: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    cameras = orbit_cameras([0.0, 90.0, 180.0, 270.0], elevation=5.0, field_of_view=40.0, distance=3.0, size=(32, 32))
    pixels = torch.randn(batch, time, 4, 4, 32, 32, generator=random)
    level = torch.rand(batch, time, 4, generator=random)
    world, intrinsics = cameras.world_from_camera, cameras.intrinsics
    return pixels, level, world.expand(batch, 4, 4, 4), intrinsics.expand(batch, 4, 4)


@torch.no_grad()
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (2, 3), (1, 9)])
def test_shapes(denoiser: MultiviewVideoDenoiser, batch: int, time: int) -> None:
    out = denoiser(*_inputs(batch, time))
    assert out.shape == (batch, time, 3, 4, 32, 32)
    assert bool(out.isfinite().all())


@torch.no_grad()
def test_clips_do_not_mix(denoiser: MultiviewVideoDenoiser) -> None:
    pixels, level, world, intrinsics = _inputs()
    both = denoiser(pixels, level, world, intrinsics)
    turned = denoiser(pixels.flip(0), level.flip(0), world, intrinsics)
    torch.testing.assert_close(turned, both.flip(0), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_made_views_have_no_order(denoiser: MultiviewVideoDenoiser) -> None:
    """Views are told apart by their cameras alone."""
    pixels, level, world, intrinsics = _inputs()
    order = [0, 3, 1, 2]
    out = denoiser(pixels, level, world, intrinsics)
    permuted = denoiser(pixels[:, :, order], level[:, :, order], world[:, order], intrinsics[:, order])
    torch.testing.assert_close(permuted, out[:, :, [2, 0, 1]], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_time_is_relative_and_every_frame_and_view_is_seen(denoiser: MultiviewVideoDenoiser) -> None:
    pixels, level, world, intrinsics = _inputs(batch=1)
    out = denoiser(pixels, level, world, intrinsics)
    for time in range(3):
        for view in range(4):
            changed = pixels.clone()
            changed[:, time, view] += 1.0
            moved = (denoiser(changed, level, world, intrinsics) - out).abs().amax((-1, -2, -3))
            assert bool((moved > 1e-6).all()), (time, view)


@torch.no_grad()
def test_the_world_may_be_turned_about_up(denoiser: MultiviewVideoDenoiser) -> None:
    pixels, level, world, intrinsics = _inputs(batch=1)
    turn = torch.from_numpy(orbit_pose(70.0, 0.0, 1.0) @ torch.tensor(orbit_pose(0.0, 0.0, 1.0)).inverse().numpy())
    torch.testing.assert_close(azimuth_aligned(turn @ world), azimuth_aligned(world), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(azimuth_aligned(world), world, rtol=1e-5, atol=1e-5)
    out = denoiser(pixels, level, world, intrinsics)
    torch.testing.assert_close(denoiser(pixels, level, turn @ world, intrinsics), out, rtol=1e-3, atol=1e-4)


def test_patches_come_back() -> None:
    images = torch.arange(2 * 3 * 16 * 16.0).reshape(2, 3, 16, 16)
    tokens = patches_from_images(images, 4)
    assert torch.equal(tokens[0, 1, :4], images[0, 0, 0, 4:8])  # second token: next along the row
    assert torch.equal(images_from_patches(tokens, 4, 4), images)


def test_pixels_come_back_and_hidden_colour_does_not_matter() -> None:
    images = torch.rand(5, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    images[:, 3, :4] = 0.0
    pixels = encode_pixels(images)
    assert pixels.abs().max() <= 1
    assert torch.equal(pixels[:, :3, :4], torch.zeros(5, 3, 4, 8))
    back = decode_pixels(pixels)
    opaque = images[:, 3:] > 0.05
    torch.testing.assert_close(torch.where(opaque, back, 0), torch.where(opaque, images, 0), rtol=0, atol=1e-5)
    torch.testing.assert_close(back[:, 3], images[:, 3])


def test_noise_has_unit_variance_and_the_stated_correlation() -> None:
    noise = correlated_noise((1, 4, 2, 4, 64, 64), torch.Generator().manual_seed(0), "cpu")
    flat = noise[0].flatten(1)
    torch.testing.assert_close(flat.corrcoef(), 0.5 + 0.5 * torch.eye(4), rtol=0, atol=0.03)
    assert float(flat.std()) == pytest.approx(1.0, abs=0.02)


def test_every_parameter_gets_a_gradient(denoiser: MultiviewVideoDenoiser, moving_balls: Balls) -> None:
    batch = moving_balls(batch=2, time=3, size=32)
    loss, metrics = denoising_loss(denoiser, batch, torch.Generator().manual_seed(0))
    loss.backward()
    still = [n for n, p in denoiser.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
    assert not still
    assert all(m.ndim == 0 and not m.requires_grad and bool(m.isfinite()) for m in metrics.values())


def test_loss_repeats_and_leaves_the_batch_alone(denoiser: MultiviewVideoDenoiser, moving_balls: Balls) -> None:
    batch = moving_balls(batch=1, time=3, size=32)
    before = {name: tensor.clone() for name, tensor in batch.items()}
    first, _ = denoising_loss(denoiser, batch, torch.Generator().manual_seed(3))
    second, _ = denoising_loss(denoiser, batch, torch.Generator().manual_seed(3))
    other, _ = denoising_loss(denoiser, batch, torch.Generator().manual_seed(4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert all(torch.equal(batch[name], before[name]) for name in batch)


def test_loss_of_one_frame(denoiser: MultiviewVideoDenoiser, moving_balls: Balls) -> None:
    loss, _ = denoising_loss(denoiser, moving_balls(batch=1, time=1, size=32), torch.Generator().manual_seed(0))
    assert bool(loss.isfinite())


def test_bfloat16_autocast(denoiser: MultiviewVideoDenoiser, moving_balls: Balls) -> None:
    batch = moving_balls(batch=1, time=3, size=32)
    plain, _ = denoising_loss(denoiser, batch, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        rounded, _ = denoising_loss(denoiser, batch, torch.Generator().manual_seed(0))
    rounded.backward()
    assert rounded.item() == pytest.approx(plain.item(), rel=0.02)


def test_overfits_one_batch(moving_balls: Balls) -> None:
    """From pure noise, the sampled views of a clip seen in training come out as they are."""
    batch = moving_balls(batch=1, time=2, size=32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MultiviewVideoDenoiser(TINY)
    random = torch.Generator().manual_seed(0)
    steps = 220
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        loss, _ = denoising_loss(model, batch, random)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    clean = encode_pixels(batch["images"].float() / 255)
    known = torch.zeros(1, 2, 4, dtype=torch.bool)
    noise = correlated_noise(clean[:, :, 1:].shape, torch.Generator().manual_seed(9), "cpu")
    given = clean * torch.tensor([1.0, 0.0, 0.0, 0.0])[:, None, None, None]
    cameras = batch["world_from_camera"], batch["intrinsics"]
    made = sample_window(model, given, known, *cameras, noise, shifted_levels(4))
    assert torch.equal(made[:, :, 0], clean[:, :, 0])
    error = (made - clean)[:, :, 1:].square().mean()
    trivial = (clean.mean((-1, -2), keepdim=True) - clean)[:, :, 1:].square().mean()
    assert float(error) < 0.1 * float(trivial)


def test_flops_match_the_counter(denoiser: MultiviewVideoDenoiser) -> None:
    """The counter leaves fused attention out on the CPU, so the unfused form is counted."""
    pixels, level, world, intrinsics = _inputs(batch=1, time=4)
    unfused = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with torch.no_grad(), unfused:
        with FlopCounterMode(display=False) as once:
            reference = denoiser.encode_reference(pixels[:, :, 0], world, intrinsics)
        with FlopCounterMode(display=False) as step:
            denoiser.denoise(pixels[:, :, 1:], level[:, :, 1:], reference)
    expected_step, expected_once = step_flops(TINY, 4)
    assert step.get_total_flops() == pytest.approx(expected_step, rel=0.01)
    assert once.get_total_flops() == pytest.approx(expected_once, rel=0.02)


def test_small_fits_its_file_and_its_time() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in MultiviewVideoDenoiser(SMALL).parameters())
    assert 2 * count < 32e6  # bytes in bfloat16
    step, once = step_flops(SMALL, SMALL.frames)
    assert 2 * (8 * step + once) < 45 * 100e9  # sixteen keyframes, two windows, 45 s at 100 GFLOP/s


def test_presets_are_valid_and_bad_sizes_are_named() -> None:
    assert set(PRESETS) == {"paper", "small", "tiny"}
    with pytest.raises(ConfigError, match="multiple of patch"):
        DenoiserConfig(image_size=30)
    with pytest.raises(ConfigError, match="head_width"):
        DenoiserConfig(width=100)
    with pytest.raises(ConfigError, match="views"):
        DenoiserConfig(views=1)


def test_blocks_compile_whole(denoiser: MultiviewVideoDenoiser) -> None:
    inputs = _inputs(batch=1, time=2)
    with torch.no_grad():
        plain = denoiser(*inputs)
        for block in denoiser.blocks:
            block.compile(backend="eager", fullgraph=True)
        torch.testing.assert_close(denoiser(*inputs), plain)
