"""What stops a stage that did nothing wrong itself: numbers that are none, and too little memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from lim_cli.core.errors import NumericalError, OutOfMemoryError, is_out_of_memory

LOWER = {
    "clip": "lower --max-frames, or cut the clip with --start and --end",
    "views": "lower --max-frames or raise --keyframe-stride",
    "keyframes": "lower --max-frames or raise --keyframe-stride",
    "refined": "lower --set refinement.rays",
    "track": "lower --vertices, --fps or --max-frames",
    "texture": "lower --texture-size or --vertices",
    "export": "lower --vertices, --fps or --texture-size",
}
"""What a stage's memory depends on."""


@contextmanager
def explained(stage: str) -> Iterator[None]:
    """Names the stage in errors that could come from any.

    Raises:
        NumericalError: as raised in the block, with the stage's name.
        OutOfMemoryError: memory ran out in the block; the text says what to lower.
    """
    try:
        yield
    except NumericalError as error:
        raise NumericalError(f"Stage '{stage}' stopped: {error}") from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        where, instead = ("GPU memory", "use --device cpu") if _is_cuda(error) else ("Memory", "close other programs")
        raise OutOfMemoryError(f"{where} ran out in stage '{stage}'; {LOWER[stage]}, or {instead}.") from error


def require_finite(what: str, values: np.ndarray | torch.Tensor) -> None:
    """Refuses NaN and infinity.

    Raises:
        NumericalError: `what` holds some.
    """
    finite = torch.isfinite(values) if isinstance(values, torch.Tensor) else np.isfinite(values)
    if not bool(finite.all()):
        raise NumericalError(f"{what} is NaN or infinite; the weights may be damaged (see lim weights verify).")


def _is_cuda(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "CUDA" in str(error)
