"""Inner loops compiled by numba, kept on disk for the next run: compiling takes longer than most of them run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def cached_njit(**flags: Any) -> Callable[[Function], Function]:
    """Decorates a function that numba compiles at its first call, without the interpreter's lock.

    The code lies where numba keeps it (`NUMBA_CACHE_DIR`, `__pycache__` beside the source, or the user's cache
    folder) and is made anew when the source file changes, not when a file that it imports from does. Where none of
    those can be written it is compiled in every process. flags: more of `numba.njit`'s.
    """

    def decorate(function: Function) -> Function:
        kept: Any
        try:
            kept = numba.njit(function, cache=True, nogil=True, **flags)
        except RuntimeError:  # numba found no place to write
            kept = numba.njit(function, nogil=True, **flags)
        return kept  # type: ignore[no-any-return]

    return decorate
