"""What stops a stage says which stage it was and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import disc_clip
from quick_chain import quick_config
from tiny_release import cached_weights

from lim_cli.artifacts.manifest import Manifest
from lim_cli.artifacts.run_folder import RunFolder
from lim_cli.core.errors import InputError, NumericalError, OutOfMemoryError, OutputError, WeightsError
from lim_cli.core.files import atomic_folder, atomic_path
from lim_cli.stages.chain import Chain
from lim_cli.stages.failures import explained
from lim_cli.stages.networks import Networks


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "disc", frames=3)


@torch.no_grad()
def spoil(networks: Networks, model: str) -> None:
    """One number of a model becomes NaN, as a broken download might make it."""
    found = networks.views.denoiser if model == "views" else getattr(networks, model)  # type: ignore[attr-defined]
    for parameter in found.parameters():
        parameter.view(-1)[0] = float("nan")


@pytest.mark.parametrize(
    ("model", "stage"),
    [
        ("views", "views"),
        ("lrm", "keyframes"),
        ("lim", "track"),
        ("canonical_lim", "track"),
        ("lrm", "texture"),
    ],
)
def test_nan_is_refused_with_the_stages_name(clip: Path, tmp_path: Path, model: str, stage: str) -> None:
    networks = Networks(weights=cached_weights())
    with RunFolder(tmp_path) as run:
        chain = Chain(run, clip, quick_config(fps=48.0), networks)
        if stage == "texture":
            chain.track()
        spoil(networks, model)
        with pytest.raises(NumericalError, match=f"'{stage}'") as caught:
            chain.texture()
        assert len(str(caught.value).splitlines()) == 1
        assert not run.stage_path(stage).exists()


def ask_numpy() -> None:
    np.empty(1 << 46, np.uint8).fill(1)


def ask_torch() -> None:
    torch.empty(1 << 46, dtype=torch.uint8).fill_(1)


@pytest.mark.parametrize("ask", [ask_numpy, ask_torch])
def test_too_little_memory_says_what_to_lower(ask: object) -> None:
    with pytest.raises(OutOfMemoryError, match="--texture-size") as caught, explained("texture"):
        ask()  # type: ignore[operator]
    assert caught.value.exit_code == 2


def test_too_little_gpu_memory() -> None:
    with (
        pytest.raises(OutOfMemoryError, match=r"GPU memory ran out in stage 'track'.*--device cpu"),
        explained("track"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_what_a_library_made_of_too_little_memory() -> None:
    with pytest.raises(OutOfMemoryError, match="stage 'views'"), explained("views"):
        try:
            ask_torch()
        except RuntimeError as error:
            raise WeightsError("The file is damaged.") from error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), explained("track"):
        raise RuntimeError("shapes differ")


def full_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_sentence_wherever_it_shows(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"disk is full.*free some"), atomic_path(tmp_path / "a.glb"):
        full_disk()
    with pytest.raises(OutputError, match=r"disk is full.*free some"), atomic_folder(tmp_path / "a"):
        full_disk()
    assert not list(tmp_path.iterdir())
    manifest = Manifest("track", 1, {}, {}, {}, 0)
    with RunFolder(tmp_path) as run, pytest.raises(OutputError, match=r"disk is full.*40_track"), run.store(manifest):
        full_disk()
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}


def test_a_read_only_output(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Read-only file system.*choose another"), atomic_path(tmp_path / "a.glb"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path / ".a.partial.glb"))


def test_an_input_that_cannot_be_read_is_not_called_an_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out" / "a.glb"):
        (tmp_path / "input").read_bytes()


def test_errors_of_the_input_keep_their_words() -> None:
    with pytest.raises(InputError, match="no frames"), explained("clip"):
        raise InputError("The clip has no frames.")
