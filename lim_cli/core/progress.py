"""Progress protocol: library code reports through it, only the command line draws it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One running step of known or unknown length."""

    def advance(self, count: int = 1) -> None: ...

    def describe(self, text: str) -> None: ...


TaskContext = AbstractContextManager[Task]


class Progress(Protocol):
    """Where steps are announced. `task` is a context manager; `log` is one line for the user."""

    def task(self, description: str, total: int | None = None) -> TaskContext: ...

    def log(self, message: str) -> None: ...


class _SilentTask:
    def advance(self, count: int = 1) -> None:
        pass

    def describe(self, text: str) -> None:
        pass


class SilentProgress:
    """Reports nowhere; the default of every library call."""

    @contextmanager
    def _task(self) -> Iterator[_SilentTask]:
        yield _SilentTask()

    def task(self, description: str, total: int | None = None) -> TaskContext:
        return self._task()

    def log(self, message: str) -> None:
        pass
