"""The denoiser as a diffusers pipeline: a clip of the input view in, four synchronized views out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.utils import BaseOutput
from torch import Tensor, nn

from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.config import to_plain
from lim_cli.core.device import generator as seeded_generator
from lim_cli.core.errors import ConfigError, InputError
from lim_cli.core.files import atomic_folder
from lim_cli.diffusion.configs import DenoiserConfig, VolumeConfig
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser
from lim_cli.diffusion.frustum_volume import FrustumVolume
from lim_cli.diffusion.likeliest_solid import likeliest_solids, solid_views
from lim_cli.diffusion.noise import correlated_noise, still_noise
from lim_cli.diffusion.pixels import decode_pixels, encode_pixels
from lim_cli.diffusion.sampling import predict_clean
from lim_cli.diffusion.windows import Window, plan_windows

LEVEL_SHIFT = 2.0  # over 1: more of the steps where there is much noise
REFINED_FROM = 0.5
"""Where steps begin that refine the views of a volume, before the shift: 1 would forget them."""


class MultiviewVideoDenoiserModel(MultiviewVideoDenoiser, ModelMixin, ConfigMixin):
    """`MultiviewVideoDenoiser` with diffusers' saving and loading; the same tensors under the same names."""

    config_name = "config.json"  # type: ignore[assignment]

    @register_to_config
    def __init__(
        self,
        image_size: int = 128,
        patch: int = 8,
        width: int = 320,
        depth: int = 8,
        head_width: int = 64,
        mlp_width: int = 640,
        detail: int = 8,
        views: int = 4,
        frames: int = 9,
    ) -> None:
        super().__init__(DenoiserConfig(image_size, patch, width, depth, head_width, mlp_width, detail, views, frames))

    @classmethod
    def from_plain(cls, denoiser: MultiviewVideoDenoiser) -> MultiviewVideoDenoiserModel:
        """A copy of a trained denoiser."""
        model = cls(**to_plain(denoiser.options))
        model.load_state_dict(denoiser.state_dict())
        return model


class FrustumVolumeModel(FrustumVolume, ModelMixin, ConfigMixin):
    """`FrustumVolume` with diffusers' saving and loading; the same tensors under the same names."""

    config_name = "config.json"  # type: ignore[assignment]

    @register_to_config
    def __init__(
        self, image_size: int = 128, widths: tuple[int, int, int, int] = (64, 128, 256, 384), planes: int = 32
    ) -> None:
        super().__init__(VolumeConfig(image_size, widths, planes))

    @classmethod
    def from_plain(cls, volume: FrustumVolume) -> FrustumVolumeModel:
        """A copy of a trained volume network."""
        model = cls(**to_plain(volume.options))
        model.load_state_dict(volume.state_dict())
        return model


@dataclass(frozen=True)
class KnownViews:
    """Images that are to be kept as they are.

    images: straight-alpha RGBA float in [0, 1], [keyframe, view, 4, size, size] at the denoiser's size.
    known: bool [keyframe, view]; where False, `images` is not read. View 0 is always the given clip.
    """

    images: Tensor
    known: Tensor


@dataclass
class MultiviewVideoOutput(BaseOutput):
    """images: straight-alpha RGBA float32 in [0, 1] on the CPU, [keyframe, view, 4, size, size]."""

    images: Tensor


class MultiviewVideoPipeline(DiffusionPipeline):
    """Makes the views at azimuths 90, 180, 270 degrees from the input's, window by window.

    A window holds the last frames of the one before fixed, so memory does not grow with the clip. Where there is a
    `volume`, the views of one object are drawn out of it first (`likeliest_solid`); denoising steps, which may be left
    out then, refine them: the volume knows geometry, the denoiser other frames and the other views.
    """

    model_cpu_offload_seq = "volume->denoiser"  # type: ignore[assignment]
    _optional_components = ["volume"]  # noqa: RUF012  # diffusers' own way
    denoiser: MultiviewVideoDenoiserModel
    scheduler: FlowMatchEulerDiscreteScheduler
    volume: FrustumVolumeModel | None

    def __init__(
        self,
        denoiser: MultiviewVideoDenoiserModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        volume: FrustumVolumeModel | None = None,
    ) -> None:
        super().__init__()
        if volume is not None and volume.options.image_size != denoiser.options.image_size:
            raise ConfigError(
                f"The volume is for pictures of {volume.options.image_size} pixels, the denoiser for those of "
                f"{denoiser.options.image_size}; take two of one size."
            )
        self.register_modules(denoiser=denoiser, scheduler=scheduler, volume=volume)

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor | np.ndarray | Sequence[Any],
        *,
        elevation: float,
        field_of_view: float,
        distance: float | None = None,
        num_inference_steps: int = 8,
        window: int | None = None,
        overlap: int = 2,
        generator: torch.Generator | None = None,
        known_views: KnownViews | None = None,
        callback_on_step_end: Callable[..., dict[str, Any] | None] | None = None,
        callback_on_window_end: Callable[[int, int, Tensor], None] | None = None,
    ) -> MultiviewVideoOutput:
        """Four views of every keyframe.

        Args:
            images: the clip, straight-alpha RGBA, square: tensor [keyframe, 4, height, width] or array
                [keyframe, height, width, 4], float in [0, 1] or uint8; or a sequence of PIL images.
            elevation, field_of_view: of all cameras, degrees; the field of view is across the image.
            distance: of the cameras from the origin; by default the unit sphere just fits the view.
            num_inference_steps: denoising steps per window; 0 takes the views of the volume as they are.
            window: frames per window, the trained length by default; a shorter clip repeats its last frame.
            overlap: frames, at least, that a window shares with the one before and keeps.
            generator: source of the noise (seed 0 by default); its device may differ from the pipeline's.
            known_views: images not to be made but kept.
            callback_on_step_end: called as (pipeline, step, timestep, {"latents": sample}) after every step;
                `pipeline.num_timesteps` is the number of steps of the whole call. A returned "latents"
                replaces the sample.
            callback_on_window_end: called as (window, first keyframe, images [keyframe, view, 4, size, size]) when a
                window is made. Given back as `known_views` these windows are not made again, and what follows
                comes out the same.

        Raises:
            InputError: images that are not square RGBA of one size, or `known_views` of another shape.
            ConfigError: a window, overlap or number of steps that cannot be.
        """
        options: DenoiserConfig = self.denoiser.options
        size, views = options.image_size, options.views
        fewest = 1 if self.volume is None else 0
        if num_inference_steps < fewest:
            raise ConfigError(f"num_inference_steps must be at least {fewest}, got {num_inference_steps}.")
        generator = seeded_generator(0) if generator is None else generator
        device = self._execution_device

        # 1. The clip [keyframe, 4, size, size], and the views known beforehand.
        clip = _resized(_straight_rgba(images), size)
        count = clip.shape[0]
        output = torch.zeros(count, views, 4, size, size)
        output[:, 0] = clip
        known = torch.zeros(count, views, dtype=torch.bool)
        if known_views is not None:
            _check_known(known_views, output, known)
            known |= known_views.known.cpu()
            output = torch.where(known[..., None, None, None], known_views.images.float().cpu(), output)
            output[:, 0] = clip
        known[:, 0] = True

        # 2. Cameras [1, view, ...]; view 0 stands at azimuth 0.
        cameras = orbit_cameras(
            [360.0 * view / views for view in range(views)],
            elevation=elevation,
            field_of_view=field_of_view,
            distance=default_distance(field_of_view) if distance is None else distance,
            size=(size, size),
        ).to(device)
        world_from_camera, intrinsics = cameras.world_from_camera[None], cameras.intrinsics[None]

        # 3. Windows; part of the noise is common to all of them.
        windows = plan_windows(count, window=options.frames if window is None else window, overlap=overlap)
        self._num_timesteps = len(windows) * num_inference_steps
        shape = (1, windows[0].length, views - 1, 4, size, size)
        still = still_noise(shape, generator, device)

        for index, part in enumerate(windows):
            # 4. The window's clean pixels [1, time, view, 4, size, size]; what earlier windows made is known.
            frames = part.frames()
            pixels = encode_pixels(output[frames])[None].to(device)
            here = known[frames][None].to(device)
            noise = correlated_noise(shape, generator, device, still=still)
            if bool(here.all()):
                continue

            # 5. The views of one object, or noise; and from there to clean images, with everything known held fixed.
            drawn = self._drawn(pixels[0, : part.stop - part.start, 0], cameras)
            sample = noise if drawn is None else drawn[None, [frame - part.start for frame in frames]]
            if num_inference_steps > 0:
                first = 1.0 if drawn is None else REFINED_FROM
                self.scheduler.set_timesteps(sigmas=_even_levels(num_inference_steps, first), device=device)
                levels = self.scheduler.sigmas.tolist()
                sample = torch.lerp(sample, noise, levels[0])
                with self._precision(device):
                    reference = self.denoiser.encode_reference(pixels[:, :, 0], world_from_camera, intrinsics)
                for step, timestep in enumerate(self.scheduler.timesteps):
                    with self._precision(device):
                        clean = predict_clean(
                            self.denoiser, sample, pixels[:, :, 1:], here[:, :, 1:], levels[step], reference
                        )
                    velocity = (sample - clean) / levels[step]
                    sample = self.scheduler.step(velocity, timestep, sample, return_dict=False)[0]  # type: ignore[arg-type]
                    if callback_on_step_end is not None:
                        given = {"latents": sample}
                        total_step = index * num_inference_steps + step
                        sample = (callback_on_step_end(self, total_step, timestep, given) or given)["latents"]

            # 6. Only what was unknown is written; it is known from now on.
            self._write(output, known, decode_pixels(sample[0].float()).cpu(), part)
            if callback_on_window_end is not None:
                callback_on_window_end(index, part.start, output[part.start : part.stop])
        return MultiviewVideoOutput(images=output)

    @property
    def num_timesteps(self) -> int:
        """Denoising steps of the running call, all windows together."""
        return self._num_timesteps

    def _write(self, output: Tensor, known: Tensor, made: Tensor, part: Window) -> None:
        span = slice(part.start, part.stop)
        keep = known[span, 1:, None, None, None]
        output[span, 1:] = torch.where(keep, output[span, 1:], made[: part.stop - part.start])
        known[span] = True

    def _drawn(self, clip: Tensor, cameras: Cameras) -> Tensor | None:
        """Views 1.. [time, view - 1, 4, size, size] of the one object that the volumes of a clip's pictures

        [time, 4, size, size] say is there; None without the network.
        """
        if self.volume is None:
            return None
        with self._precision(clip.device):  # picture by picture, which takes less memory
            volumes = torch.cat([self.volume(picture[None], cameras[:1]) for picture in clip]).float()
        solids = likeliest_solids(volumes, clip[:, 3])
        each = zip(solids.split(1), clip[:, 3].split(1), strict=True)
        return torch.stack([solid_views(solid, matte, cameras) for solid, matte in each]).to(clip.dtype)

    def _precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """Float32 on the CPU, bfloat16 products on CUDA, the weights' own type where they are not float32."""
        if self.denoiser.dtype != torch.float32:
            return torch.autocast(device.type, dtype=self.denoiser.dtype)
        return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()


def default_distance(field_of_view: float) -> float:
    """Distance at which the unit sphere just fits a view of `field_of_view` degrees.

    Raises:
        ConfigError: an angle outside (0, 180).
    """
    if not 0.0 < field_of_view < 180.0:
        raise ConfigError(f"field_of_view must lie between 0 and 180 degrees, got {field_of_view}.")
    return float(1.0 / np.sin(np.radians(field_of_view) / 2))


def save_pipeline(
    denoiser: MultiviewVideoDenoiser,
    folder: Path,
    *,
    volume: FrustumVolume | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Writes a pipeline folder that `MultiviewVideoPipeline.from_pretrained` and `--views-model` take.

    Raises:
        OutputError: the folder cannot be written.
    """
    model = nn.Module.to(MultiviewVideoDenoiserModel.from_plain(denoiser), dtype)  # diffusers' own warns in vain
    scheduler = FlowMatchEulerDiscreteScheduler(shift=LEVEL_SHIFT)
    drawn = None if volume is None else nn.Module.to(FrustumVolumeModel.from_plain(volume), dtype)
    with atomic_folder(Path(folder)) as partial:
        MultiviewVideoPipeline(model, scheduler, drawn).save_pretrained(partial, safe_serialization=True)


def _even_levels(steps: int, first: float) -> list[float]:
    # The scheduler's own list ends near 0 and would waste the last step there.
    return [first * (1.0 - step / steps) for step in range(steps)]


def _straight_rgba(images: Tensor | np.ndarray | Sequence[Any]) -> Tensor:
    """The clip as float [keyframe, 4, height, width] in [0, 1]."""
    if isinstance(images, Tensor):
        clip = images.detach().cpu()
    else:
        arrays = images if isinstance(images, np.ndarray) else [np.asarray(image) for image in images]
        if len({np.shape(array) for array in arrays}) > 1:
            raise InputError("The images of a clip must share one size and number of channels.")
        clip = torch.from_numpy(np.array(arrays))
        clip = clip.movedim(-1, 1) if clip.ndim == 4 else clip
    if clip.ndim != 4 or clip.shape[0] < 1 or clip.shape[1] != 4 or clip.shape[2] != clip.shape[3]:
        raise InputError(f"Expected at least one square RGBA image, got a clip of shape {tuple(clip.shape)}.")
    if not clip.is_floating_point():
        return clip.float() / 255
    if not bool(((clip >= 0) & (clip <= 1)).all()):
        raise InputError("Expected image values between 0 and 1; divide 8-bit values by 255 or pass them as uint8.")
    return clip.float()


def _resized(clip: Tensor, size: int) -> Tensor:
    """Straight-alpha RGBA at another size; colour is averaged with its opacity. Untouched at that size."""
    if clip.shape[-1] == size:
        return clip
    pixels = F.interpolate(encode_pixels(clip), size=(size, size), mode="bilinear", antialias=True)
    return decode_pixels(pixels)


def _check_known(known_views: KnownViews, output: Tensor, known: Tensor) -> None:
    if known_views.images.shape != output.shape or known_views.known.shape != known.shape:
        raise InputError(
            f"known_views must have images {tuple(output.shape)} and known {tuple(known.shape)}, got "
            f"{tuple(known_views.images.shape)} and {tuple(known_views.known.shape)}."
        )
