"""What is not needed for a reconstruction, but adds to it: is it here, and how would it come here?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Feature:
    """gives: what it is good for. library: the distribution it needs. install: the command that brings it.

    lacks: says in a few words what is missing beside the library, None if nothing is.
    """

    name: str
    gives: str
    library: str
    install: str
    lacks: Callable[[], str | None] = lambda: None

    def missing(self) -> str | None:
        """What to do to have this feature; None if it is there."""
        return self.install if installed(self.library) is None else self.lacks()


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _lpips_backbone() -> str | None:
    import torch

    from lim_cli.metrics.perceptual import BACKBONES

    path = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES["alex"]
    return None if path.is_file() else f"put torchvision's {path.name} into {path.parent}"


def _rembg_network() -> str | None:
    import os

    home = Path(os.environ.get("U2NET_HOME", Path.home() / ".u2net"))
    return (
        None if any(home.glob("*.onnx")) else f"rembg fetches its network into {home} at first use (needs the network)"
    )


def _codec(name: str) -> Callable[[], str | None]:
    def lacks() -> str | None:
        import av

        return None if name in av.codecs_available else "pip install --force-reinstall av (the build from PyPI)"

    return lacks


FEATURES = (
    Feature("rembg", "mattes in front of any background (--matte rembg)", "rembg", "pip install 'rembg[cpu]'",
            _rembg_network),
    Feature("lpips", "the perceptual metric of lim eval", "lpips", "pip install lpips", _lpips_backbone),
    Feature("usd", "USD export", "usd-core", "pip install usd-core"),
    Feature("ray", "many clips over several machines", "ray", "pip install ray"),
    Feature("mp4", "previews as .mp4 (no ffmpeg program is needed)", "av", "pip install av", _codec("libx264")),
    Feature("webm-alpha", "WebM input with its alpha channel", "av", "pip install av", _codec("libvpx-vp9")),
)  # fmt: skip
