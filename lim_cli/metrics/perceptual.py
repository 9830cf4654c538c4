"""LPIPS and FVD where their libraries and backbones are on this machine."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lim_cli.core.errors import MissingError

BACKBONES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}

VIDEO_BACKBONE = "i3d_pretrained_400.pt"


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


class Fvd:
    """Frechet distance of I3D features of films (Unterthiner et al. 2018), by the library cd-fvd.

    Never downloads: the backbone's file must lie in torch's hub cache. With few films the figure is biased upwards and
    only fit to compare methods on the same films.

    Raises:
        MissingError: the library or the backbone is absent.
    """

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        try:
            from cdfvd import fvd
        except ImportError as error:
            raise MissingError("FVD needs the library cd-fvd; install it with: pip install cd-fvd.") from error
        self._path = Path(torch.hub.get_dir()) / "checkpoints" / VIDEO_BACKBONE
        if not self._path.is_file():
            raise MissingError(f"FVD needs the backbone {self._path}; put the file of cd-fvd's I3D there.")
        self._kind, self._device = fvd.cdfvd, str(device)

    def __call__(self, films: np.ndarray, truth: np.ndarray) -> float:
        """Films [film, frame, height, width, 3] uint8 against true ones; at least ten frames each."""
        with redirect_stdout(sys.stderr):  # the library speaks where results go
            judge = self._kind("i3d", n_real="full", n_fake="full", ckpt_path=str(self._path), device=self._device)
            return float(judge.compute_fvd(truth, films))
