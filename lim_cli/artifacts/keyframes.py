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
        """One keyframe's triplane (refined if it was), block features and image tokens, float32, batch of one.

        Raises:
            InputError: the file is missing or damaged.
        """
        tensors = {
            k: v.to(device).float()[None] for k, v in _load_tensors(self.folder / keyframe_name(keyframe)).items()
        }
        try:
            features = tuple(tensors[f"features.{n}"] for n in range(len(tensors) - 2))
            triplane, image_tokens = tensors["triplane"], tensors["image_tokens"]
        except KeyError as error:
            raise InputError(f"{self.folder / keyframe_name(keyframe)} is damaged; run its stage again.") from error
        if self.refined is not None:
            path = self.refined / residual_name(keyframe)
            residual = _load_tensors(path).get("residual")
            if residual is None or residual.shape != triplane.shape[1:]:
                raise InputError(f"{path} is damaged; run its stage again.")
            triplane = triplane + residual.to(device).float()
        return LRMOutput(triplane, features, image_tokens)

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


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is missing or damaged; run its stage again.") from error
