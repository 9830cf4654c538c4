"""The trained models of one release, loaded when first needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lim_cli.core.camera import Cameras
from lim_cli.core.errors import WeightsError
from lim_cli.core.files import hash_json
from lim_cli.models.camera import CameraEstimator
from lim_cli.models.checkpoints import find_release, is_model, weight_hash
from lim_cli.models.lim import LIM
from lim_cli.models.lrm import LRM, LRMOutput, premultiplied
from lim_cli.models.matching_lim import MatchingLIM
from lim_cli.models.presets import load_camera, load_lim, load_lrm

if TYPE_CHECKING:
    from lim_cli.diffusion.adapter import ViewsPipeline

MODELS = ("lrm", "lim", "canonical_lrm", "canonical_lim", "views")


class Networks:
    """LRM, LIM, their canonical twins, the view generator and the camera estimator of a release, on one device.

    Raises:
        WeightsError: the release lacks one of the models needed, or (on use) one is damaged.
    """

    def __init__(
        self,
        device: torch.device | str = "cpu",
        *,
        weights: Path | None = None,
        release: str | None = None,
        views_model: str | None = None,
        needs: tuple[str, ...] = MODELS,
    ) -> None:
        """views_model: folder or hub id of another view generator. needs: the models that must be there."""
        self.device = torch.device(device)
        present = tuple(name for name in needs if name != "views" or views_model is None)
        self.release = find_release(weights, release, needs=present)
        self.views_model = views_model
        self._hashes: dict[str, str] = {}

    @cached_property
    def lrm(self) -> LRM:
        return load_lrm(self.release / "lrm", self.device)

    @cached_property
    def canonical_lrm(self) -> LRM:
        return load_lrm(self.release / "canonical_lrm", self.device)

    @cached_property
    def lim(self) -> LIM | MatchingLIM:
        return _fitting(load_lim(self.release / "lim", self.device), self.lrm)

    @cached_property
    def canonical_lim(self) -> LIM | MatchingLIM:
        lim = load_lim(self.release / "canonical_lim", self.device)
        return _fitting(lim, self.canonical_lrm if lim.config.canonical_planes else self.lrm)

    @cached_property
    def views(self) -> ViewsPipeline:
        from lim_cli.diffusion.adapter import load_views_pipeline

        return load_views_pipeline(self.views_model or self.release / "views", self.device)

    @cached_property
    def camera(self) -> CameraEstimator | None:
        """The camera estimator; None where the release is older than it."""
        return load_camera(self.release / "camera", self.device) if self.has("camera") else None

    def has(self, name: str) -> bool:
        """Whether the release holds the model."""
        return is_model(self.release / name)

    def hashes(self, *names: str) -> dict[str, str]:
        """SHA-256 of the named models, for manifests."""
        for name in set(names) - set(self._hashes):
            if name == "views" and self.views_model is not None:
                path = Path(self.views_model)
                # a hub id has no files to hash; a manifest's hashes are all SHA-256
                self._hashes[name] = weight_hash(path) if path.is_dir() else hash_json(self.views_model)
            else:
                self._hashes[name] = weight_hash(self.release / name)
        return {name: self._hashes[name] for name in names}

    @torch.no_grad()
    def encode(self, rgba: np.ndarray, cameras: Cameras) -> LRMOutput:
        """LRM on the views of one instant: rgba [view, h, w, 4] uint8 straight alpha, cameras [view], model frame."""
        size = self.lrm.config.encoder.image_size
        views = resized_views(rgba, size)
        output: LRMOutput = self.lrm(views[None].to(self.device), batched(cameras.resized((size, size)), self.device))
        return output


def _fitting(lim: LIM | MatchingLIM, lrm: LRM) -> LIM | MatchingLIM:
    """A LIM reads one feature of its LRM a block."""
    if lim.config.blocks > lrm.config.kept_features:
        raise WeightsError(
            f"LIM has {lim.config.blocks} blocks but its LRM hands on {lrm.config.kept_features} features; use weights "
            "of one release."
        )
    return lim


def resized_views(rgba: np.ndarray, side: int) -> Tensor:
    """Views [view, h, w, 4] (uint8, straight alpha) -> [view, 4, side, side], premultiplied, in [0, 1]."""
    views = premultiplied(torch.from_numpy(np.ascontiguousarray(rgba)).movedim(-1, 1).float() / 255)
    if views.shape[-2:] == (side, side):
        return views
    return F.interpolate(views, size=(side, side), mode="bilinear", antialias=True)


def batched(cameras: Cameras, device: torch.device | str) -> Cameras:
    """Cameras [view] as a batch of one: [1, view]."""
    return Cameras(
        cameras.world_from_camera[None].float().to(device), cameras.intrinsics[None].float().to(device), cameras.size
    )
