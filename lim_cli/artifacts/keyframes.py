"""What LRM made of every keyframe, and what refinement added, one file each: a long clip never has to fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lim_cli.artifacts.folder_io import load_arrays, load_scalars, save_arrays, save_scalars, write_tensors
from lim_cli.core.errors import InputError
from lim_cli.models.lrm import LRMOutput


@dataclass(frozen=True)
class KeyframesArtifact:
    """A folder of LRM outputs. times: [keyframe] float64 seconds, increasing.

    refined: the folder of what refinement adds to the triplanes; None where they stay as LRM made them.
    """

    folder: Path
    times: np.ndarray
    refined: Path | None = None

    def __len__(self) -> int:
        return len(self.times)

    def output(self, keyframe: int, device: torch.device | str = "cpu") -> LRMOutput:
        """One keyframe's triplane, block features and image tokens as LRM made them, float32, batch of one.

        Raises:
            InputError: the file is missing or damaged.
        """
        path = self.folder / keyframe_name(keyframe)
        try:
            tensors = {k: v.to(device).float()[None] for k, v in load_file(path).items()}
            features = tuple(tensors[f"features.{n}"] for n in range(len(tensors) - 2))
            return LRMOutput(tensors["triplane"], features, tensors["image_tokens"])
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(f"{path} is missing or damaged; run its stage again.") from error

    def residual(self, keyframe: int, device: torch.device | str = "cpu") -> Tensor | None:
        """What refinement adds to one keyframe's triplane, [3, channel, h, w] float32; None without refinement.

        Raises:
            InputError: the file is missing or damaged.
        """
        return None if self.refined is None else load_residual(self.refined, keyframe).to(device)

    def triplane(self, keyframe: int, device: torch.device | str = "cpu") -> Tensor:
        """One keyframe's triplane [3, channel, h, w], refined if it was, float32.

        Raises:
            InputError: a file is missing or damaged.
        """
        triplane, residual = self.output(keyframe, device).triplane[0], self.residual(keyframe, device)
        return triplane if residual is None else triplane + residual

    @classmethod
    def load(cls, folder: Path, refined: Path | None = None) -> KeyframesArtifact:
        """Raises InputError where a folder is missing, damaged or of another kind."""
        times = _load_times(folder, "keyframes")
        if refined is not None and not np.array_equal(_load_times(refined, "refined"), times):
            raise InputError(f"{refined} belongs to other keyframes; run its stage again.")
        return cls(folder, times, refined)


def save_keyframe(folder: Path, keyframe: int, output: LRMOutput) -> None:
    """Writes one keyframe's output (batch of one) in half precision."""
    tensors = {"triplane": output.triplane, "image_tokens": output.image_tokens}
    tensors |= {f"features.{n}": feature for n, feature in enumerate(output.features)}
    write_tensors(folder / keyframe_name(keyframe), {k: v[0].half().cpu().numpy() for k, v in tensors.items()})


def save_keyframe_times(folder: Path, times: np.ndarray) -> None:
    """Completes a folder of keyframes."""
    save_arrays(folder, {"times": times})
    save_scalars(folder, "keyframes", {})


def save_residual(folder: Path, keyframe: int, residual: Tensor) -> None:
    """Writes what refinement adds to one keyframe's triplane, [3, channel, h, w], in half precision."""
    write_tensors(folder / residual_name(keyframe), {"residual": residual.half().cpu().numpy()})


def load_residual(folder: Path, keyframe: int) -> Tensor:
    """What `save_residual` wrote, float32.

    Raises:
        InputError: it is missing or damaged.
    """
    path = folder / residual_name(keyframe)
    try:
        return load_file(path)["residual"].float()
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{path} is missing or damaged; run its stage again.") from error


def save_refined_times(folder: Path, times: np.ndarray) -> None:
    """Completes a folder of residuals."""
    save_arrays(folder, {"times": times})
    save_scalars(folder, "refined", {})


def keyframe_name(keyframe: int) -> str:
    """The file of one keyframe."""
    return f"keyframe_{keyframe:05d}.safetensors"


def residual_name(keyframe: int) -> str:
    """The file of what refinement adds to one keyframe."""
    return f"residual_{keyframe:05d}.safetensors"


def _load_times(folder: Path, kind: str) -> np.ndarray:
    load_scalars(folder, kind, {})
    times: np.ndarray = load_arrays(folder, {"times": ("float64", ("keyframe",))}, {})["times"]
    return times
