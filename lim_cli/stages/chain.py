"""A whole reconstruction: all stages in order, each skipped when its result is there already."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.artifacts.generation import InputCamera
from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.run_folder import RunFolder
from lim_cli.artifacts.store import TextureArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.config import to_plain
from lim_cli.core.errors import InputError, InterruptedRun
from lim_cli.core.progress import Progress
from lim_cli.data.scene_folder import is_scene_folder
from lim_cli.geometry.skinning import SkinError
from lim_cli.geometry.track_quality import TrackQuality, track_quality
from lim_cli.stages import drive as driving
from lim_cli.stages import export
from lim_cli.stages.agreement import input_drift, input_likeness, silhouette_iou
from lim_cli.stages.config import ExportConfig, ReconstructConfig
from lim_cli.stages.contact_sheet import write_contact_sheet
from lim_cli.stages.drive import DriveConfig
from lim_cli.stages.failures import explained
from lim_cli.stages.networks import MODELS, Networks
from lim_cli.stages.steps import Steps, open_run, take_in


@dataclass(frozen=True)
class ReconstructResult:
    """What came of a reconstruction.

    silhouette_iou: mean overlap with the input mattes, from the input cameras; still_iou: the same for the first
    frame's mesh held still. input_psnr_fg, input_psnr_covered, input_missed: see `stages.agreement.Likeness`; None
    where there is no pixel to compare. drift: see `stages.agreement.input_drift`. mesh: faces turned over,
    self-intersections, volume, confidence. skin_output, skin_error, parts, interpolation_error: see
    `stages.export.Exported`. camera: of a single-camera clip, as it was taken; view_agreement: of its generated views,
    `mask` and `colour` from 0 to 1 (see `geometry.view_agreement`); None for a posed scene. seconds: of each stage; 0
    where an earlier result served.
    """

    output: Path
    preview: Path | None
    frames: int
    keyframes: int
    duration: float
    vertices: int
    faces: int
    size_bytes: int
    silhouette_iou: float
    still_iou: float
    input_psnr_fg: float | None
    input_psnr_covered: float | None
    input_missed: float | None
    drift: float | None
    mesh: TrackQuality
    parts: int = 1
    interpolation_error: float = 0.0
    skin_output: Path | None = None
    skin_error: SkinError | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    sheet: Path | None = None
    camera: InputCamera | None = None
    view_agreement: dict[str, float | None] | None = None

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        plain: dict[str, Any] = {**to_plain(self), "output": str(self.output)}
        for name in ("preview", "sheet", "skin_output"):
            path = getattr(self, name)
            plain[name] = str(path) if path else None
        return plain


class Chain:
    """The stages of one reconstruction; every method makes what it needs first and returns its artifact."""

    def __init__(
        self,
        run: RunFolder,
        input_path: Path,
        config: ReconstructConfig,
        networks: Networks,
        *,
        progress: Progress | None = None,
    ) -> None:
        self.input_path, self.config = input_path, config
        self.steps = Steps(run, networks, progress=progress)

    def views(self) -> ViewsArtifact:
        """Four views of every keyframe."""
        if "views" not in self.steps.seconds:
            take_in(self.steps, self.input_path, self.config.ingest, self.config.posed)
            if not is_scene_folder(self.input_path):
                self.steps.views(self.config.views, seed=self.config.seed)
        return self.steps.load_views()

    def keyframes(self) -> KeyframesArtifact:
        """LRM's outputs."""
        if "keyframes" not in self.steps.seconds:
            self.views()
            self.steps.keyframes()
        return KeyframesArtifact.load(self.steps.run.stage_path("keyframes"))

    def refined(self) -> KeyframesArtifact:
        """LRM's outputs with refined triplanes, if they are to be refined."""
        if "refined" not in self.steps.seconds:
            self.keyframes()
            self.steps.refine(self.config.refinement, seed=self.config.seed)
        return self.steps.load_keyframes()

    def track(self) -> TrackArtifact:
        """The mesh traced to the output times."""
        if "track" not in self.steps.seconds:
            self.refined()
            self.steps.track(self.config.track, fps=self.config.fps)
        return self.steps.load_track()

    def texture(self) -> TextureArtifact:
        """The track with its texture."""
        if "texture" not in self.steps.seconds:
            self.track()
            self.steps.texture(self.config.texture)
        return self.steps.load_texture()


def reconstruct(
    input_path: Path,
    output: Path,
    config: ReconstructConfig,
    *,
    device: str = "cpu",
    workdir: Path | None = None,
    fresh: bool = False,
    preview: Path | None = None,
    sheet: Path | None = None,
    drive: DriveConfig | None = None,
    weights: Path | None = None,
    networks: Networks | None = None,
    progress: Progress | None = None,
) -> ReconstructResult:
    """Video, image folder or scene folder to one animated, textured GLB.

    workdir: keeps finished stages, and finished pieces of a stage that was cut off, so that a rerun resumes; without
    it they are temporary.
    drive: writes the user's own mesh, moved by the track, in place of ours.
    networks: models kept from an earlier clip, in place of `device`, `weights` and the config's release.

    Raises:
        InputError, OutputError, OutOfMemoryError, WeightsError, NumericalError, InterruptedRun: each with one sentence
            that says what to do.
    """
    if not input_path.exists():
        raise InputError(f"There is no {input_path}; give a video, an image folder or a scene folder.")
    if networks is None:
        networks = Networks(
            device,
            weights=weights,
            release=config.release,
            views_model=config.views_model,
            needs=models_for(input_path),
        )
    with resumable(workdir), open_run(workdir, fresh=fresh) as run:
        chain = Chain(run, input_path, config, networks, progress=progress)
        chain.texture()  # 00 to 50
        return write_result(chain.steps, output, config.export, preview=preview, sheet=sheet, drive=drive)  # 70


@contextmanager
def resumable(workdir: Path | None) -> Iterator[None]:
    """Says after Ctrl-C what is kept.

    Raises:
        InterruptedRun: the user stopped the block.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        kept = (
            f"the same command goes on from what {workdir} holds" if workdir else "with --workdir it could go on later"
        )
        raise InterruptedRun(f"Interrupted; {kept}.") from error


def models_for(input_path: Path) -> tuple[str, ...]:
    """The models a reconstruction of this input needs: a posed scene needs no view generator."""
    return tuple(name for name in MODELS if name != "views" or not is_scene_folder(input_path))


def write_result(
    steps: Steps,
    output: Path,
    config: ExportConfig,
    *,
    preview: Path | None = None,
    sheet: Path | None = None,
    drive: DriveConfig | None = None,
) -> ReconstructResult:
    """70: the GLB of a textured run (or of the user's own mesh, moved by it), and what else is asked for.

    Raises:
        OutputError: one of them cannot be written.
    """
    with explained("export"):
        return _written(steps, output, config, preview, sheet, drive)


def _written(
    steps: Steps,
    output: Path,
    config: ExportConfig,
    preview: Path | None,
    sheet: Path | None,
    drive: DriveConfig | None,
) -> ReconstructResult:
    progress = steps.progress
    textured, views, clip = steps.load_texture(), steps.load_views(), steps.load_clip()
    began = time.monotonic()
    if drive is None:
        with progress.task(f"Writing the {config.format.upper()}", 1) as task:
            info = export.run(textured, views, config, output)
            task.advance()
    else:
        driven = driving.run(steps.load_track(), views, drive, output, progress=progress)
        info = export.Exported(
            driven.vertices, driven.faces, driven.size_bytes, interpolation_error=driven.interpolation_error
        )
    if preview is not None:
        export.write_preview(
            textured, views, clip, preview, fps=_rate(textured.textured.track.times), progress=progress
        )
    if sheet is not None:
        write_contact_sheet(textured, views, clip, sheet, progress=progress)
    steps.seconds["export"] = round(time.monotonic() - began, 2)
    track, generation = textured.textured.track, views.generation
    with progress.task("Comparing with the input", 5) as task:
        overlaps = []
        for still in (False, True):
            overlaps.append(round(silhouette_iou(track, views, clip, still=still), 4))
            task.advance()
        likeness = input_likeness(textured.textured, views, clip)
        task.advance()
        traced = steps.load_track()
        drift = input_drift(traced.track, views, clip)
        task.advance()
        quality = track_quality(traced.track, confidence=traced.canonical_confidence)
        task.advance()
    return ReconstructResult(
        output=output,
        preview=preview,
        frames=len(track.times),
        keyframes=len(views.keyframe_times),
        duration=float(track.times[-1] - track.times[0]),
        vertices=info.vertices,
        faces=info.faces,
        size_bytes=info.size_bytes,
        silhouette_iou=overlaps[0],
        still_iou=overlaps[1],
        input_psnr_fg=_rounded(likeness.psnr_fg, 2),
        input_psnr_covered=_rounded(likeness.psnr_covered, 2),
        input_missed=_rounded(likeness.missed, 4),
        drift=None if drift is None else round(drift, 5),
        mesh=quality,
        parts=info.parts,
        interpolation_error=info.interpolation_error,
        skin_output=info.skin_output,
        skin_error=info.skin_error,
        seconds=dict(steps.seconds),
        sheet=sheet,
        camera=generation.camera if generation is not None else None,
        view_agreement=generation.agreement if generation is not None else None,
    )


def _rate(times: np.ndarray) -> float:
    """Frames per second of equally spaced times; a single one counts as one second long."""
    return round((len(times) - 1) / float(times[-1] - times[0]), 6) if len(times) > 1 else 1.0


def _rounded(value: float, digits: int) -> float | None:
    """None for NaN, which JSON has no word for."""
    return None if math.isnan(value) else round(value, digits)
