"""The one error table: any exception to one sentence on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import traceback

from lim_cli.core.errors import InterruptedRun, LimError, OutOfMemoryError, is_out_of_memory


def report_error(error: BaseException) -> int:
    """Says in one sentence on stderr what went wrong (LIM_DEBUG=1: and where); returns the exit code."""
    if (code := _usage_error(error)) is not None:
        return code
    sentence, code = explain(error)
    print(f"lim: {sentence}", file=sys.stderr)
    return code


def explain(error: BaseException) -> tuple[str, int]:
    """One sentence about what went wrong, and the exit code; with LIM_DEBUG=1 the traceback goes to stderr."""
    if os.environ.get("LIM_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        error = InterruptedRun("Interrupted.")
    if isinstance(error, LimError):
        return str(error), error.exit_code
    if is_out_of_memory(error):
        sentence = "Memory ran out; close other programs, or ask for smaller or fewer pictures."
        return sentence, OutOfMemoryError.exit_code
    text = " ".join(str(error).split())[:300]
    return f"internal error ({type(error).__name__}: {text}); LIM_DEBUG=1 shows where. Please report it.", 1


def _usage_error(error: BaseException) -> int | None:
    """Reports what the parser refused. Told by its methods, since typer has carried click in several places."""
    if not hasattr(error, "format_message") or not isinstance(getattr(error, "exit_code", None), int):
        return None
    if os.environ.get("LIM_DEBUG") == "1":
        traceback.print_exception(error)
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]  # the help itself
        return int(error.exit_code)  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context is not None else ""
    text = " ".join(str(error.format_message()).split()).rstrip(".")
    print(f"lim: {text}{hint}.", file=sys.stderr)
    return int(error.exit_code)  # type: ignore[attr-defined]
