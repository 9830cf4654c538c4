"""What a whole reconstruction can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from lim_cli.core.errors import ConfigError
from lim_cli.stages.export import ExportConfig
from lim_cli.stages.ingest import IngestConfig
from lim_cli.stages.posed import PosedConfig
from lim_cli.stages.texture import TextureConfig
from lim_cli.stages.track import TrackConfig
from lim_cli.stages.views import DEFAULT_ELEVATION, DEFAULT_FIELD_OF_VIEW, DEFAULT_STEPS, ViewsConfig


@dataclass(frozen=True)
class ReconstructConfig:
    """Options of `lim reconstruct`.

    fps: frames per second of the output. keyframe_stride: every how many input frames is a keyframe; None takes
    every second frame of a single-camera clip and every time step of a posed scene.
    texture_size: side of the texture in pixels. vertices: how many the mesh is simplified to.
    steps: sampling steps of the view generator. elevation, field_of_view: of the input camera in degrees.
    views_model: folder or hub id of another view generator. release: of the weights, None = the newest.
    """

    fps: float = 30.0
    keyframe_stride: int | None = None
    texture_size: int = 1024
    vertices: int = 6_000
    steps: int = DEFAULT_STEPS
    elevation: float = DEFAULT_ELEVATION
    field_of_view: float = DEFAULT_FIELD_OF_VIEW
    seed: int = 0
    views_model: str | None = None
    release: str | None = None
    quantize: bool = False
    sparse: bool = False
    anim: str = "morph"
    bones: int = 32
    ingest: IngestConfig = field(default_factory=IngestConfig)

    def __post_init__(self) -> None:
        stride, view = self.keyframe_stride, self.field_of_view
        _require(0 < self.fps <= 240, f"fps must be in (0, 240], got {self.fps}")
        _require(stride is None or stride >= 1, f"keyframe_stride must be at least 1, got {stride}")
        _require(64 <= self.texture_size <= 8192, f"texture_size must be in [64, 8192], got {self.texture_size}")
        _require(100 <= self.vertices <= 1_000_000, f"vertices must be in [100, 1000000], got {self.vertices}")
        _require(1 <= self.steps <= 1000, f"steps must be in [1, 1000], got {self.steps}")
        _require(-90 < self.elevation < 90, f"elevation must be in (-90, 90), got {self.elevation}")
        _require(1 <= view <= 150, f"field_of_view must be in [1, 150] degrees, got {view}")
        self.export("object")  # refuses what it does not know
        _require(0 <= self.seed < 2**63, f"seed must be a natural number below 2^63, got {self.seed}")

    @property
    def posed(self) -> PosedConfig:
        return PosedConfig(self.ingest.input_fps, self.keyframe_stride or 1)

    @property
    def views(self) -> ViewsConfig:
        return ViewsConfig(self.keyframe_stride or 2, self.steps, self.elevation, self.field_of_view)

    @property
    def track(self) -> TrackConfig:
        return TrackConfig(vertices=self.vertices)

    @property
    def texture(self) -> TextureConfig:
        return TextureConfig(size=self.texture_size)

    def export(self, name: str) -> ExportConfig:
        return ExportConfig(name=name, quantize=self.quantize, sparse=self.sparse, anim=self.anim, bones=self.bones)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(f"Option {message}.")
