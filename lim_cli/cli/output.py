"""The one output sink: results on stdout, logs and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lim_cli.core.progress import Task, TaskContext

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="More lines on stderr.")]


class Output:
    """Prints results and implements `core.progress.Progress`.

    Bars are drawn only when stderr is a terminal and `quiet` is off; otherwise finished steps are logged
    when `verbose` is on. NO_COLOR is honoured.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose
        from rich.console import Console  # here, so that help does not wait for it

        self._stdout = sys.stdout  # results go there even while a library's chatter is kept off it
        no_color = True if os.environ.get("NO_COLOR") else None
        self._stderr = Console(stderr=True, no_color=no_color, highlight=False)
        self._bars: RichProgress | None = None

    # Results

    def result(self, plain: Mapping[str, Any], lines: Sequence[str]) -> None:
        """The command's result: `plain` as JSON if asked for, else `lines`."""
        self._print(json.dumps(plain, indent=2, default=str) if self.as_json else "\n".join(lines))

    def line(self, plain: Mapping[str, Any], text: str) -> None:
        """One of many results: `plain` as one line of JSON if asked for, else `text`."""
        self._print(json.dumps(plain, default=str) if self.as_json else text)

    def stages(self, run: Path, seconds: Mapping[str, float], **found: Any) -> None:
        """What stages run alone say: their folders and seconds; `found`: what else, for JSON only."""
        plain = {"run": str(run), "seconds": dict(seconds), **found}
        lines = [f"{run}: {name} {'there already' if took == 0 else f'{took} s'}" for name, took in seconds.items()]
        self.result(plain, lines)

    def _print(self, text: str) -> None:
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        # file names may hold what the terminal's encoding does not
        self._stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._stdout.flush()

    # Logs

    def log(self, message: str) -> None:
        """One line for the user on stderr, dropped by -q."""
        if not self.quiet:
            self._stderr.print(message, markup=False, soft_wrap=True)

    def detail(self, message: str) -> None:
        """One line on stderr, only with -v."""
        if self.verbose:
            self.log(message)

    def error(self, message: str) -> None:
        """One line on stderr, never dropped."""
        self._stderr.print(message, markup=False, soft_wrap=True)

    # Progress

    def task(self, description: str, total: int | None = None) -> TaskContext:
        """A step: a bar with description, count and time left while it runs. Steps may nest."""
        if self.quiet or not self._stderr.is_terminal:
            return self._silent_task(description)
        return self._drawn_task(description, total)

    @contextmanager
    def _silent_task(self, description: str) -> Iterator[Task]:
        yield _NoTask()
        self.detail(f"{description}: done")

    @contextmanager
    def _drawn_task(self, description: str, total: int | None) -> Iterator[Task]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        outermost = self._bars is None
        if self._bars is None:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self._stderr,
                transient=True,
            )
            self._bars.start()
        bars = self._bars
        task_id = bars.add_task(description, total=total)
        try:
            yield _DrawnTask(bars, task_id)
        finally:
            bars.remove_task(task_id)
            if outermost:
                bars.stop()
                self._bars = None
        self.detail(f"{description}: done")


class _NoTask:
    def advance(self, count: int = 1) -> None:
        pass

    def describe(self, text: str) -> None:
        pass


class _DrawnTask:
    def __init__(self, bars: RichProgress, task_id: TaskID) -> None:
        self._bars, self._task_id = bars, task_id

    def advance(self, count: int = 1) -> None:
        self._bars.advance(self._task_id, count)

    def describe(self, text: str) -> None:
        self._bars.update(self._task_id, description=text)
