"""One exception tree; every class carries the exit code the command line returns for it."""

from __future__ import annotations

import struct

OUT_OF_MEMORY = ("allocate memory", "not enough memory", "out of memory", "insufficient memory", "bad_alloc")
"""How libraries say it whose exceptions are of a general class."""

PARSER_ERRORS = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(EOFError, SyntaxError, RuntimeError, MemoryError, struct.error),
)
"""What parsers raise on damaged files, other people's parsers above all; to be caught around reading a file only."""


class LimError(Exception):
    """Root of every error `lim` raises on purpose. Its text is one sentence a user can act on."""

    exit_code: int = 1


class UserError(LimError):
    """The input, an option or the environment is wrong, and the user can mend it."""

    exit_code = 2


class InputError(UserError):
    """A file or folder given as input cannot be used."""


class ConfigError(UserError):
    """An option or configuration key is unknown or out of range."""


class OutputError(UserError):
    """The result cannot be written where it was asked for."""


class OutOfMemoryError(UserError):
    """The work does not fit into this machine's memory; the message says what to lower."""


class MissingError(LimError):
    """Something the run needs is not on this machine: weights, a data set, an optional tool."""

    exit_code = 3


class WeightsError(MissingError):
    """Weights are absent, incomplete, or do not match their configuration."""


class NumericalError(LimError):
    """A stage produced NaN or infinity; the message names the stage."""


class InterruptedRun(LimError):
    """The user stopped the run; finished stages are kept and a rerun resumes."""

    exit_code = 130


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python, numpy, PyTorch (CPU or CUDA) or OpenCV says that memory ran out.

    Also one that a library raised because of it: model loaders call it a damaged file.
    """
    cause: BaseException | None = error
    while cause is not None:
        if _says_out_of_memory(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _says_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(words in text for words in OUT_OF_MEMORY)
