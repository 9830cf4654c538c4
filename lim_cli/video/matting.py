"""Giving a clip a true alpha channel, by the best means at hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from lim_cli.core.errors import InputError, MissingError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.video.background_matte import find_plain_background, matte_plain
from lim_cli.video.clip import Clip
from lim_cli.video.edges import decontaminate, main_pieces
from lim_cli.video.grabcut_matte import matte_grabcut
from lim_cli.video.pictures import list_pictures, open_picture, read_picture

MODES = ("auto", "alpha", "background", "grabcut", "rembg")
ALPHA_FLOOR = 8
"""Alpha below this (of 255) is compression noise and becomes 0."""
LEAST_OBJECT = 0.001
"""Share of the picture below which a frame counts as holding no object."""
LEAST_TRANSPARENT = 0.005
"""Share of a clip's pixels that must be transparent for its alpha channel to be taken as a matte."""


def matte(clip: Clip, mode: str = "auto", *, progress: Progress | None = None) -> Clip:
    """A clip of the same frames whose alpha is the object's opacity; `clip` is left as it is.

    Args:
        mode: `alpha` keeps the alpha channel; `background` removes one plain colour; `grabcut` cuts the
            object about the centre out of any scene; `rembg` asks the rembg package; `auto` takes the first
            of alpha, background and grabcut that suits; all else is a folder of mask pictures, one a frame.

    Raises:
        InputError: the mode does not suit the clip, or no object is found in most frames.
        MissingError: `rembg` is not installed.
    """
    progress = progress or SilentProgress()
    if mode == "auto":
        mode = choose_mode(clip)
        progress.log(f"Matte of {clip.source_name}: {mode}.")
    if mode == "alpha":
        rgba = _matte_alpha(clip)
    elif mode == "background":
        rgba = _matte_background(clip, progress)
    elif mode == "grabcut":
        rgba = matte_grabcut(clip.rgba, progress=progress)
    elif mode == "rembg":
        rgba = _matte_rembg(clip, progress)
    elif Path(mode).is_dir():
        rgba = _matte_folder(clip, Path(mode))
    else:
        raise InputError(f"Matte '{mode}' is neither a folder of masks nor one of {', '.join(MODES)}.")
    _check_object(rgba, clip.source_name)
    return dataclasses.replace(clip, rgba=rgba, has_alpha=True)


def choose_mode(clip: Clip) -> str:
    """What `auto` stands for with this clip: alpha, background or grabcut."""
    if clip.has_alpha and float((clip.rgba[..., 3] < 128).mean()) > LEAST_TRANSPARENT:
        return "alpha"
    return "background" if find_plain_background(clip.rgba) is not None else "grabcut"


def _matte_alpha(clip: Clip) -> np.ndarray:
    if not clip.has_alpha:
        raise InputError(f"{clip.source_name} has no alpha channel; use --matte auto, background or grabcut.")
    rgba = clip.rgba.copy()
    rgba[rgba[..., 3] < ALPHA_FLOOR] = 0
    return rgba


def _matte_background(clip: Clip, progress: Progress) -> np.ndarray:
    background = find_plain_background(clip.rgba)
    if background is None:
        raise InputError(f"The background of {clip.source_name} is not one plain colour; use --matte grabcut or masks.")
    result = np.empty_like(clip.rgba)
    with progress.task("Removing the background", total=len(clip)) as task:
        for index, frame in enumerate(clip.rgba):
            result[index] = matte_plain(frame, background)
            task.advance()
    return result


def _matte_rembg(clip: Clip, progress: Progress) -> np.ndarray:
    try:
        import rembg
    except ImportError:
        raise MissingError("--matte rembg needs the rembg package; run `pip install rembg` or use another.") from None
    result = np.empty_like(clip.rgba)
    session = rembg.new_session()
    with progress.task("Cutting out the object", total=len(clip)) as task:
        for index, frame in enumerate(clip.rgba):
            alpha = np.asarray(rembg.remove(np.ascontiguousarray(frame[..., :3]), session=session, only_mask=True))
            result[index] = decontaminate(frame[..., :3], _without_specks(alpha.astype(np.float32) / 255.0))
            task.advance()
    return result


def _matte_folder(clip: Clip, folder: Path) -> np.ndarray:
    """Masks by frame number if there is one per source frame, by order if one per frame kept."""
    files = list_pictures(folder)
    if len(files) == len(clip):
        chosen = files
    elif len(files) > int(clip.frame_numbers.max()):
        chosen = [files[number] for number in clip.frame_numbers]
    else:
        raise InputError(
            f"{folder} holds {len(files)} masks for {len(clip)} frames of {clip.source_name}; give one each."
        )
    height, width = clip.size
    result = np.empty_like(clip.rgba)
    for index, file in enumerate(chosen):
        mask = _read_mask(file)
        if abs(mask.shape[1] * height - mask.shape[0] * width) > 0.02 * mask.shape[0] * width:
            raise InputError(f"Mask {file} is {mask.shape[1]}x{mask.shape[0]}, unlike the {width}x{height} frames.")
        method = cv2.INTER_AREA if mask.shape[0] >= height else cv2.INTER_LINEAR
        alpha = cv2.resize(mask, (width, height), interpolation=method)
        result[index] = decontaminate(clip.rgba[index, ..., :3], alpha)
    return result


def _read_mask(file: Path) -> np.ndarray:
    """[height, width] float32 in [0, 1]: the alpha channel if it says anything, else brightness.

    Palette masks (as DAVIS has them) count every index but 0 as object.
    """
    with open_picture(file) as image:
        if image.mode == "P" and "transparency" not in image.info:
            return (np.asarray(image) > 0).astype(np.float32)
    rgba = read_picture(file).astype(np.float32) / 255.0
    if float(rgba[..., 3].min()) < 1.0:
        return np.asarray(rgba[..., 3])
    grey = rgba[..., :3].max(-1)
    # Masks written as 0 and 1 (or small label numbers) look black, but are meant.
    return np.asarray((grey > 0).astype(np.float32) if 0 < float(grey.max()) <= 8 / 255 else grey)


def _without_specks(alpha: np.ndarray) -> np.ndarray:
    solid = alpha > 0.5
    near = cv2.dilate(main_pieces(solid).astype(np.uint8), np.ones((9, 9), np.uint8))
    return np.asarray(alpha * near, dtype=np.float32)


def _check_object(rgba: np.ndarray, name: str) -> None:
    shares = np.array([float((frame[..., 3] >= 128).mean()) for frame in rgba])
    if float((shares < LEAST_OBJECT).mean()) > 0.5:
        raise InputError(f"No object was found in most frames of {name}; give masks with --matte DIR.")
    if float((shares > 0.98).mean()) > 0.5:
        raise InputError(f"The matte of {name} covers whole frames; give masks with --matte DIR.")
