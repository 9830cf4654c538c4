"""One exception tree; every class carries the exit code the command line returns for it."""

from __future__ import annotations

import struct


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


PARSER_ERRORS = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(EOFError, SyntaxError, RuntimeError, MemoryError, struct.error),
)
"""What parsers raise on damaged files, other people's parsers above all; to be caught around reading a file only."""
