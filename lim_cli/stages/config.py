"""What the stages and a whole reconstruction can be told; needs no torch, so that mistakes are named at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path

from lim_cli.core.errors import ConfigError
from lim_cli.video.reading import DEFAULT_FPS, MAX_FRAMES, MAX_SIDE

DEFAULT_ELEVATION = 10.0
DEFAULT_FIELD_OF_VIEW = 40.0


@dataclass(frozen=True)
class IngestConfig:
    """How a clip is read, matted and cropped.

    start, end: seconds kept. matte: a mode of `video.matting` or a folder of masks. input_fps: frames per
    second of picture folders. size: pixels on a side of the result. margin: free space about the object, as
    a share of its extent. max_frames: longer clips are thinned evenly. max_side: pixels, frames are shrunk
    to it while they are decoded.
    """

    start: float | None = None
    end: float | None = None
    matte: str = "auto"
    input_fps: float = DEFAULT_FPS
    size: int = 256
    margin: float = 0.1
    max_frames: int = MAX_FRAMES
    max_side: int = MAX_SIDE


@dataclass(frozen=True)
class PosedConfig:
    """start, end: seconds kept. matte: a mode of `video.matting`, for pictures without an alpha channel. input_fps: of

    scenes without `time_seconds`. max_frames: longer scenes are thinned evenly. keyframe_stride: every how many time
    steps is a keyframe. size: pixels on a side of the stored views.
    """

    start: float | None = None
    end: float | None = None
    matte: str = "auto"
    input_fps: float = DEFAULT_FPS
    max_frames: int = MAX_FRAMES
    keyframe_stride: int = 1
    size: int = 256


@dataclass(frozen=True)
class ViewsConfig:
    """keyframe_stride: every how many input frames is a keyframe.

    steps: of the sampler; None takes as few as the view generator needs (`stages.views.steps_of`).
    tries: seeds to make views from; those that agree best are kept.
    elevation: of the input camera, degrees; None estimates it. field_of_view: horizontal degrees.
    """

    keyframe_stride: int = 2
    steps: int | None = None
    tries: int = 1
    elevation: float | None = None
    field_of_view: float = DEFAULT_FIELD_OF_VIEW


MATCHINGS = ("auto", "always")
"""When canonical coordinates are matched: where fewer than three pictures show the object at a time, or always."""


POSED_SECONDS = 15.0
"""Refinement of posed views, unless asked for otherwise."""


@dataclass(frozen=True)
class RefinementConfig:
    """seconds: that the keyframes' triplanes are refined, over all of them, as nominal seconds of two CPU cores

    (`stages.refine.steps_for` turns them into a number of steps, so that a run can be repeated); 0: not at all; None:
    POSED_SECONDS for posed views, which gain on all sides, and 0 for generated ones, which gain on the input's alone.
    rays, samples: of one step, and of one ray. rate: of Adam, units of triplane features.
    opacity: weight of the mattes against the colours. proximity: of staying close to what LRM made.
    generated: how far generated views are trusted, the input's being 1.
    """

    seconds: float | None = None
    rays: int = 768
    samples: int = 20
    rate: float = 0.1
    opacity: float = 0.1
    proximity: float = 0.003
    generated: float = 0.2

    def seconds_for(self, *, posed: bool) -> float:
        """The seconds for posed views, or for generated ones."""
        if self.seconds is not None:
            return self.seconds
        return POSED_SECONDS if posed else 0.0


@dataclass(frozen=True)
class TrackConfig:
    """vertices: of the mesh. control_vertices: of the coarse copy that is moved in its place and carries it; None takes
    6,000 for one camera, and 2,000 where pictures surround the object, since each of them is looked at.

    complete: parts that the input's mattes show and the first triplane lacks (thin legs, tips) are blown up from them.
    resolution: of marching cubes on the first triplane; step_resolution: on the others, within the object's box.
    stiffness: of ARAP. smoothing, polish: Taubin rounds on the first mesh, before and after
    vertices are taken out: the latter reach the triplane's own texels, which show as stairs.
    largest_speed: model units per second a vertex may move, which rules out false matches.
    template: the keyframe, from 0 (at most the last), whose mesh is traced to all times; None takes the first, or the
    one with the longest outlines where at first they are unusually short.
    level: of the density logit at the surface; None takes the one that agrees best with the input's mattes.
    span: keyframe intervals from one canonical anchor to the next. evaluations: at most so many times inside a span
    run the networks, beside its end; other times lie on a smooth curve, and pictures are followed in any case.
    matching: one of `MATCHINGS`, whether canonical coordinates are asked where pictures surround the object, too.
    picture_rounds, picture_stiffness: of following the input's pixels. recognitions: how often the mesh is then
    drawn in its own colours and compared with the picture; each time it may bend more.
    surface_rounds, surface_stiffness: of settling on the keyframes' own surfaces, where pictures surround the object.
    outline_rounds, outline_stiffness: of fitting outlines to the input's mattes.
    second_looks: how often all pictures are compared with the mesh again, once the whole track is known.
    """

    vertices: int = 6_000
    control_vertices: int | None = None
    complete: bool = True
    resolution: int = 144
    step_resolution: int = 88
    stiffness: float = 5.0
    iterations: int = 3
    smoothing: int = 3
    polish: int = 20
    samples: int = 16_000
    largest_speed: float = 6.0
    template: int | None = None
    level: float | None = None
    span: int = 2
    evaluations: int = 0
    matching: str = "auto"
    picture_rounds: int = 4
    picture_stiffness: float = 1.0
    recognitions: int = 3
    surface_rounds: int = 8
    surface_stiffness: float = 0.7
    outline_rounds: int = 6
    outline_stiffness: float = 3.0
    second_looks: int = 1

    def __post_init__(self) -> None:
        if self.matching not in MATCHINGS:
            raise ConfigError(f"Option matching must be one of {', '.join(MATCHINGS)}, got {self.matching!r}.")


@dataclass(frozen=True)
class TextureConfig:
    """size: side in pixels. observations: at most so many instants are projected."""

    size: int = 1024
    observations: int = 24


ANIMATIONS = ("morph", "skin", "both")
FORMATS = ("glb", "usd", "obj", "ply")
FOLDER_FORMATS = ("obj", "ply")
"""One file per frame, in a folder."""


ALIGNMENTS = ("auto", "yaw", "none")
"""How a user's own mesh is laid onto the track: in any orientation, upright, or as it lies."""


@dataclass(frozen=True)
class ExportConfig:
    """name: of the object in the file; None takes the file's own. format: one of `FORMATS`; the rest is for GLB only.

    anim: morph, skin or both (then the skin goes to a file of its own, see `skin_path`). bones: of a
    skin, at most. quantize, draco, sparse: see `export.gltf`.
    """

    name: str | None = None
    format: str = "glb"
    anim: str = "morph"
    bones: int = 32
    quantize: bool = False
    draco: bool = False
    sparse: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"Option format must be one of {', '.join(FORMATS)}, got {self.format!r}.")
        if self.anim not in ANIMATIONS:
            raise ConfigError(f"Option anim must be one of {', '.join(ANIMATIONS)}, got {self.anim!r}.")
        if self.format != "glb" and self.changes_glb:
            raise ConfigError(
                f"Options anim, quantize, draco and sparse are for GLB, not for {self.format}; leave them out."
            )
        if self.draco and self.anim == "morph":
            raise ConfigError("Option draco compresses skins; add anim=skin or anim=both, or leave it out.")
        if self.draco and self.quantize:
            raise ConfigError("Options draco and quantize both make integers of a skin's mesh; leave one out.")

    @property
    def changes_glb(self) -> bool:
        """Whether any option asks for another GLB than the usual one."""
        return self.anim != "morph" or self.quantize or self.draco or self.sparse


def skin_path(output: Path) -> Path:
    """Where anim "both" puts the skin. Two animations of one file would add up in viewers that play all of them."""
    return output.with_name(f"{output.stem}_skin{output.suffix}")


@dataclass(frozen=True)
class ReconstructConfig:
    """A whole reconstruction, stage by stage.

    fps: frames per second of the output. seed: of every random choice. views_model: folder or hub id of another view
    generator. release: of the weights, None = the newest.

    Raises:
        ConfigError: a value is out of range.
    """

    fps: float = 30.0
    seed: int = 0
    views_model: str | None = None
    release: str | None = None
    ingest: IngestConfig = field(default_factory=IngestConfig)
    posed: PosedConfig = field(default_factory=PosedConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    texture: TextureConfig = field(default_factory=TextureConfig)
    export: ExportConfig = field(default_factory=ExportConfig)

    def __post_init__(self) -> None:
        for path, (lowest, highest) in RANGES.items():
            value: object = self
            for name in path.split("."):
                value = getattr(value, name)
            # `not <=` rather than `>`, which would let NaN through
            if isinstance(value, int | float) and not lowest <= value <= highest:
                name = next((option for option, paths in OPTION_PATHS.items() if path in paths), path)
                raise ConfigError(f"Option {name} must be from {lowest:.15g} to {highest:.15g}, got {value}.")
        for part in (self.ingest, self.posed):
            start, end = part.start or 0.0, part.end
            if end is not None and end <= start:
                raise ConfigError(f"Option end must come after start, got {end} after {start}.")


RANGES: dict[str, tuple[float, float]] = {
    "fps": (0.01, 240),
    "seed": (0, 2**63 - 1),
    "ingest.start": (0, 1e9),
    "ingest.end": (0, 1e9),
    "ingest.input_fps": (0.01, 1000),
    "ingest.size": (16, 4096),
    "ingest.margin": (0, 4),
    "ingest.max_frames": (1, 100_000),
    "ingest.max_side": (16, 16_384),
    "posed.start": (0, 1e9),
    "posed.end": (0, 1e9),
    "posed.input_fps": (0.01, 1000),
    "posed.max_frames": (1, 100_000),
    "posed.keyframe_stride": (1, 1_000_000),
    "posed.size": (16, 4096),
    "views.keyframe_stride": (1, 1_000_000),
    "views.steps": (0, 1000),
    "views.tries": (1, 100),
    "views.elevation": (-89, 89),
    "views.field_of_view": (1, 150),
    "refinement.seconds": (0, 86_400),
    "refinement.rays": (1, 1_000_000),
    "refinement.samples": (1, 1024),
    "refinement.rate": (1e-6, 10),
    "refinement.opacity": (0, 1e6),
    "refinement.proximity": (0, 1e6),
    "refinement.generated": (0, 1),
    "track.vertices": (100, 1_000_000),
    "track.control_vertices": (100, 1_000_000),
    "track.second_looks": (0, 8),
    "track.resolution": (16, 1024),
    "track.step_resolution": (16, 1024),
    "track.stiffness": (1e-6, 1e6),
    "track.iterations": (1, 1000),
    "track.smoothing": (0, 1000),
    "track.polish": (0, 1000),
    "track.samples": (100, 10_000_000),
    "track.largest_speed": (1e-6, 1e6),
    "track.template": (0, 1_000_000),
    "track.level": (-math.inf, math.inf),
    "track.span": (1, 1000),
    "track.evaluations": (0, 1000),
    "track.picture_rounds": (0, 1000),
    "track.picture_stiffness": (1e-6, 1e6),
    "track.recognitions": (0, 100),
    "track.surface_rounds": (0, 1000),
    "track.surface_stiffness": (1e-6, 1e6),
    "track.outline_rounds": (0, 1000),
    "track.outline_stiffness": (1e-6, 1e6),
    "texture.size": (64, 8192),
    "texture.observations": (1, 10_000),
    "export.bones": (1, 250),
}
"""Lowest and highest value of every number."""

_OWN = {f.name: (f.name,) for f in fields(ReconstructConfig) if f.name in ("fps", "seed", "views_model", "release")}
OPTION_PATHS: dict[str, tuple[str, ...]] = {
    **_OWN,
    "start": ("ingest.start", "posed.start"),
    "end": ("ingest.end", "posed.end"),
    "matte": ("ingest.matte", "posed.matte"),
    "max_frames": ("ingest.max_frames", "posed.max_frames"),
    "input_fps": ("ingest.input_fps", "posed.input_fps"),
    "keyframe_stride": ("posed.keyframe_stride", "views.keyframe_stride"),
    "steps": ("views.steps",),
    "view_tries": ("views.tries",),
    "elevation": ("views.elevation",),
    "field_of_view": ("views.field_of_view",),
    "refine": ("refinement.seconds",),
    "vertices": ("track.vertices",),
    "texture_size": ("texture.size",),
    "anim": ("export.anim",),
    "bones": ("export.bones",),
    "quantize": ("export.quantize",),
    "draco": ("export.draco",),
    "sparse": ("export.sparse",),
}
"""The short names of the command line -> where the value goes."""
