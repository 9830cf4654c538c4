"""Where a clip's camera stands: told by the user, estimated from the frames, or assumed."""

from __future__ import annotations

import numpy as np
import torch

from lim_cli.artifacts.generation import InputCamera
from lim_cli.models.camera import CameraEstimate, CameraEstimator
from lim_cli.models.lrm import premultiplied
from lim_cli.stages.config import DEFAULT_ELEVATION, RANGES, ViewsConfig
from lim_cli.stages.failures import require_finite

FRAMES = 8
"""Frames of a clip that are looked at; more say the same again."""


def find_camera(rgba: np.ndarray, config: ViewsConfig, estimator: CameraEstimator | None) -> InputCamera:
    """The camera of a cropped clip [time, size, size, 4] uint8; estimator: None where the release has none."""
    if config.elevation is not None:
        return InputCamera(config.elevation, config.field_of_view, "given")
    if estimator is None:
        return InputCamera(DEFAULT_ELEVATION, config.field_of_view, "assumed")
    found = estimate(rgba, estimator)
    lowest, highest = RANGES["views.elevation"]
    elevation = round(min(max(found.elevation, lowest), highest), 2)
    return InputCamera(elevation, config.field_of_view, "estimated", round(found.elevation_spread, 2))


def estimate(rgba: np.ndarray, estimator: CameraEstimator) -> CameraEstimate:
    """What the estimator says of a clip [time, size, size, 4] uint8, straight alpha.

    Raises:
        NumericalError: NaN.
    """
    chosen = np.unique(np.linspace(0, len(rgba) - 1, min(FRAMES, len(rgba))).round().astype(int))
    device = next(estimator.parameters()).device
    frames = torch.from_numpy(rgba[chosen]).to(device).movedim(-1, 1).float() / 255
    found = estimator.estimate(premultiplied(frames))
    require_finite("The camera's elevation", np.array([found.elevation, found.field_of_view]))
    return found


def sentence(camera: InputCamera) -> str:
    """For the log."""
    place = f"The camera stands {camera.elevation:.0f} degrees above the object"
    if camera.source == "estimated":
        return f"{place} (estimated, give or take {camera.spread:.0f}; --elevation overrides it)."
    if camera.source == "assumed":
        return f"{place} (assumed: this release of weights has no camera model; --elevation overrides it)."
    return f"{place} (given)."
