"""Video files made on the spot, with known frames and times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

CODECS = {".gif": ("gif", "rgb8"), ".webm": ("libvpx-vp9", "yuv420p"), ".mkv": ("libx264", "yuv444p")}


def write_clip(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    codec: str | None = None,
    pixel_format: str | None = None,
    rate: int = 10,
    times: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Frames [height, width, 3 or 4] uint8 at `rate` per second, or at `times` in hundredths of a second.

    Without `codec` the suffix chooses one; sizes may be odd.
    """
    usual = CODECS.get(path.suffix.lower(), ("libx264", "yuv444p"))
    codec, pixel_format = codec or usual[0], pixel_format or usual[1]
    moments = iter(times) if times is not None else None
    with av.open(str(path), "w") as container:
        stream = None
        for number, array in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options or {})
                stream.height, stream.width, stream.pix_fmt = array.shape[0], array.shape[1], pixel_format
                if moments is not None:
                    stream.codec_context.time_base = stream.time_base = Fraction(1, 100)
            frame = VideoFrame.from_ndarray(array, format="rgba" if array.shape[-1] == 4 else "rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts = number if moments is None else next(moments)
            frame.time_base = Fraction(1, rate) if moments is None else Fraction(1, 100)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


def disc_frames(count: int, *, size: int = 64, shift: float = 0.0) -> Iterator[np.ndarray]:
    """A disc on white that moves to the right: [size, size, 3] uint8."""
    y, x = np.mgrid[:size, :size] + 0.5
    for number in range(count):
        frame = np.full((size, size, 3), 255, np.uint8)
        frame[np.hypot(x - size * 0.45 - 2 * number - shift, y - size / 2) < size * 0.28] = (200, 120, 40)
        yield frame


def numbered_frames(count: int, height: int = 16, width: int = 16) -> Iterator[np.ndarray]:
    """Grey frames whose brightness is their number modulo 200."""
    for number in range(count):
        yield np.full((height, width, 3), number % 200, np.uint8)
