"""Reading a clip: video files, animated pictures, single pictures, folders of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.video.clip import Clip
from lim_cli.video.decoding import declares_alpha, decode, frame_rgba, open_video, upright_size
from lim_cli.video.pictures import (
    PICTURE_SUFFIXES,
    animated_frames,
    frame_count,
    list_pictures,
    open_picture,
    read_picture,
)

MAX_FRAMES = 480
MAX_SIDE = 1024
DEFAULT_FPS = 24.0


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of itself before it is decoded.

    frame_count: None where the container does not say. duration_seconds: None likewise.
    size: (height, width). mean_fps: frames per second, None for a single picture.
    has_alpha: coded with an alpha channel.
    """

    frame_count: int | None
    duration_seconds: float | None
    size: tuple[int, int]
    mean_fps: float | None
    has_alpha: bool


class _Offer(NamedTuple):
    """A frame on offer: seconds from the first, number, and pixels on demand (skipped ones are free)."""

    time: float
    number: int
    rgba: Callable[[], np.ndarray]


def probe(path: Path | str, *, input_fps: float = DEFAULT_FPS) -> VideoInfo:
    """What can be said of a clip without decoding it.

    Raises:
        InputError: missing, not a video or picture, or too large.
    """
    path = _existing(path)
    if path.is_dir():
        files = _pictures_of(path)
        with open_picture(files[0]) as image:
            size, alpha = (image.height, image.width), _picture_has_alpha(image.mode, image.info)
        return VideoInfo(len(files), len(files) / input_fps, size, input_fps, alpha)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        with open_picture(path) as image:
            count = frame_count(image)
            size, alpha = (image.height, image.width), _picture_has_alpha(image.mode, image.info)
            duration = float(image.info.get("duration", 0.0)) / 1000.0
        fps = None if count == 1 else 1.0 / (duration if duration > 0.01 else 0.1)
        return VideoInfo(count, None if fps is None else count / fps, size, fps, alpha)
    container, stream = open_video(path)
    with container:
        seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
        if seconds is None and container.duration:
            seconds = container.duration / 1e6
        fps = float(stream.average_rate) if stream.average_rate else None
        return VideoInfo(stream.frames or None, seconds, upright_size(stream), fps, declares_alpha(stream))


def read_clip(
    path: Path | str,
    *,
    start: float | None = None,
    end: float | None = None,
    max_frames: int = MAX_FRAMES,
    max_side: int | None = MAX_SIDE,
    input_fps: float = DEFAULT_FPS,
    counted: bool = False,
    progress: Progress | None = None,
) -> Clip:
    """Reads a video, an animated or single picture, or a folder of pictures.

    Frames are decoded one at a time, shrunk to `max_side`, and thinned evenly (every 2nd, 4th, ...) once
    they exceed `max_frames`, so memory is bounded for any length.

    Args:
        start, end: seconds from the first frame; frames with start <= time < end are kept.
        input_fps: frames per second of a folder of pictures.
        counted: every frame before `start` is decoded, too, so that frame numbers are exact at any frame rate.

    Raises:
        InputError: missing, unreadable, empty, too large, or nothing between `start` and `end`.
    """
    path, progress = _existing(path), progress or SilentProgress()
    if max_frames < 1 or not 0 < input_fps < math.inf:
        raise InputError(f"Frame count and input frame rate must be positive, got {max_frames} and {input_fps}.")
    first, last = _checked_range(start, end)
    kept: list[tuple[float, int, np.ndarray]] = []
    stride, seen, offered = 1, 0, False
    with progress.task(f"Reading {path.name}") as task:
        for offer in _offers(path, first, max_side, input_fps, counted=counted):
            offered = True
            if offer.time < first - 1e-6:
                continue
            if offer.time >= last - 1e-6:
                break
            if len(kept) == max_frames and seen % stride == 0:
                kept, stride = kept[::2], stride * 2
            if seen % stride == 0:
                rgba = offer.rgba()
                if kept and rgba.shape != kept[0][2].shape:
                    raise _sizes_differ(path)
                kept.append((offer.time, offer.number, rgba))
            seen += 1
            task.advance()
    if not kept:
        raise _nothing_in(path, offered)
    if stride > 1:
        until = kept[-1][0] - kept[0][0]
        progress.log(f"{path.name} has more than {max_frames} frames; one in {stride} was kept, up to {until:.2f} s.")
    return _assemble(kept, path.name)


def read_first(
    path: Path | str,
    *,
    start: float | None = None,
    end: float | None = None,
    max_side: int | None = MAX_SIDE,
    input_fps: float = DEFAULT_FPS,
) -> Clip:
    """The first frame that `read_clip` would keep, without decoding further.

    Raises:
        InputError: as `read_clip`, as far as the first frame tells; also pictures of a folder that differ in size.
    """
    path = _existing(path)
    first, last = _checked_range(start, end)
    if path.is_dir():
        _check_sizes(path)
    offered = False
    for offer in _offers(path, first, max_side, input_fps):
        offered = True
        if offer.time >= last - 1e-6:
            break
        if offer.time >= first - 1e-6:
            return _assemble([(offer.time, offer.number, offer.rgba())], path.name)
    raise _nothing_in(path, offered)


def _check_sizes(folder: Path) -> None:
    """Reads the pictures' headers only. A turned picture (EXIF) has its sides the other way round."""
    sizes = set()
    for file in _pictures_of(folder):
        with open_picture(file) as image:
            sizes.add(tuple(sorted(image.size)))
    if len(sizes) > 1:
        raise _sizes_differ(folder)


def _sizes_differ(path: Path) -> InputError:
    return InputError(f"The frames of {path} differ in size; bring them all to one size.")


def _nothing_in(path: Path, offered: bool) -> InputError:
    if offered:
        return InputError(f"{path} has no frame between --start and --end; choose times within the clip.")
    return InputError(f"No frame of {path} can be decoded: it is empty or damaged; export the clip again.")


def _offers(
    path: Path, start: float, max_side: int | None, input_fps: float, *, counted: bool = False
) -> Iterator[_Offer]:
    if path.is_dir():
        for index, file in enumerate(_pictures_of(path)):
            yield _Offer(index / input_fps, index, partial(read_picture, file, max_side=max_side))
    elif path.suffix.lower() in PICTURE_SUFFIXES:
        for index, (rgba, time) in enumerate(animated_frames(path, max_side=max_side)):
            yield _Offer(time, index, partial(np.asarray, rgba))
    else:
        container, stream = open_video(path)
        with container:
            for frame, time, number in decode(container, stream, start=start, counted=counted):
                yield _Offer(time, number, partial(frame_rgba, frame, stream, max_side=max_side))


def _assemble(kept: list[tuple[float, int, np.ndarray]], name: str) -> Clip:
    """Stacks frames, releasing each as it is copied, so that the clip is never held twice."""
    times = np.array([time for time, _, _ in kept], dtype=np.float64)
    numbers = np.array([number for _, number, _ in kept], dtype=np.int64)
    rgba = np.empty((len(kept), *kept[0][2].shape), dtype=np.uint8)
    for index in reversed(range(len(kept))):
        rgba[index] = kept.pop()[2]
    has_alpha = bool((rgba[..., 3] < 255).any())
    return Clip(rgba, times - times[0], has_alpha, name, numbers)


def _existing(path: Path | str) -> Path:
    path = Path(path)
    try:
        if path.is_dir():
            return path
        if not path.exists():
            raise InputError(f"{path} does not exist; check the path.")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is an empty file; export the clip again.")
        with open(path, "rb"):
            return path
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}; check its permissions.") from None


def _pictures_of(folder: Path) -> list[Path]:
    files = list_pictures(folder)
    if not files:
        raise InputError(
            f"{folder} holds no pictures; give a folder of PNG, JPEG or WebP frames, a video file, or '{folder}/*.mp4'."
        )
    return files


def _picture_has_alpha(mode: str, info: dict[str | tuple[int, int], Any]) -> bool:
    return mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in info


def _checked_range(start: float | None, end: float | None) -> tuple[float, float]:
    first, last = 0.0 if start is None else start, math.inf if end is None else end
    if not first >= 0 or not last > first or math.isinf(first):
        raise InputError(f"--start must be 0 or more and --end after it, got {start} and {end}.")
    return first, last
