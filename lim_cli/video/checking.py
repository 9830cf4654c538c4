"""Refusing in a second what reading and matting would refuse after the whole clip was decoded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lim_cli.core.errors import InputError, MissingError
from lim_cli.video.matting import MODES, choose_mode, matte
from lim_cli.video.pictures import list_pictures
from lim_cli.video.reading import DEFAULT_FPS, MAX_FRAMES, MAX_SIDE, read_clip, read_first


def check_clip(
    path: Path,
    mode: str = "auto",
    *,
    start: float | None = None,
    end: float | None = None,
    max_frames: int = MAX_FRAMES,
    max_side: int = MAX_SIDE,
    input_fps: float = DEFAULT_FPS,
) -> None:
    """Decodes and mattes the first frame; only where no object is found in it, the whole clip.

    mode: see `matting.matte`.

    Raises:
        InputError: the clip or the matte cannot be used. MissingError: what the matte needs is not installed.
    """
    check_mode(mode)
    first = read_first(path, start=start, end=end, max_side=max_side, input_fps=input_fps)
    chosen = choose_mode(first) if mode == "auto" else mode
    if chosen not in ("alpha", "background"):
        return  # too slow for a look
    try:
        matte(first, chosen)
    except InputError:
        whole = read_clip(
            path, start=start, end=end, max_frames=max_frames, max_side=max_side, input_fps=input_fps
        )  # fmt: skip
        matte(whole, mode)


def check_mode(mode: str, *, masks: bool = True) -> None:
    """Raises InputError or MissingError if there is no such way to matte.

    masks: whether a folder of them will do, one a frame; of several cameras' views it will not.
    """
    if mode == "rembg" and importlib.util.find_spec("rembg") is None:
        raise MissingError("--matte rembg needs the rembg package; run `pip install rembg` or use another.")
    if mode in MODES:
        return
    if not Path(mode).is_dir():
        raise InputError(f"Matte '{mode}' is neither a folder of masks nor one of {', '.join(MODES)}.")
    if not masks:
        raise InputError(f"Masks ({mode}) are for single-camera clips; give the scene's pictures an alpha channel.")
    if not list_pictures(Path(mode)):
        raise InputError(f"The folder of masks {mode} holds no pictures; give one mask a frame.")
