from __future__ import annotations

import io
import json
import sys

import pytest

from lim_cli.cli.output import Output


def test_results_go_to_stdout_and_logs_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Output()
    with sink.task("work", total=2) as task:
        task.advance()
        task.describe("more work")
    sink.log("a [bold]line[/bold]")
    sink.detail("hidden")
    sink.result({"a": 1}, ["a: 1"])
    out, err = capsys.readouterr()
    assert out == "a: 1\n"
    assert err == "a [bold]line[/bold]\n"  # no bars when stderr is no terminal, no markup


def test_json_and_verbosity(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True, quiet=True).result({"a": [1, None]}, ["other"])
    Output(quiet=True).log("hidden")
    with Output(verbose=True).task("work"):
        pass
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": [1, None]}
    assert err == "work: done\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_no_color_and_pipes_are_plain(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if terminal:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
    sink = Output()
    with sink.task("work", total=2) as task:
        task.advance()
    sink.error("[red]wrong[/red]")
    err = capsys.readouterr().err
    assert "[red]wrong[/red]" in err
    assert "\x1b[3" not in err  # no colours
    if not terminal:
        assert err == "[red]wrong[/red]\n"  # and no bars


def test_bars_are_drawn_on_a_terminal_and_cleared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    sink = Output()
    with sink.task("outer", total=2) as outer, sink.task("inner") as inner:
        inner.advance(3)
        inner.describe("renamed")
        outer.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert "outer" in err


def test_names_that_the_terminal_cannot_show_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    Output().line({}, "done    caf\udce9.mp4")  # a name in Latin-1, as Python holds it
    assert stream.buffer.getvalue() == b"done    caf\\udce9.mp4\n"  # type: ignore[attr-defined]
