"""Cutting a clip of any length into windows that share frames."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from lim_cli.core.errors import ConfigError


@dataclass(frozen=True)
class Window:
    """Frames `start` .. `start + length` of a clip (half open), of which the first `past` are made already.

    A clip shorter than the window repeats its last frame; `frame` tells which frame stands at a position.
    """

    start: int
    length: int
    past: int
    count: int

    @property
    def stop(self) -> int:
        """One past the last real frame."""
        return min(self.start + self.length, self.count)

    def frames(self) -> list[int]:
        """Clip frame at every position of the window."""
        return [min(self.start + position, self.count - 1) for position in range(self.length)]


def plan_windows(count: int, *, window: int, overlap: int) -> list[Window]:
    """The fewest windows that cover `count` frames and share at least `overlap`, spread evenly.

    Raises:
        ConfigError: `window` < 1, or `overlap` outside [0, window).
    """
    if count < 1 or window < 1 or not 0 <= overlap < window:
        raise ConfigError(
            f"Expected at least one frame, window >= 1 and 0 <= overlap < window, got {count} frames, "
            f"window {window}, overlap {overlap}."
        )
    if count <= window:
        return [Window(0, window, 0, count)]
    pieces = -(-(count - overlap) // (window - overlap))
    starts = [round(index * (count - window) / (pieces - 1)) for index in range(pieces)]
    pasts = [0] + [before + window - start for before, start in pairwise(starts)]
    return [Window(start, window, past, count) for start, past in zip(starts, pasts, strict=True)]
