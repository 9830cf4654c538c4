from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lim_cli.core.errors import MissingError
from lim_cli.metrics.image import mask_iou, psnr, psnr_foreground, ssim


def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 24, 30, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    return (truth + noise).clamp(0, 1), truth


def test_psnr_of_a_constant_error() -> None:
    truth = torch.zeros(2, 3, 4, 5)
    torch.testing.assert_close(psnr(truth + 0.1, truth), torch.tensor([20.0, 20.0]))
    assert torch.isinf(psnr(truth, truth)).all()


def test_psnr_foreground_sees_the_foreground_only() -> None:
    truth, mask = torch.zeros(3, 4, 4), torch.zeros(4, 4)
    mask[:2] = 1
    image = truth.clone()
    image[:, :2] = 0.1
    image[:, 2:] = 0.9
    assert float(psnr_foreground(image, truth, mask)) == pytest.approx(20.0, abs=1e-4)
    assert torch.isnan(psnr_foreground(image, truth, torch.zeros(4, 4)))


def test_mask_iou() -> None:
    a, b = torch.zeros(4, 4), torch.zeros(4, 4)
    a[:, :2], b[:, 1:3] = 1, 1
    assert float(mask_iou(a, b)) == pytest.approx(1 / 3)
    assert float(mask_iou(torch.zeros(4, 4), torch.zeros(4, 4))) == 1.0


def test_ssim_equals_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    image, truth = images()
    for x, y, value in zip(image, truth, ssim(image, truth), strict=True):
        expected = metrics.structural_similarity(
            x.numpy(),
            y.numpy(),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert float(value) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_equal_images_is_one_and_its_gradient_is_finite() -> None:
    image, truth = images()
    torch.testing.assert_close(ssim(truth, truth), torch.ones(2, dtype=torch.float64))
    image.requires_grad_()
    ssim(image, truth).sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()


def test_ssim_refuses_tiny_images() -> None:
    with pytest.raises(ValueError, match="11x11"):
        ssim(torch.zeros(3, 8, 30), torch.zeros(3, 8, 30))


def test_lpips_is_there_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from lim_cli.metrics.perceptual import Lpips

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingError, match="LPIPS needs"):
        Lpips()
    with pytest.raises(ValueError, match="backbone"):
        Lpips(backbone="other")
