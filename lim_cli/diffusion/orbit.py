"""Image-to-video pipelines that circle an object (SV3D's kind) as view models: three frames of the orbit are the views.

A pipeline of diffusers' class StableVideoDiffusionPipeline is given every keyframe by itself, on white, and asked for
one orbit. Which way round a model goes, and where it starts, is not written in its files: without `orbit.json` in its
folder, frame i of n is taken to stand at azimuth 360 i / n, the first one being the input. `orbit.json` says otherwise:

    {"azimuths": [17.1, 34.3, ..., 360.0]}

one azimuth a frame, degrees from the input's, +90 on the object's left (where a camera on +Z goes to +X). The orbit is
taken to be level with the input camera. All keyframes start from the same noise, so that what they invent agrees.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lim_cli.core.errors import InputError, NumericalError, WeightsError
from lim_cli.diffusion.pixels import decode_pixels, encode_pixels
from lim_cli.video.clip import Clip
from lim_cli.video.matting import matte

TABLE = "orbit.json"
AZIMUTHS = (90.0, 180.0, 270.0)
FARTHEST = 30.0
"""Degrees by which a frame may miss the azimuth that it is taken for."""
LARGEST_SIDE = 576
"""Pixels a side that the pipeline is asked for, unless it was made for fewer."""
VIEW_SIDE = 256
"""Pixels a side, at most, of what is handed on: LRM reads no more."""
OWN_STEPS = 1
"""This many steps, the default of our own generator, stand for the pipeline's own number."""


@dataclass(frozen=True)
class OrbitOutput:
    """images: straight-alpha RGBA float32 in [0, 1] on the CPU, [keyframe, view, 4, side, side]."""

    images: Tensor


class OrbitViews:
    """A loaded pipeline behind the interface of a view model (`adapter.ViewsPipeline`).

    azimuths: of the orbit's frames, degrees; None spreads them evenly from the input on.

    Raises:
        WeightsError: no frame of the orbit stands near 90, 180 or 270 degrees.
    """

    def __init__(self, pipeline: Any, azimuths: list[float] | None = None) -> None:
        self.pipeline = pipeline
        self.frames = int(pipeline.unet.config.num_frames) if azimuths is None else len(azimuths)
        angles = [360.0 * n / self.frames for n in range(self.frames)] if azimuths is None else azimuths
        self.chosen = nearest_frames(angles)
        self.side = min(LARGEST_SIDE, int(pipeline.unet.config.sample_size) * int(pipeline.vae_scale_factor))
        pipeline.set_progress_bar_config(disable=True)

    def __call__(
        self,
        images: Tensor,
        *,
        elevation: float,
        field_of_view: float,
        num_inference_steps: int = OWN_STEPS,
        generator: torch.Generator | None = None,
        callback_on_step_end: Callable[..., dict[str, Any] | None] | None = None,
    ) -> OrbitOutput:
        """Four views of every keyframe of `images` [keyframe, 4, height, width], straight-alpha RGBA in [0, 1].

        elevation and field_of_view are those of the input, which the orbit keeps; the pipeline is not told.

        Raises:
            InputError: no object can be cut out of what the pipeline made.
            NumericalError: it made NaN.
        """
        seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator))
        made = self.opaque_views(images, num_inference_steps, seed, callback_on_step_end)
        output = torch.zeros(len(images), 1 + len(AZIMUTHS), 4, *made.shape[-2:])
        output[:, 0] = _resized(images.float().cpu(), made.shape[-1])
        for view, azimuth in enumerate(AZIMUTHS):  # each over all keyframes at once
            output[:, 1 + view] = cut_out(made[:, view], azimuth)
        return OrbitOutput(output)

    @torch.no_grad()
    def opaque_views(
        self,
        images: Tensor,
        steps: int,
        seed: int,
        callback_on_step_end: Callable[..., dict[str, Any] | None] | None = None,
    ) -> Tensor:
        """The frames nearest AZIMUTHS of every keyframe's orbit, background and all: [keyframe, 3, 3, side, side].

        Raises:
            NumericalError: the pipeline made NaN.
        """
        given: dict[str, Any] = {} if steps == OWN_STEPS else {"num_inference_steps": steps}
        if callback_on_step_end is not None:
            given["callback_on_step_end"] = callback_on_step_end
        side = min(VIEW_SIDE, self.side)
        made = []
        for image in images.float().cpu():
            large = _resized(image[None], self.side)[0]
            on_white = (large[:3] * large[3:] + 1 - large[3:]).movedim(0, -1)
            orbit = self.pipeline(
                Image.fromarray((on_white.numpy() * 255 + 0.5).astype(np.uint8)),
                height=self.side,
                width=self.side,
                num_frames=self.frames,
                generator=torch.Generator().manual_seed(seed),  # the same noise for every keyframe
                output_type="pt",
                **given,
            ).frames[0]  # [frame, 3, height, width]
            if not bool(orbit.isfinite().all()):
                raise NumericalError("The view model returned NaN; its weights may be damaged or not fit this device.")
            made.append(F.interpolate(orbit[self.chosen].float().cpu(), size=(side, side), mode="area"))
        return torch.stack(made)


def nearest_frames(azimuths: list[float]) -> list[int]:
    """The frames of an orbit nearest to AZIMUTHS.

    Raises:
        WeightsError: one of them is farther off than FARTHEST.
    """
    angles = np.asarray(azimuths, np.float64)
    chosen = []
    for wanted in AZIMUTHS:
        apart = np.abs((angles - wanted + 180) % 360 - 180)
        chosen.append(int(apart.argmin()))
        if apart.min() > FARTHEST:
            raise WeightsError(
                f"The view model's orbit has no frame near azimuth {wanted:g}, the nearest is {apart.min():.0f} "
                f"degrees off; give one that goes round, and its azimuths in {TABLE}."
            )
    return chosen


def cut_out(pictures: Tensor, azimuth: float) -> Tensor:
    """Opaque pictures [keyframe, 3, h, w] of one view -> straight-alpha RGBA [keyframe, 4, h, w].

    Raises:
        InputError: nothing stands out from the background.
    """
    count = len(pictures)
    rgb = (pictures.clamp(0, 1).movedim(1, -1).numpy() * 255 + 0.5).astype(np.uint8)
    rgba = np.concatenate([rgb, np.full((*rgb.shape[:3], 1), 255, np.uint8)], -1)
    clip = Clip(rgba, np.arange(count, dtype=np.float64), False, "the view model's pictures", np.arange(count))
    try:
        cut = matte(clip, "auto").rgba
    except InputError as error:
        raise InputError(
            f"No object stands out in what the view model made at azimuth {azimuth:g}; try more --steps, or another "
            "--views-model."
        ) from error
    return torch.from_numpy(cut).movedim(-1, 1).float() / 255


def read_azimuths(folder: Path) -> list[float] | None:
    """The azimuths in a pipeline folder's `orbit.json`; None without that file.

    Raises:
        WeightsError: it is not of that form.
    """
    path = folder / TABLE
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        azimuths = [float(value) for value in table["azimuths"]]
        if set(table) != {"azimuths"} or not 3 <= len(azimuths) <= 1024 or not np.isfinite(azimuths).all():
            raise ValueError("azimuths")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise WeightsError(f'{path} must be {{"azimuths": [...]}} with one angle in degrees a frame.') from error
    return azimuths


def _resized(rgba: Tensor, side: int) -> Tensor:
    """Straight-alpha RGBA [image, 4, h, w] at [image, 4, side, side]; colour is averaged with its opacity."""
    if rgba.shape[-2:] == (side, side):
        return rgba
    pixels = F.interpolate(encode_pixels(rgba), size=(side, side), mode="bilinear", antialias=True)
    return decode_pixels(pixels)
