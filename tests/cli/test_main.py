from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lim_cli.cli import main as cli
from lim_cli.cli.failure import report_error
from lim_cli.core.errors import InputError, InterruptedRun, MissingError

HEAVY = ("torch", "numpy", "scipy", "diffusers", "transformers", "av", "cv2", "numba")


@pytest.mark.parametrize("arguments", [["--help"], ["reconstruct", "--help"], ["weights", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys; from lim_cli.cli.main import run; code = run(sys.argv[1:]);"
        f"loaded = [m for m in {HEAVY!r} if m in sys.modules];"
        "sys.exit(code or (f'loaded {loaded}' if loaded else 0))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: lim" in done.stdout


def test_help_comes_up_quickly() -> None:
    def cpu_seconds() -> float:  # of the child, so that other work on the machine does not count
        before = os.times()
        subprocess.run([sys.executable, "-m", "lim_cli", "--help"], capture_output=True, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(cpu_seconds() for _ in range(5)) < 0.4


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: lim {name}" in text
    assert text.count(f"lim {name}") > 1  # an example


@pytest.mark.parametrize(
    "words", ["data sample", "data speed", "weights list", "weights path", "weights verify", "weights pull"]
)
def test_commands_of_commands_have_examples(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*words.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: lim {words}" in text
    assert f"Example: lim {words}" in text


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("lim re", {"reconstruct", "render"}),
        ("lim weights ver", {"verify"}),
        ("lim reconstruct --texture", {"--texture-size"}),
    ],
)
def test_the_shell_completes_commands_and_their_options(typed: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_LIM_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-m", "lim_cli"], capture_output=True, text=True, check=False, env={**os.environ, **words}
    )
    assert offered <= set(done.stdout.split()), done.stderr


def test_the_completion_script_is_shown_for_the_shell_in_use() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lim_cli", "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "_LIM_COMPLETE=complete_bash" in done.stdout


def test_a_mistyped_command_names_the_nearest_and_is_a_user_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["reconstuct"]) == 2
    assert "reconstruct" in capsys.readouterr().err


def test_an_unknown_option_is_a_user_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor", "--frobnicate"]) == 2
    assert "--frobnicate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("no"), 2),
        (MissingError("no"), 3),
        (InterruptedRun("no"), 130),
        (KeyboardInterrupt(), 130),
        (KeyError("no"), 1),
    ],
)
def test_the_error_table(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIM_DEBUG", raising=False)
    assert report_error(error) == code
    text = capsys.readouterr().err
    assert text.startswith("lim: ")
    assert text.count("\n") == 1


def test_lim_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIM_DEBUG", "1")
    assert cli.run(["inspect", str(tmp_path / "absent.glb")]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lim_cli", "--version"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0
    assert done.stdout.startswith("lim ")
