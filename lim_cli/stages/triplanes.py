"""Triplanes of whatever holds some: a run's keyframes, an interpolation, an artifact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.store import TriplaneArtifact
from lim_cli.core.errors import InputError
from lim_cli.stages.between import is_run_folder, load_keyframes
from lim_cli.stages.interpolate import iterate
from lim_cli.stages.networks import Networks


@dataclass(frozen=True)
class TriplaneSource:
    """times: [n] of the triplanes, seconds or alphas."""

    times: np.ndarray
    _stored: KeyframesArtifact | TriplaneArtifact

    def at(self, times: np.ndarray, networks: Networks) -> Iterator[tuple[float, Tensor]]:
        """Triplanes [3, c, h, w] at increasing `times`: those stored, or for a run also LIM's in between."""
        if isinstance(self._stored, KeyframesArtifact):
            yield from zip(times.tolist(), iterate(self._stored, times, networks), strict=True)
            return
        for time in times:
            index = int(np.argmin(np.abs(self.times - time)))
            yield float(self.times[index]), _tensor(self._stored, index, networks.device)

    @property
    def is_run(self) -> bool:
        return isinstance(self._stored, KeyframesArtifact)


def open_triplanes(path: Path) -> TriplaneSource:
    """path: a run folder, the folder of lim interpolate, or a triplane artifact.

    Raises:
        InputError: it holds no triplanes.
    """
    if is_run_folder(path):
        keyframes = load_keyframes(path)
        return TriplaneSource(keyframes.times, keyframes)
    folder = path / "triplanes" if (path / "triplanes").is_dir() else path
    if not (folder / "artifact.json").is_file():
        raise InputError(f"{path} holds no triplanes; give a run folder or the folder of lim interpolate.")
    stored = TriplaneArtifact.load(folder)
    return TriplaneSource(stored.times, stored)


def iterate_artifact(stored: TriplaneArtifact, device: torch.device) -> Iterator[tuple[float, Tensor]]:
    """All triplanes of an artifact with their times."""
    for index, time in enumerate(stored.times):
        yield float(time), _tensor(stored, index, device)


def _tensor(stored: TriplaneArtifact, index: int, device: torch.device) -> Tensor:
    return torch.from_numpy(stored.triplanes[index]).to(device).float()
