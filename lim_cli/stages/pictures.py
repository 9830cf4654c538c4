"""Folders of pictures and meshes of triplanes: what `lim render` and `lim interpolate` write."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from torch import Tensor

from lim_cli.core.axes import OPENGL_FROM_OPENCV
from lim_cli.core.camera import Cameras
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.export.still import write_still
from lim_cli.geometry.mesh import Mesh
from lim_cli.stages.networks import Networks
from lim_cli.stages.render import SAMPLES, RenderedViews, render_view
from lim_cli.stages.surface import FieldQuery, box_around, triplane_surface

TRANSFORMS = "transforms.json"
DEPTH_UNITS = 8192
"""Depth pictures hold camera z times this, 16 bits; from far cameras times less, so that it fits."""


@dataclass(frozen=True)
class PictureConfig:
    """samples: along each ray. depth, opacity: write these pictures too."""

    samples: int = SAMPLES
    depth: bool = False
    opacity: bool = False


def write_pictures(
    folder: Path,
    triplanes: Iterable[tuple[float, Tensor]],
    count: int,
    cameras: Cameras,
    networks: Networks,
    config: PictureConfig,
    *,
    progress: Progress | None = None,
) -> None:
    """Renders `count` triplanes (seconds or alpha, [3, c, h, w]) from all cameras into `folder`.

    `t000_v00.png` is straight RGBA; `..._depth.png` 16-bit camera z times the `depth_units` of `transforms.json`
    (DEPTH_UNITS), 0 where empty; `..._opacity.png` 8-bit. With that file the folder is a scene folder, in the model
    frame.
    """
    progress = progress or SilentProgress()
    folder.mkdir(parents=True, exist_ok=True)
    frames: list[dict[str, Any]] = []
    times: list[float] = []
    units = depth_units(cameras)
    with progress.task("Rendering", count * len(cameras)) as task:
        for index, (time, triplane) in enumerate(triplanes):
            times.append(time)
            for view in range(len(cameras)):
                one = cameras[view : view + 1]
                rendered = render_view(networks.lrm.field, triplane, one, samples=config.samples)
                name = f"t{index:03d}_v{view:02d}"
                files = _write_view(folder, name, rendered, config, units)
                frames.append({**files, **_entry(one), "time_index": index, "view": view, "split": "input"})
                task.advance()
    span = times[-1] - times[0]
    for frame in frames:
        frame["time"] = (times[frame["time_index"]] - times[0]) / span if span > 0 else 0.0
    table = {"world_up": "y", "time_seconds": times, "depth_units": units, "frames": frames}
    (folder / TRANSFORMS).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def depth_units(cameras: Cameras) -> int:
    """DEPTH_UNITS, or as many as 16 bits hold of the far corner of the cube that is drawn."""
    away = float(cameras.world_from_camera[:, :3, 3].norm(dim=-1).max())
    return min(DEPTH_UNITS, int(65535 / (away + math.sqrt(3))))


def _write_view(folder: Path, name: str, rendered: RenderedViews, config: PictureConfig, units: int) -> dict[str, str]:
    files = {"file_path": f"{name}.png"}
    Image.fromarray(rendered.rgba()[0]).save(folder / files["file_path"], compress_level=3)
    if config.depth:
        files["depth_file_path"] = f"{name}_depth.png"
        depth = (rendered.depth[0] * (rendered.opacity[0] > 0.5) * units).round().clip(0, 65535)
        cv2.imwrite(str(folder / files["depth_file_path"]), depth.astype(np.uint16))
    if config.opacity:
        files["mask_path"] = f"{name}_opacity.png"
        Image.fromarray((rendered.opacity[0] * 255 + 0.5).astype(np.uint8)).save(folder / files["mask_path"])
    return files


def _entry(camera: Cameras) -> dict[str, Any]:
    fx, fy, cx, cy = (float(v) for v in camera.intrinsics[0])
    pose = camera.world_from_camera[0].double().numpy() @ OPENGL_FROM_OPENCV
    height, width = camera.size
    return {"transform_matrix": pose.tolist(), "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": width, "h": height}


def write_meshes(
    folder: Path,
    triplanes: Iterable[tuple[float, Tensor]],
    count: int,
    networks: Networks,
    *,
    level: float = 0.0,
    resolution: int = 128,
    suffix: str = ".ply",
    world_from_model: np.ndarray | None = None,
    progress: Progress | None = None,
) -> None:
    """One coloured mesh a triplane, `t000.ply`, in the user's world. level: density logit at the surface.

    Raises:
        InputError: a triplane holds no surface.
    """
    progress = progress or SilentProgress()
    folder.mkdir(parents=True, exist_ok=True)
    matrix = np.eye(4) if world_from_model is None else world_from_model
    field = networks.lrm.field
    with progress.task("Extracting meshes", count) as task:
        for index, (_, triplane) in enumerate(triplanes):
            rough = triplane_surface(field, triplane, resolution=48, level=level)
            mesh = triplane_surface(
                field, triplane, resolution=resolution, bounds=box_around(rough.vertices, 0.08), level=level
            )
            colours = FieldQuery(field, triplane).values(mesh.vertices)
            moved = mesh.vertices.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
            write_still(folder / f"t{index:03d}{suffix}", Mesh(moved.astype(np.float32), mesh.faces), colours)
            task.advance()
