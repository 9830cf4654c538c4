from __future__ import annotations

import threading

import pytest

from lim_cli.core.threads import in_threads, thread_count


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
