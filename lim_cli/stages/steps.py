"""Every stage on a run folder: made from the artifacts saved there, unless its result is there already."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.manifest import Manifest
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.run_folder import STAGE_FOLDERS, RunFolder, refined_in
from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.config import to_plain
from lim_cli.core.errors import InputError, OutputError
from lim_cli.core.files import hash_tree
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.scene_folder import is_scene_folder
from lim_cli.stages import ingest, keyframes, posed, refine, texture, track, views
from lim_cli.stages.config import IngestConfig, PosedConfig, RefinementConfig, TextureConfig, TrackConfig, ViewsConfig
from lim_cli.stages.failures import explained
from lim_cli.stages.intervals import output_times
from lim_cli.stages.networks import Networks

MADE_BY = {
    "clip": "lim ingest INPUT --workdir {run}",
    "views": "lim views {run}",
    "keyframes": "lim keyframes {run}",
    "refined": "lim refine {run}",
    "track": "lim track {run}",
    "texture": "lim texture {run}",
}
"""The command that makes a stage's artifact."""


class Steps:
    """The stages, one method each; a method needs the artifacts of the stages before it in the folder.

    networks: None serves `ingest` and `pose`, which need no models. seconds: of each stage run, 0 where an
    earlier result served.

    Raises:
        InputError: (every method) an artifact it needs is not there, or was made from others than are there now; the
            text names the command that makes it.
    """

    def __init__(self, run: RunFolder, networks: Networks | None = None, *, progress: Progress | None = None) -> None:
        self.run = run
        self._networks = networks
        self.progress = progress or SilentProgress()
        self.seconds: dict[str, float] = {}

    @property
    def networks(self) -> Networks:
        if self._networks is None:
            raise ValueError("this stage needs networks")
        return self._networks

    # The stages

    def ingest(self, input_path: Path, options: IngestConfig) -> None:
        """00: a single-camera clip, matted and cropped."""
        inputs = {"input": hash_tree(input_path)}
        if Path(options.matte).is_dir():
            inputs["matte"] = hash_tree(Path(options.matte))
        self._make(
            "clip", ingest.STAGE_VERSION, options, inputs,
            lambda pieces: ingest.run(input_path, options, progress=self.progress).save(pieces.folder),
        )  # fmt: skip

    def pose(self, scene: Path, options: PosedConfig) -> None:
        """10: the views of a posed scene; no clip, no diffusion."""
        self._make(
            "views", posed.STAGE_VERSION, options, {"input": hash_tree(scene)},
            lambda pieces: posed.run(scene, options, progress=self.progress).save(pieces.folder),
        )  # fmt: skip

    def views(self, options: ViewsConfig, *, seed: int = 0) -> None:
        """10: the views of a clip, three of them generated."""
        if not self._has("clip") and self._has("views") and not self._from_clip():
            raise InputError(f"{self.run.path} holds posed views already; go on with lim keyframes {self.run.path}.")
        self._require("clip")
        self._make(
            "views", views.STAGE_VERSION, options, self.run.output_hashes("clip"),
            lambda pieces: views.run(
                ClipArtifact.load(self.run.stage_path("clip")), options, self.networks, seed=seed,
                pieces=pieces, progress=self.progress,
            ).save(pieces.folder),
            models=self._generating(options),
            seed=seed,
        )  # fmt: skip

    def keyframes(self) -> None:
        """20: LRM's outputs."""
        self._require("views")
        self._make(
            "keyframes", keyframes.STAGE_VERSION, {}, self.run.output_hashes("views"),
            lambda pieces: keyframes.run(self.load_views(), self.networks, pieces, progress=self.progress),
            models=("lrm",),
        )  # fmt: skip

    def refine(self, options: RefinementConfig, *, seed: int = 0) -> None:
        """30: what brings the keyframes' triplanes closer to their views; 0 seconds take an earlier result away."""
        self._require("views", "keyframes")
        options = replace(options, seconds=options.seconds_for(posed=not self._from_clip()))
        if options.seconds == 0:
            self.run.remove("refined")
            return
        self._make(
            "refined", refine.STAGE_VERSION, options,
            self.run.output_hashes("views") | self.run.output_hashes("keyframes"),
            lambda pieces: refine.run(
                KeyframesArtifact.load(self.run.stage_path("keyframes")), self.load_views(), options,
                self.networks, pieces, seed=seed, progress=self.progress,
            ),
            models=("lrm",),
            seed=seed,
        )  # fmt: skip

    def track(self, options: TrackConfig, *, fps: float) -> None:
        """40: the mesh traced to the output times."""
        self._require("views", *self._keyframes())
        self._make(
            "track", track.STAGE_VERSION, {"track": to_plain(options), "fps": fps},
            self._inputs(*self._keyframes(), "views"),
            lambda pieces: self._traced(options, fps, pieces).save(pieces.folder),
            models=("lrm", "lim", "canonical_lrm", "canonical_lim"),
        )  # fmt: skip

    def texture(self, options: TextureConfig) -> None:
        """50: the atlas and the texture."""
        self._require("views", *self._keyframes(), "track")
        self._make(
            "texture", texture.STAGE_VERSION, options,
            self._inputs("views", *self._keyframes(), "track"),
            lambda pieces: texture.run(
                self.load_track(), self.load_views(), self.load_clip(),
                self.load_keyframes(), options, self.networks, pieces=pieces, progress=self.progress,
            )[0].save(pieces.folder),
            models=("lrm",),
        )  # fmt: skip

    # Their results

    def load_clip(self) -> ClipArtifact | None:
        """The clip; None for a posed scene."""
        if not self._from_clip():
            return None
        self._require("clip")
        return ClipArtifact.load(self.run.stage_path("clip"))

    def load_views(self) -> ViewsArtifact:
        self._require("views")
        return ViewsArtifact.load(self.run.stage_path("views"))

    def load_keyframes(self) -> KeyframesArtifact:
        self._require(*self._keyframes())
        return KeyframesArtifact.load(self.run.stage_path("keyframes"), refined_in(self.run.path))

    def load_track(self) -> TrackArtifact:
        self._require("track")
        return TrackArtifact.load(self.run.stage_path("track"))

    def load_texture(self) -> TextureArtifact:
        self._require("texture")
        return TextureArtifact.load(self.run.stage_path("texture"))

    def _traced(self, options: TrackConfig, fps: float, pieces: Pieces) -> TrackArtifact:
        found = self.load_keyframes()
        times = output_times(found.times, fps)
        return track.run(
            found, self.load_views(), self.load_clip(), times, options, self.networks,
            pieces=pieces, progress=self.progress,
        )  # fmt: skip

    def _generating(self, options: ViewsConfig) -> tuple[str, ...]:
        """The models that views are made with."""
        estimates = options.elevation is None and self.networks.has("camera")
        return ("views", "camera") if estimates else ("views",)

    def _keyframes(self) -> tuple[str, ...]:
        """The stages that the keyframes' triplanes come from."""
        return ("keyframes", "refined") if self._has("refined") else ("keyframes",)

    def _inputs(self, *stages: str) -> dict[str, str]:
        """Hashes of what the stages wrote, and of the clip where the input is one."""
        needed = ("clip", *stages) if self._from_clip() else stages
        return {name: value for stage in needed for name, value in self.run.output_hashes(stage).items()}

    def _has(self, stage: str) -> bool:
        return self.run.stage_path(stage).is_dir()

    def _from_clip(self) -> bool:
        self._require("views")
        return ViewsArtifact.source_in(self.run.stage_path("views")) == "generated"

    def _require(self, *stages: str) -> None:
        for stage in stages:
            command = MADE_BY[stage].format(run=self.run.path)
            if not self._has(stage):
                raise InputError(f"{self.run.path} holds no {STAGE_FOLDERS[stage]}; run {command} first.")
            if not self.run.is_sound(stage):
                raise InputError(f"{self.run.stage_path(stage)} is damaged; run {command} again.")
            if changed := self.run.changed_since(stage):
                path = self.run.stage_path(stage)
                raise InputError(f"{path} was not made from the {changed} that is there now; run {command} again.")

    def _make(
        self,
        stage: str,
        version: int,
        options: Any,
        inputs: dict[str, str],
        make: Callable[[Pieces], None],
        *,
        models: tuple[str, ...] = (),
        seed: int = 0,
    ) -> None:
        """Runs a stage unless its folder already holds just this result."""
        hashes = self.networks.hashes(*models) if models else {}
        expected = Manifest(stage, version, to_plain(options), inputs, hashes, seed)
        if self.run.is_complete(expected):
            self.seconds[stage] = 0.0
            return
        began = time.monotonic()
        with explained(stage), self.run.store(expected) as pieces:
            make(pieces)
        self.seconds[stage] = round(time.monotonic() - began, 2)


def take_in(steps: Steps, input_path: Path, clip: IngestConfig, scene: PosedConfig) -> None:
    """The first stage: a scene folder's views, or a clip.

    Raises:
        InputError: the input is not there or cannot be used.
    """
    if not input_path.exists():
        raise InputError(f"There is no {input_path}; give a video, an image folder or a scene folder.")
    if is_scene_folder(input_path):
        steps.pose(input_path, scene)
    else:
        steps.ingest(input_path, clip)


@contextmanager
def open_run(workdir: Path | None, *, fresh: bool = False) -> Iterator[RunFolder]:
    """A locked run folder: `workdir`, emptied of stages first if `fresh`, or a temporary one."""
    if workdir is None:
        try:
            temporary = tempfile.TemporaryDirectory(prefix="lim-")
        except OSError as error:
            raise OutputError(f"There is no room for temporary files ({error.strerror}); give --workdir.") from error
        with temporary as folder, RunFolder(Path(folder) / "run") as run:
            yield run
        return
    with RunFolder(workdir) as run:
        if fresh:
            run.clear()
        yield run


@contextmanager
def existing_run(workdir: Path) -> Iterator[RunFolder]:
    """A run folder that must be there already.

    Raises:
        InputError: it is not.
    """
    if not any((workdir / name).is_dir() for name in STAGE_FOLDERS.values()):
        raise InputError(f"{workdir} is no run folder; run lim ingest INPUT --workdir {workdir} first.")
    with RunFolder(workdir) as run:
        yield run
