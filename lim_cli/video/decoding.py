"""Decoding a video file with PyAV: real time stamps, alpha, rotation and pixel shape."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream

from lim_cli.core.errors import InputError
from lim_cli.video.clip import LARGEST_SIDE, bounded_size, resize_rgba

ALPHA_FORMATS = ("rgba", "bgra", "argb", "abgr", "yuva", "gbrap", "ya8", "ya16", "pal8")
NO_VIDEO = ("tty",)
"""Formats that FFmpeg draws pictures of, though nobody filmed them: text files."""
UNSTAMPED = ("avi",)
"""Containers that hold no times of presentation: those that FFmpeg makes up run back and forth with B-frames."""
SEEK_ABOVE = 5.0
"""Seconds of start time from which seeking is worth its imprecision in frame numbers."""


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Opens a video file and its first real video stream (cover pictures are passed over).

    Raises:
        InputError: not a video, damaged, without a video stream, or a side above 16384 pixels.
    """
    try:
        # No playlist may reach beyond this file.
        container = av.open(str(path.resolve()), options={"protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError, OSError):
        raise InputError(
            f"{path} is not a readable video: it is damaged, cut off or something else; export it as mp4."
        ) from None
    if container.format.name in NO_VIDEO:
        container.close()
        raise InputError(f"{path} is a text, not a video; give a video, an image folder or a scene folder.")
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    stream = streams[0] if streams else None
    if stream is None or stream.codec_context is None:
        container.close()
        raise InputError(f"{path} holds no video stream; give a video, an image folder or a scene folder.")
    width, height = stream.codec_context.width, stream.codec_context.height
    if max(width, height) > LARGEST_SIDE:
        container.close()
        raise InputError(f"{path} declares {width}x{height}; shrink it to at most {LARGEST_SIDE} on a side.")
    return container, stream


def declares_alpha(stream: VideoStream) -> bool:
    """Whether the stream is coded with an alpha channel (VP8 and VP9 say so only in their metadata)."""
    if any(k.lower() == "alpha_mode" and v == "1" for k, v in stream.metadata.items()):
        return True
    return (stream.codec_context.pix_fmt or "").startswith(ALPHA_FORMATS)


def upright_size(stream: VideoStream) -> tuple[int, int]:
    """(height, width) as shown, square pixels; rotation is known only after decoding and is left out."""
    height, width = stream.codec_context.height, stream.codec_context.width
    return _square_pixels((height, width), stream.sample_aspect_ratio)


def decode(
    container: InputContainer, stream: VideoStream, *, start: float = 0.0, counted: bool = False
) -> Iterator[tuple[VideoFrame, float, int]]:
    """Decoded frames in order of presentation: (frame, seconds from the stream's first, frame number).

    Frames that repeat an earlier time stamp are dropped. A damaged part is skipped; where the file is cut
    off the frames simply end. With a `start` far in, decoding begins at a key frame before it, and frame
    numbers are then those of the mean frame rate; with `counted` it begins at the first frame, and they are exact.
    """
    context = _decoder(stream)
    time_base = stream.time_base or Fraction(1, 1000)
    rate = stream.average_rate or stream.guessed_rate or Fraction(24)
    origin = None if stream.start_time is None else float(stream.start_time * time_base)
    sought = False
    if start > SEEK_ABOVE and origin is not None and not counted:
        try:
            container.seek(int((start - 1.0 + origin) / time_base), stream=stream)
            sought = True
        except av.FFmpegError:
            sought = False  # Some containers cannot; decoding from the beginning is only slower.
    last, number = -np.inf, 0
    for frame in _frames(container, stream, context):
        if max(frame.width, frame.height) > LARGEST_SIDE:
            raise InputError(f"The video turns {frame.width}x{frame.height}; use at most {LARGEST_SIDE} on a side.")
        stamp = frame.dts if container.format.name in UNSTAMPED else frame.pts
        if stamp is None:
            time = 0.0 if not np.isfinite(last) else last + float(1 / rate)
        else:
            time = float(stamp * time_base)
            origin = time if origin is None else min(origin, time) if number == 0 and not sought else origin
            time -= origin
        if time <= last + 1e-9:
            continue
        yield frame, time, round(time * float(rate)) if sought else number
        last, number = time, number + 1


def frame_rgba(frame: VideoFrame, stream: VideoStream, *, max_side: int | None) -> np.ndarray:
    """One decoded frame as upright RGBA [height, width, 4] uint8 with square pixels, at most `max_side`.

    Raises:
        InputError: a kind of pixels that cannot be converted, as only damaged files have it.
    """
    try:
        return _converted(frame, stream, max_side)
    except (av.FFmpegError, ValueError):
        raise InputError(f"The video turns into {frame.format.name} pixels midway; export it again as mp4.") from None


def _converted(frame: VideoFrame, stream: VideoStream, max_side: int | None) -> np.ndarray:
    size = _square_pixels((frame.height, frame.width), stream.sample_aspect_ratio)
    size = bounded_size(size, max_side)
    # Untagged video above 576 lines is BT.709 by custom, which swscale does not know.
    untagged = frame.colorspace == Colorspace.DEFAULT or int(frame.colorspace) == 2
    matrix = Colorspace.ITU709 if untagged and frame.height > 576 else None
    if frame.format.name.startswith(ALPHA_FORMATS):
        rgba = resize_rgba(frame.to_ndarray(format="rgba", src_colorspace=matrix), size)
    else:
        small = frame.reformat(
            width=size[1],
            height=size[0],
            format="rgba",
            src_colorspace=matrix,
            interpolation=Interpolation.AREA,
        )
        rgba = small.to_ndarray()
    return np.ascontiguousarray(_turn_upright(rgba, frame))


def _decoder(stream: VideoStream) -> VideoCodecContext:
    """The stream's own decoder, or libvpx where FFmpeg's native decoder would drop the alpha plane."""
    name = stream.codec_context.name
    if name in ("vp8", "vp9") and declares_alpha(stream):
        library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}[name]
        try:
            context = CodecContext.create(library, "r")
        except av.codec.codec.UnknownCodecError:
            raise InputError(
                "This PyAV cannot decode the alpha channel of WebM; install PyAV from PyPI or use PNG frames."
            ) from None
        context.extradata = stream.codec_context.extradata
        return context  # type: ignore[return-value]
    stream.thread_type = "AUTO"
    return stream.codec_context


def _frames(container: InputContainer, stream: VideoStream, context: VideoCodecContext) -> Iterator[VideoFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            packet = None  # Cut off here: flush what the decoder still holds.
        try:
            yield from context.decode(packet)
        except EOFError:
            return
        except av.FFmpegError:
            if packet is None:
                return
        if packet is None:
            return


def _square_pixels(size: tuple[int, int], aspect: Fraction | None) -> tuple[int, int]:
    """Grows the short side of non-square pixels; absurd aspects are taken for errors."""
    height, width = size
    if not aspect or aspect == 1 or not 0.1 < aspect < 10:
        return size
    if aspect > 1:
        return height, max(1, round(width * aspect))
    return max(1, round(height / aspect)), width


def _turn_upright(rgba: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Applies the display matrix (x' = a x + c y, y' = b x + d y), rounded to quarter turns and flips."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return rgba
    entries = np.frombuffer(bytes(cast(SideData, matrix)), dtype=np.int32)
    a, b, c, d = entries[0], entries[1], entries[3], entries[4]
    if abs(int(a)) + abs(int(d)) >= abs(int(b)) + abs(int(c)):
        flip_x, flip_y = a < 0, d < 0
    else:
        rgba = rgba.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    return rgba[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
