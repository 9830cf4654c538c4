"""What LRM made of every keyframe, one file each, so that a long clip never has to fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lim_cli.artifacts.folder_io import load_arrays, load_scalars, save_arrays, save_scalars, write_tensors
from lim_cli.core.errors import InputError
from lim_cli.models.lrm import LRMOutput


@dataclass(frozen=True)
class KeyframesArtifact:
    """A folder of LRM outputs. times: [keyframe] float64 seconds, increasing."""

    folder: Path
    times: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    def output(self, keyframe: int, device: torch.device | str = "cpu") -> LRMOutput:
        """One keyframe's triplane, block features and image tokens, float32, batch of one.

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

    @classmethod
    def load(cls, folder: Path) -> KeyframesArtifact:
        """Raises InputError where the folder is missing, damaged or of another kind."""
        load_scalars(folder, "keyframes", {})
        times = load_arrays(folder, {"times": ("float64", ("keyframe",))}, {})["times"]
        return cls(folder, times)


def save_keyframe(folder: Path, keyframe: int, output: LRMOutput) -> None:
    """Writes one keyframe's output (batch of one) in half precision."""
    tensors = {"triplane": output.triplane, "image_tokens": output.image_tokens}
    tensors |= {f"features.{n}": feature for n, feature in enumerate(output.features)}
    write_tensors(folder / keyframe_name(keyframe), {k: v[0].half().cpu().numpy() for k, v in tensors.items()})


def save_keyframe_times(folder: Path, times: np.ndarray) -> None:
    """Completes a folder of keyframes."""
    save_arrays(folder, {"times": times})
    save_scalars(folder, "keyframes", {})


def keyframe_name(keyframe: int) -> str:
    """The file of one keyframe."""
    return f"keyframe_{keyframe:05d}.safetensors"
