"""The one error table: any exception to one sentence on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import traceback

from lim_cli.core.errors import InterruptedRun, LimError


def report_error(error: BaseException) -> int:
    """Says in one sentence on stderr what went wrong (LIM_DEBUG=1: and where); returns the exit code."""
    if os.environ.get("LIM_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        error = InterruptedRun("Interrupted.")
    if isinstance(error, LimError):
        print(f"lim: {error}", file=sys.stderr)
        return error.exit_code
    text = " ".join(str(error).split())[:300]
    print(
        f"lim: internal error ({type(error).__name__}: {text}); LIM_DEBUG=1 shows where. Please report it.",
        file=sys.stderr,
    )
    return 1
