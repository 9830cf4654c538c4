"""LPIPS where its library and backbone are on this machine."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lim_cli.core.errors import MissingError

BACKBONES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}


class Lpips:
    """Learned perceptual distance (Zhang et al. 2018) of images [*batch, 3, height, width] in [0, 1].

    Never downloads: the backbone's file must lie in torch's hub cache.

    Raises:
        MissingError: the `lpips` library or the backbone is absent.
        ValueError: unknown backbone.
    """

    def __init__(self, *, backbone: str = "alex", device: torch.device | str = "cpu") -> None:
        if backbone not in BACKBONES:
            raise ValueError(f"expected a backbone of {sorted(BACKBONES)}, got {backbone!r}")
        try:
            import lpips
        except ImportError as error:
            raise MissingError(
                "LPIPS needs the library lpips; install it with: pip install 'lim-cli[lpips]'."
            ) from error
        path = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[backbone]
        if not path.is_file():
            raise MissingError(f"LPIPS needs the backbone {path}; put torchvision's file there.")
        self.network: torch.nn.Module = lpips.LPIPS(net=backbone, verbose=False).eval().requires_grad_(False).to(device)

    def __call__(
        self, image: Float[Tensor, "*batch 3 height width"], truth: Float[Tensor, "*batch 3 height width"]
    ) -> Float[Tensor, "*batch"]:
        """One distance per image, 0 = alike; differentiable in `image`."""
        size = image.shape[-3:]
        distance: Tensor = self.network(image.reshape(-1, *size), truth.reshape(-1, *size), normalize=True)
        return distance.reshape(image.shape[:-3])
