"""Stage 50: one UV atlas and one texture for all times, from the input's own pixels where they saw the surface."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, TrackArtifact, ViewsArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.geometry.mesh import Mesh, TexturedTrack, TrackedMesh
from lim_cli.geometry.texture_baking import TextureCoverage, bake_texture
from lim_cli.geometry.texture_projection import Observation
from lim_cli.geometry.uv_atlas import unwrap
from lim_cli.stages.config import TextureConfig
from lim_cli.stages.failures import require_finite
from lim_cli.stages.networks import Networks
from lim_cli.stages.surface import FieldQuery

STAGE_VERSION = 1
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
        baked = bake_texture(
            split,
            uv,
            lambda: _observations(split, views, clip, config.observations),
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


def _observations(
    track: TrackedMesh, views: ViewsArtifact, clip: ClipArtifact | None, most: int
) -> Iterator[Observation]:
    """Images at those times of the track that are nearest to them."""
    posed = views.source == "posed"
    for k in _spread(len(views.keyframe_times), most):
        cameras = views.cameras_at(k)
        for view in range(views.rgba.shape[1]):
            if not posed and view == 0 and clip is not None:
                continue  # the clip's own frames show it in full resolution
            yield Observation(
                _nearest(track.times, views.keyframe_times[k]),
                views.rgba[k, view],
                cameras.world_from_camera[view].numpy(),
                cameras.intrinsics[view].numpy(),
                1.0 if posed else GENERATED_WEIGHT,
            )
    if clip is None:
        return
    cameras = views.cameras_at(0).resized((clip.rgba.shape[1], clip.rgba.shape[2]))
    for n in _spread(len(clip.times), most):
        yield Observation(
            _nearest(track.times, clip.times[n]),
            clip.rgba[n],
            cameras.world_from_camera[0].numpy(),
            cameras.intrinsics[0].numpy(),
        )


def _nearest(times: np.ndarray, time: float) -> int:
    return int(np.argmin(np.abs(times - time)))


def _spread(count: int, most: int) -> list[int]:
    """At most `most` indices of `count`, evenly spread, ends included."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))
