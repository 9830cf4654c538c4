"""What can be known to fail before anything heavy is loaded: paths, space, weights, and what the input holds."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lim_cli.cli.jobs import Job, Plan, check_suffix
from lim_cli.core.errors import ConfigError, InputError, OutputError, WeightsError

if TYPE_CHECKING:
    from lim_cli.cli.settings import Settings
    from lim_cli.stages.config import ExportConfig, ReconstructConfig

MODELS = ("lrm", "lim", "canonical_lrm", "canonical_lim")
FILE_SUFFIXES = (".glb", ".mp4", ".mov", ".m4v", ".gif", ".png")
MINIMUM_FREE_BYTES = 300_000_000
RESULT_NAME = "result.json"
"""Marks a folder as a result of ours, which a rerun may replace."""


def check_batch(plan: Plan, settings: Settings) -> None:
    """Raises what would fail every clip of a batch alike: the folder, the device, the user's mesh, the weights."""
    check_writable(plan.summary)
    if plan.folder is not None and plan.folder.is_file():
        raise OutputError(f"Output {plan.folder} is a file; with several inputs give a folder.")
    check_device(settings.command.device)
    check_mesh(settings)
    check_glb_options(settings.config.export)
    check_weights(settings, generates=not all(is_posed(job.input_path) for job in plan.mine))


def check_job(job: Job, settings: Settings) -> Path:
    """Raises what would stop the job at once or only at its end; takes part of a second and needs no torch.

    Returns the release of weights that it will use.

    Raises:
        InputError, OutputError, WeightsError, MissingError, ConfigError: the input cannot be decoded or holds no
            object, a result cannot be written, or something the run needs is not there.
    """
    check_device(settings.command.device)
    check_mesh(settings)
    check_not_model(settings.command.mesh, job.output)
    check_glb_options(settings.config.export)
    check_sheet(job.sheet)
    for path in (job.output, job.preview, job.sheet, job.workdir or Path(tempfile.gettempdir()) / "lim"):
        if path is not None:
            check_writable(path)
    if job.workdir is not None and job.workdir.is_file():
        raise OutputError(f"The working folder {job.workdir} is a file; choose another --workdir.")
    if job.preview is not None:
        from lim_cli.video.writing import check_encoder

        check_encoder(job.preview)
    release = check_weights(settings, generates=not is_posed(job.input_path))
    check_content(job.input_path, settings.config)
    return release


def check_content(path: Path, config: ReconstructConfig) -> None:
    """Raises InputError if a first look finds nothing to reconstruct: the first frame or the scene's table is read."""
    check_input(path)
    if is_posed(path):
        from lim_cli.data.scene_transforms import read_transforms, steps_between
        from lim_cli.video.checking import check_mode
        from lim_cli.video.pictures import read_picture

        scene = config.posed
        check_mode(scene.matte, masks=False)
        transforms = read_transforms(path, input_fps=scene.input_fps)
        steps_between(transforms.times_seconds, scene.start, scene.end, scene.max_frames)
        read_picture(transforms.frames[0].path, max_side=64)
        return
    from lim_cli.video.checking import check_clip

    clip = config.ingest
    check_clip(
        path,
        clip.matte,
        start=clip.start,
        end=clip.end,
        max_frames=clip.max_frames,
        max_side=clip.max_side,
        input_fps=clip.input_fps,
    )


def check_weights(settings: Settings, *, generates: bool) -> Path:
    """The release that the run will use, its files' headers read.

    generates: whether views have to be made up.

    Raises:
        WeightsError: a model is missing, or a file of its weights is missing or cut off.
    """
    from safetensors import SafetensorError, safe_open

    from lim_cli.models.releases import find_release, is_model

    other = settings.config.views_model
    needs = (*MODELS, "views") if generates and other is None else MODELS
    release = find_release(settings.weights, settings.config.release, needs=needs)
    folders = [release / name for name in needs]
    if generates and other is not None and Path(other).is_dir():
        folders.append(Path(other))
    if generates and settings.config.views.elevation is None and is_model(release / "camera"):
        folders.append(release / "camera")
    for folder in folders:
        files = sorted(folder.rglob("*.safetensors"))
        if not files:
            raise WeightsError(f"{folder} holds no weights (.safetensors); fetch the release again.")
        for file in files:
            try:
                with safe_open(file, framework="np"):
                    pass
            except (SafetensorError, OSError):
                raise WeightsError(f"{file} is damaged or cut off; fetch the release again.") from None
    return release


def check_mesh(settings: Settings) -> None:
    """Raises InputError or ConfigError if the user's own mesh cannot be read or written as the other options ask."""
    command, export = settings.command, settings.config.export
    if command.mesh is None:
        if command.mesh_frame is not None or command.mesh_align != "auto":
            raise ConfigError(
                "Options mesh-frame and mesh-align are for a mesh of your own; give --mesh, or leave them."
            )
        return
    check_mesh_options(Path(command.mesh), command.mesh_align)
    if export.changes_glb:
        raise ConfigError(
            "Options anim, quantize, draco and sparse are not for a mesh of your own; leave them out with mesh."
        )


def check_not_model(model: str | None, output: Path) -> None:
    """Raises OutputError if the result would take the place of the user's own model."""
    if model is not None and Path(model).resolve() == output.resolve():
        raise OutputError(f"Output {output} is your own model; choose another -o.")


def check_glb_options(export: ExportConfig) -> None:
    """Raises ConfigError if the result is to be no GLB, MissingError if it needs what is not installed."""
    if export.format != "glb":
        raise ConfigError(
            f"A reconstruction ends in a GLB; leave out export.format={export.format}, keep the work with "
            f"--workdir RUN, and write it with lim export RUN."
        )
    check_draco(export)


def check_draco(export: ExportConfig) -> None:
    """Raises MissingError if the result is to be compressed, and that cannot be done here."""
    if export.draco:
        from lim_cli.export.draco import require_draco

        require_draco()


def check_mesh_options(mesh: Path, align: str) -> None:
    """Raises InputError or ConfigError if there is no such mesh or way to align it."""
    from lim_cli.data.user_mesh import check_mesh as check_mesh_file
    from lim_cli.stages.config import ALIGNMENTS

    if align not in ALIGNMENTS:
        raise ConfigError(f"Option mesh-align must be one of {', '.join(ALIGNMENTS)}, got {align!r}.")
    check_mesh_file(mesh)


def check_sheet(sheet: Path | None) -> None:
    """Raises OutputError if a contact sheet would not be a .png."""
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise OutputError(f"The contact sheet {sheet} must end in .png.")


def check_device(name: str) -> None:
    """Raises ConfigError for a device that cannot be here, as far as that shows without torch."""
    from importlib.metadata import version

    kind = name.split(":")[0]
    if kind not in ("auto", "cpu", "cuda", "mps"):
        raise ConfigError(f"Device '{name}' is not known; use auto, cpu, cuda, cuda:N or mps.")
    if (kind == "mps" and sys.platform != "darwin") or (kind == "cuda" and version("torch").endswith("+cpu")):
        raise ConfigError(f"Device '{name}' is not available here; use --device auto or --device cpu.")


def check_input(path: Path) -> None:
    """Raises InputError if there is nothing to read."""
    if not path.exists():
        raise InputError(f"There is no {path}; give a video, an image folder or a scene folder.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(f"The folder {path} is empty.")


def check_run(path: Path) -> None:
    """Raises InputError if `path` is no folder that could be a run's."""
    if not path.is_dir():
        raise InputError(f"There is no run folder {path}; run lim ingest INPUT --workdir {path} first.")


def is_posed(path: Path) -> bool:
    """Whether an input is a scene folder, told without reading it."""
    return (path / "transforms.json").is_file()


def check_glb(path: Path) -> None:
    """Raises OutputError if `path` is no .glb that can be written."""
    check_suffix(path)
    check_writable(path)


def check_new_folder(path: Path) -> None:
    """Raises OutputError if a result folder cannot be written at `path`, or holds something else already."""
    check_writable(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"Output {path} is a file; give a folder.")
    if path.is_dir() and any(path.iterdir()) and not (path / RESULT_NAME).is_file():
        raise OutputError(f"The folder {path} holds other things; choose another -o.")


def check_writable(path: Path) -> None:
    """Raises OutputError if `path` cannot be created or its disk is nearly full."""
    if path.is_dir() and path.suffix.lower() in FILE_SUFFIXES:
        raise OutputError(f"Output {path} is a folder; give a file name.")
    parent = path.resolve()
    while not parent.exists():
        parent = parent.parent
    if parent != path.resolve() and not parent.is_dir():
        raise OutputError(f"Cannot write {path}: {parent} is not a folder.")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"Cannot write {path}: no permission in {parent}.")
    free = shutil.disk_usage(parent).free
    if free < MINIMUM_FREE_BYTES:
        needed = MINIMUM_FREE_BYTES / 1e6
        raise OutputError(f"Only {free / 1e6:.0f} MB are free for {path}; {needed:.0f} MB are needed.")
