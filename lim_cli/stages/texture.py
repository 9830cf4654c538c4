"""Stage 50: one UV atlas and one texture for all times, from the input's own pixels where they saw the surface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.geometry.mesh import Mesh, TexturedTrack, TrackedMesh
from lim_cli.geometry.texture_baking import TextureCoverage, bake_texture
from lim_cli.geometry.texture_projection import Observation
from lim_cli.geometry.texture_trust import sharpness
from lim_cli.geometry.uv_atlas import unwrap
from lim_cli.stages.config import TextureConfig
from lim_cli.stages.failures import require_finite
from lim_cli.stages.networks import Networks
from lim_cli.stages.surface import FieldQuery

STAGE_VERSION = 2
GENERATED_WEIGHT = 0.25


def run(
    track: TrackArtifact,
    views: ViewsArtifact,
    clip: ClipArtifact | None,
    keyframes: KeyframesArtifact,
    config: TextureConfig,
    networks: Networks,
    *,
    pieces: Pieces | None = None,
    progress: Progress | None = None,
) -> tuple[TextureArtifact, TextureCoverage]:
    """Unwraps the mesh and bakes: input pixels first, generated views next, the triplane's colour last.

    clip: the input frames of a single-camera clip; None for posed views, which are input themselves.
    pieces: keeps the atlas.

    Raises:
        NumericalError: the triplane's colour is NaN.
    """
    progress, pieces = progress or SilentProgress(), pieces or Pieces()
    with progress.task("Unwrapping and baking the texture", 2) as task:
        vertex_map, faces, uv = _atlas(track.track.at(0), config.size, pieces)
        split = TrackedMesh(track.track.vertices[:, vertex_map], faces, track.track.times)
        task.advance()
        colour = FieldQuery(networks.lrm.field, keyframes.output(0, networks.device).triplane[0])
        chosen = _Chosen.among(views, clip, config.observations)
        instants = np.unique([split.times[0], *views.keyframe_times[chosen.keyframes], *chosen.frame_times(clip)])
        baked = bake_texture(
            split.at_times(instants),
            uv,
            lambda: _observations(instants, views, clip, chosen),
            size=config.size,
            fallback_colour=colour.values,
        )
        task.advance()
    return TextureArtifact(TexturedTrack(split, uv, baked.texture)), baked.coverage


def _atlas(mesh: Mesh, size: int, pieces: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`unwrap`, kept."""
    stored = pieces.load("atlas")
    if stored is None:
        stored = dict(zip(("vertex_map", "faces", "uv"), unwrap(mesh, size), strict=True))
        require_finite("A texture coordinate", stored["uv"])
        pieces.save("atlas", stored)
    return stored["vertex_map"], stored["faces"], stored["uv"]


@dataclass(frozen=True)
class _Chosen:
    """Which pictures are projected. keyframes, frames: indices, increasing."""

    keyframes: list[int]
    frames: list[int]

    @staticmethod
    def among(views: ViewsArtifact, clip: ClipArtifact | None, most: int) -> _Chosen:
        """At most `most` keyframes, evenly spread, and of as many equal stretches of the clip the sharpest frame."""
        count = len(views.keyframe_times)
        keyframes = sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))
        if clip is None:
            return _Chosen(keyframes, [])
        stretches = np.array_split(np.arange(len(clip.times)), min(len(clip.times), most))
        return _Chosen(keyframes, [max(part.tolist(), key=lambda n: sharpness(clip.rgba[n])) for part in stretches])

    def frame_times(self, clip: ClipArtifact | None) -> list[float]:
        return [] if clip is None else clip.times[self.frames].tolist()


def _observations(
    instants: np.ndarray, views: ViewsArtifact, clip: ClipArtifact | None, chosen: _Chosen
) -> Iterator[Observation]:
    """The chosen pictures; their times are among `instants`."""
    posed = views.source == "posed"
    for k in chosen.keyframes:
        cameras = views.cameras_at(k)
        for view in range(views.rgba.shape[1]):
            if not posed and view == 0 and clip is not None:
                continue  # the clip's own frames show it in full resolution
            yield Observation(
                int(np.searchsorted(instants, views.keyframe_times[k])),
                views.rgba[k, view],
                cameras.world_from_camera[view].numpy(),
                cameras.intrinsics[view].numpy(),
                1.0 if posed else GENERATED_WEIGHT,
            )
    if clip is None:
        return
    cameras = views.cameras_at(0).resized((clip.rgba.shape[1], clip.rgba.shape[2]))
    for n in chosen.frames:
        yield Observation(
            int(np.searchsorted(instants, clip.times[n])),
            clip.rgba[n],
            cameras.world_from_camera[0].numpy(),
            cameras.intrinsics[0].numpy(),
        )
