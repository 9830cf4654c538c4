"""TripoSR (Tochilkin et al. 2024) frame by frame, where the user has its code and weights; nothing of it is shipped.

Its repository (VAST-AI-Research/TripoSR, MIT) has to be importable as `tsr`. Weights are read from safetensors only.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lim_cli.core.errors import PARSER_ERRORS, InputError, MissingError, WeightsError
from lim_cli.core.progress import Progress
from lim_cli.evaluation.monocular_cases import MonocularCase
from lim_cli.evaluation.monocular_methods import Reconstruction, frame_by_frame
from lim_cli.geometry.marching_cubes import Bounds, EmptySurfaceError, surface_from_lattice
from lim_cli.geometry.mesh import Mesh

TRIPOSR = "TripoSR per frame"
CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
CONVERT = (
    'python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('model.ckpt', map_location='cpu', weights_only=True), 'model.safetensors')\""
)
THRESHOLD = 25.0
"""Density at the surface, as its own extraction has it."""
GREY = 0.5
"""Its training pictures' background."""
RESOLUTION = 96
CAMERA_DISTANCE, FIELD_OF_VIEW = 1.6, 40.0
"""Of its training cameras, its units and degrees."""
POINTS_AT_ONCE = 1 << 16


def find_triposr(path_or_id: str) -> Path:
    """The folder of its weights: one with config.yaml and model.safetensors, or a hub id in the local cache.

    Raises:
        MissingError: it is neither.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    folder = Path(path_or_id).expanduser()
    if not folder.is_dir():
        try:
            found = try_to_load_from_cache(path_or_id, CONFIG)
        except HFValidationError:
            found = None
        if not isinstance(found, str):
            raise MissingError(
                f"There is no TripoSR at {path_or_id}; give a folder with {CONFIG} and {WEIGHTS}, or a hub id that "
                "`hf download` fetched."
            )
        folder = Path(found).parent
    absent = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if absent:
        raise MissingError(f"{folder} holds no {' and no '.join(absent)}; make {WEIGHTS} of model.ckpt with: {CONVERT}")
    return folder


class TripoSR:
    """Every frame on grey, as its own script gives it, its field meshed and turned into the case's frame."""

    def __init__(self, path_or_id: str, device: torch.device | str = "cpu") -> None:
        """Raises:
        MissingError: weights, or the code that runs them, are not here.
        WeightsError: they do not fit each other.
        """
        folder = find_triposr(path_or_id)
        try:
            from omegaconf import OmegaConf
            from tsr.system import TSR
        except ImportError as error:
            raise MissingError(
                f"The row TripoSR needs its code ({error}); clone VAST-AI-Research/TripoSR, install what it asks for, "
                "and put the clone on PYTHONPATH."
            ) from error
        from safetensors.torch import load_file

        try:
            self._model: Any = TSR(OmegaConf.load(folder / CONFIG))
            self._model.load_state_dict(load_file(folder / WEIGHTS))
        except PARSER_ERRORS as error:
            raise WeightsError(f"TripoSR in {folder} cannot be loaded: {str(error).splitlines()[0]}.") from error
        self._device = torch.device(device)
        self._model.to(self._device).eval()

    @torch.no_grad()
    def __call__(self, case: MonocularCase, progress: Progress) -> Reconstruction:
        meshes, colours = [], []
        with progress.task("Running TripoSR", len(case.clip.times)) as task:
            for rgba in case.clip.rgba:
                picture = rgba.astype(np.float32) / 255
                shown = picture[..., :3] * picture[..., 3:] + GREY * (1 - picture[..., 3:])
                code = self._model([shown], device=str(self._device))[0]
                mesh, colour = self._surface(code)
                meshes.append(Mesh(in_case(mesh.vertices, case.field_of_view), mesh.faces))
                colours.append(colour)
                task.advance()
        return frame_by_frame(meshes, colours)

    def _surface(self, code: Tensor) -> tuple[Mesh, np.ndarray]:
        """Its surface in its own frame, and its vertices' colours [vertex, 3] in [0, 1]."""
        radius = float(self._model.renderer.cfg.radius)
        axis = torch.linspace(-radius, radius, RESOLUTION)
        lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(-1, 3)
        density = self._query(code, lattice, "density_act").view(RESOLUTION, RESOLUTION, RESOLUTION)
        bounds: Bounds = ((-radius,) * 3, (radius,) * 3)
        try:
            mesh = surface_from_lattice(density.numpy(), THRESHOLD, bounds)
        except EmptySurfaceError as error:
            raise InputError("TripoSR found no object in a frame; check that it is in the picture.") from error
        return mesh, self._query(code, torch.from_numpy(mesh.vertices), "color").numpy()

    def _query(self, code: Tensor, points: Tensor, name: str) -> Tensor:
        renderer, decoder = self._model.renderer, self._model.decoder
        parts = points.to(self._device).split(POINTS_AT_ONCE)
        return torch.cat([renderer.query_triplane(decoder, part, code)[name].float().cpu() for part in parts])


def in_case(points: np.ndarray, field_of_view: float) -> np.ndarray:
    """Points [N, 3] of TripoSR's frame (+Z up, the camera on +X) in a case's (+Y up, the camera on +Z).

    Scaled so that its training camera's picture at the origin is as wide as the case's.
    """
    own = CAMERA_DISTANCE * math.tan(math.radians(FIELD_OF_VIEW) / 2)
    width = 1 / math.cos(math.radians(field_of_view) / 2)  # the unit ball just fits the case's picture
    return np.asarray(points[:, [1, 2, 0]] * (width / own), np.float32)
