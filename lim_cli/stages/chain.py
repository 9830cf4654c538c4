"""All stages in order, each skipped when its result is there already."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.manifest import Manifest
from lim_cli.artifacts.run_folder import RunFolder
from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.config import to_plain
from lim_cli.core.errors import InputError
from lim_cli.core.files import hash_tree, remove
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.scene_folder import is_scene_folder
from lim_cli.stages import export, ingest, keyframes, posed, texture, track, views
from lim_cli.stages.agreement import silhouette_iou
from lim_cli.stages.config import ReconstructConfig
from lim_cli.stages.intervals import output_times
from lim_cli.stages.networks import Networks


@dataclass(frozen=True)
class ReconstructResult:
    """What came of a reconstruction.

    silhouette_iou: mean overlap with the input mattes, from the input cameras; still_iou: the same for the first
    frame's mesh held still. seconds: of each stage; 0 where an earlier result served.
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
    seconds: dict[str, float] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        plain: dict[str, Any] = {**to_plain(self), "output": str(self.output)}
        plain["preview"] = str(self.preview) if self.preview else None
        return plain


class Chain:
    """The stages of one reconstruction over one run folder; every method makes what it needs first."""

    def __init__(
        self,
        run: RunFolder,
        input_path: Path,
        config: ReconstructConfig,
        networks: Networks,
        *,
        progress: Progress | None = None,
    ) -> None:
        self.run, self.input_path, self.config, self.networks = run, input_path, config, networks
        self.progress = progress or SilentProgress()
        self.is_posed = is_scene_folder(input_path)
        self.seconds: dict[str, float] = {}

    def clip(self) -> ClipArtifact | None:
        """The matted clip; None for a posed scene."""
        if self.is_posed:
            return None
        if "clip" not in self.seconds:
            options = self.config.ingest
            inputs = {"input": hash_tree(self.input_path)}
            if Path(options.matte).is_dir():
                inputs["matte"] = hash_tree(Path(options.matte))
            self._make(
                "clip", ingest.STAGE_VERSION, options, inputs,
                lambda folder: ingest.run(self.input_path, options, progress=self.progress).save(folder),
            )  # fmt: skip
        return ClipArtifact.load(self.run.stage_path("clip"))

    def views(self) -> ViewsArtifact:
        """Four views of every keyframe."""
        clip = self.clip()
        if "views" not in self.seconds:
            if clip is None:
                options: Any = self.config.posed
                self._make(
                    "views", posed.STAGE_VERSION, options, {"input": hash_tree(self.input_path)},
                    lambda folder: posed.run(self.input_path, options, progress=self.progress).save(folder),
                )  # fmt: skip
            else:
                options = self.config.views
                self._make(
                    "views", views.STAGE_VERSION, options, self.run.output_hashes("clip"),
                    lambda folder: views.run(
                        clip, options, self.networks, seed=self.config.seed, progress=self.progress
                    ).save(folder),
                    models=("views",),
                )  # fmt: skip
        return ViewsArtifact.load(self.run.stage_path("views"))

    def keyframes(self) -> KeyframesArtifact:
        """LRM's outputs."""
        made = self.views()
        if "keyframes" not in self.seconds:
            self._make(
                "keyframes", keyframes.STAGE_VERSION, {}, self.run.output_hashes("views"),
                lambda folder: keyframes.run(made, self.networks, folder, progress=self.progress),
                models=("lrm",),
            )  # fmt: skip
        return KeyframesArtifact.load(self.run.stage_path("keyframes"))

    def track(self) -> TrackArtifact:
        """The mesh traced to the output times."""
        found = self.keyframes()
        if "track" not in self.seconds:
            options, made = self.config.track, self.views()
            times = output_times(found.times, self.config.fps)
            self._make(
                "track", track.STAGE_VERSION, {"track": to_plain(options), "fps": self.config.fps},
                {**self.run.output_hashes("keyframes"), **self.run.output_hashes("views")},
                lambda folder: track.run(
                    found, made, times, options, self.networks, progress=self.progress
                ).save(folder),
                models=("lrm", "lim", "canonical_lrm", "canonical_lim"),
            )  # fmt: skip
        return TrackArtifact.load(self.run.stage_path("track"))

    def texture(self) -> TextureArtifact:
        """The track with its texture."""
        tracked = self.track()
        if "texture" not in self.seconds:
            options, made, clip, found = self.config.texture, self.views(), self.clip(), self.keyframes()
            self._make(
                "texture", texture.STAGE_VERSION, options,
                {**self.run.output_hashes("track"), **self.run.output_hashes("views")},
                lambda folder: texture.run(
                    tracked, made, clip, found, options, self.networks, progress=self.progress
                )[0].save(folder),
                models=("lrm",),
            )  # fmt: skip
        return TextureArtifact.load(self.run.stage_path("texture"))

    def export(self, output: Path, preview: Path | None = None) -> ReconstructResult:
        """The GLB, and the preview if asked for."""
        textured, made, clip = self.texture(), self.views(), self.clip()
        began = time.monotonic()
        info = export.run(textured, made, self.config.export(output.stem), output)
        if preview is not None:
            export.write_preview(textured, made, clip, preview, fps=self.config.fps, progress=self.progress)
        tracked = textured.textured.track
        self.seconds["export"] = round(time.monotonic() - began, 2)
        return ReconstructResult(
            output=output,
            preview=preview,
            frames=len(tracked.times),
            keyframes=len(made.keyframe_times),
            duration=float(tracked.times[-1] - tracked.times[0]),
            vertices=info.vertices,
            faces=info.faces,
            size_bytes=info.size_bytes,
            silhouette_iou=round(silhouette_iou(tracked, made, clip), 4),
            still_iou=round(silhouette_iou(tracked, made, clip, still=True), 4),
            seconds=dict(self.seconds),
        )

    def _make(
        self,
        stage: str,
        version: int,
        options: Any,
        inputs: dict[str, str],
        make: Callable[[Path], None],
        *,
        models: tuple[str, ...] = (),
    ) -> None:
        """Runs a stage unless its folder already holds just this result."""
        expected = Manifest(
            stage, version, to_plain(options), inputs, self.networks.hashes(*models), self.config.seed
        )
        if self.run.is_complete(expected):
            self.seconds[stage] = 0.0
            return
        began = time.monotonic()
        with self.run.store(expected) as folder:
            make(folder)
        self.seconds[stage] = round(time.monotonic() - began, 2)


def reconstruct(
    input_path: Path,
    output: Path,
    config: ReconstructConfig,
    *,
    device: str = "cpu",
    workdir: Path | None = None,
    fresh: bool = False,
    preview: Path | None = None,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> ReconstructResult:
    """Video, image folder or scene folder to one animated, textured GLB.

    workdir: keeps the finished stages, so that a rerun resumes; without it they are temporary.

    Raises:
        InputError, OutputError, WeightsError, NumericalError: each with one sentence that says what to do.
    """
    if not input_path.exists():
        raise InputError(f"There is no {input_path}; give a video, an image folder or a scene folder.")
    networks = Networks(device, weights=weights, release=config.release, views_model=config.views_model)
    with open_run(workdir, fresh=fresh) as run:
        return Chain(run, input_path, config, networks, progress=progress).export(output, preview)


@contextmanager
def open_run(workdir: Path | None, *, fresh: bool = False) -> Iterator[RunFolder]:
    """A locked run folder: `workdir`, emptied of stages first if `fresh`, or a temporary one."""
    if workdir is None:
        with tempfile.TemporaryDirectory(prefix="lim-") as temporary, RunFolder(Path(temporary) / "run") as run:
            yield run
        return
    with RunFolder(workdir) as run:
        if fresh:
            for stage in ("clip", "views", "keyframes", "interpolate", "track", "texture", "export"):
                remove(run.stage_path(stage))
        yield run
