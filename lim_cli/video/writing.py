"""Writing preview videos: H.264 in mp4 and animated GIF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from lim_cli.core.errors import OutputError
from lim_cli.core.files import atomic_path

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".gif")
H264 = "libx264"
BT709 = 1
"""Number of BT.709 among FFmpeg's primaries and transfer curves."""


def write_video(path: Path | str, frames: Iterable[np.ndarray], fps: float) -> None:
    """Writes frames [height, width, 3] uint8 sRGB of one size at `fps`, as .mp4 (.mov, .m4v) or .gif by the suffix.

    They are taken one after the other, so that a film of any length can be made as it is written. The file appears
    whole or not at all. Odd sizes are padded by repeating the last row or column.

    Raises:
        OutputError: the suffix is not known, or the file cannot be written.
        ValueError: frames of another shape or type, none at all, or a frame rate that is not positive.
    """
    path = Path(path)
    if not 0 < fps <= 1000:
        raise ValueError(f"expected 0 < fps <= 1000, got {fps}")
    check_encoder(path)
    write = _write_gif if path.suffix.lower() == ".gif" else _write_h264
    with atomic_path(path) as partial:
        try:
            write(partial, _checked(frames), fps)
        except av.FFmpegError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror}. Choose another output path.") from error


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.ndim != 3 or frame.shape != shape or shape[-1] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise ValueError(f"expected frames uint8 [height, width, 3], got {frame.dtype} {frame.shape}")
        yield frame
    if shape is None:
        raise ValueError("expected at least one frame")


def check_encoder(path: Path) -> None:
    """Raises OutputError if `write_video` knows no such suffix, or lacks the encoder for it."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise OutputError(f"Cannot write a video as '{path.name}'; use a name ending in .mp4 or .gif.")
    if path.suffix.lower() != ".gif" and H264 not in av.codecs_available:
        raise OutputError("This build of PyAV cannot encode H.264; install PyAV from PyPI or write a .gif.")


def _write_h264(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    first = next(frames)
    height, width = first.shape[:2]
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(H264, rate=Fraction(fps).limit_denominator(1001 * 60))
        context = stream.codec_context
        if not isinstance(context, VideoCodecContext):
            raise TypeError(f"expected an encoder of video, got {context}")
        context.width, context.height, context.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context.options = {"crf": "16", "preset": "medium"}
        context.colorspace, context.color_range = int(Colorspace.ITU709), int(ColorRange.MPEG)
        context.color_primaries, context.color_trc = BT709, BT709
        for index, rgb in enumerate(chain([first], frames)):
            picture = VideoFrame.from_ndarray(np.ascontiguousarray(np.pad(rgb, pad, mode="edge")), format="rgb24")
            frame = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts = index
            container.mux(context.encode(frame))
        container.mux(context.encode(None))


def _write_gif(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    """Frame durations are whole hundredths of a second; rounding the end times keeps the total right."""
    pictures = [Image.fromarray(frame).quantize(255, dither=Image.Dither.NONE) for frame in frames]
    ends = np.round(np.arange(len(pictures) + 1) * 100.0 / fps).astype(int)
    durations = [max(2, int(d)) * 10 for d in np.diff(ends)]  # Viewers take less than 2/100 s for 10/100.
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, format="GIF")
