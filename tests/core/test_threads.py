from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lim_cli.core.threads import as_they_come, in_threads, thread_count


def test_results_come_in_order_from_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    meeting = threading.Barrier(3, timeout=20)  # only three at a time can pass it

    def square(number: int) -> int:
        meeting.wait()
        return number * number

    assert in_threads(square, range(6)) == [0, 1, 4, 9, 16, 25]


def test_one_thread_is_the_callers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert set(in_threads(lambda _: threading.get_ident(), range(4))) == {threading.get_ident()}


def test_errors_reach_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda number: 1 // number, [1, 0, 2])


@pytest.mark.parametrize(("asked", "expected"), [("4", 4), ("2,1", 2)])
def test_the_number_is_the_one_asked_for(asked: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert thread_count() == expected


@pytest.mark.parametrize("asked", ["", "0", "many"])
def test_otherwise_all_cores_work(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert thread_count() >= 1


def test_items_are_drawn_as_they_are_needed() -> None:
    meeting = threading.Barrier(2, timeout=20)  # only two at a time can pass it
    drawn: list[int] = []
    ready: list[int] = []

    def items() -> Iterator[int]:
        for number in range(8):
            drawn.append(number)
            yield number

    def square(number: int) -> int:
        meeting.wait()
        return number * number

    results = as_they_come(square, items(), 2, ready=lambda: ready.append(threading.get_ident()))
    assert drawn == []
    assert next(results) == 0
    assert len(drawn) == 3
    assert list(results) == [1, 4, 9, 16, 25, 36, 49]
    assert len(set(ready)) == len(ready) == 2
    alone = as_they_come(lambda _: threading.get_ident(), range(3), 1)
    assert set(alone) == {threading.get_ident()}
