"""The same work on several things at a time, for loops whose inner ones let go of the interpreter's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """How many threads work at a time: OMP_NUM_THREADS if set, as for all other libraries, or the cores there are."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return core_count()


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`function` of every item, in order: the same result as one after the other."""
    waiting = list(items)
    workers = min(thread_count(), len(waiting))
    if workers < 2:
        return [function(item) for item in waiting]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, waiting))


def as_they_come(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    *,
    ready: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """`function` of every item, in order, `workers` at a time; items are drawn as they are needed, which no more than

    one waits for. ready: called by each thread before its first item.
    """
    if workers < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers, initializer=ready) as pool:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) > workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
