from __future__ import annotations

import os
import subprocess
import sys
import time
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
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "lim_cli", "--help"], capture_output=True, check=True)
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.4


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: lim {name}" in text
    assert text.count(f"lim {name}") > 1  # an example


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
