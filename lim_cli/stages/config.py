"""What a whole reconstruction can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from lim_cli.core.errors import ConfigError
from lim_cli.stages.ingest import IngestConfig


@dataclass(frozen=True)
class ReconstructConfig:
    """Options of `lim reconstruct`.

    fps: frames per second of the output. keyframe_stride: every how many input frames is a keyframe.
    texture_size: side of the texture in pixels. vertices: how many the mesh is simplified to.
    steps: sampling steps of the view diffusion. elevation, field_of_view: of the input camera in degrees,
    None = the model's own. release: of the weights, None = the newest.
    """

    fps: float = 30.0
    keyframe_stride: int = 2
    texture_size: int = 1024
    vertices: int = 10_000
    steps: int = 8
    elevation: float | None = None
    field_of_view: float | None = None
    seed: int = 0
    release: str | None = None
    ingest: IngestConfig = field(default_factory=IngestConfig)

    def __post_init__(self) -> None:
        _require(0 < self.fps <= 240, f"fps must be in (0, 240], got {self.fps}")
        _require(self.keyframe_stride >= 1, f"keyframe_stride must be at least 1, got {self.keyframe_stride}")
        _require(
            64 <= self.texture_size <= 8192, f"texture_size must be in [64, 8192], got {self.texture_size}"
        )
        _require(
            100 <= self.vertices <= 1_000_000, f"vertices must be in [100, 1000000], got {self.vertices}"
        )
        _require(1 <= self.steps <= 1000, f"steps must be in [1, 1000], got {self.steps}")
        elevation = self.elevation
        _require(
            elevation is None or -90 < elevation < 90, f"elevation must be in (-90, 90), got {elevation}"
        )
        view = self.field_of_view
        _require(view is None or 1 <= view <= 150, f"field_of_view must be in [1, 150] degrees, got {view}")
        _require(0 <= self.seed < 2**63, f"seed must be a natural number below 2^63, got {self.seed}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(f"Option {message}.")
