"""Ways to reconstruct sixteen frames of one camera, behind one protocol: the rows of Tables 4 and 5."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree
from torch import Tensor

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.progress import Progress
from lim_cli.evaluation.drawing import draw_coloured, draw_textured
from lim_cli.evaluation.monocular_cases import STRIDE, MonocularCase
from lim_cli.evaluation.surface_points import carried_points, surface_points
from lim_cli.geometry.mesh import Mesh
from lim_cli.models.triplane import FieldDecoder
from lim_cli.stages import keyframes as keyframes_stage
from lim_cli.stages import texture, track, views
from lim_cli.stages.config import TextureConfig, TrackConfig, ViewsConfig
from lim_cli.stages.networks import Networks
from lim_cli.stages.surface import FieldQuery, NoObjectError, agreeing_level, box_around, triplane_surface
from lim_cli.stages.views import camera_distance

OURS, SINGLE, PER_FRAME = "ours", "single-view LRM", "views + LRM"
ORACLE = "Oracle (true views)"
POINTS = 4096
ROUGH, RESOLUTION = 40, 72
"""Of marching cubes in the whole space, and in the object's box."""


@dataclass(frozen=True)
class Reconstruction:
    """What a method made of a case, in the case's frame.

    meshes: the surface of every frame. tracks: [frame, POINTS, 3], each index one point of the surface through all
    frames. draw: (frame, cameras [view]) -> [view, h, w, 4] uint8, straight alpha.
    """

    meshes: Sequence[Mesh]
    tracks: np.ndarray
    draw: Callable[[int, Cameras], np.ndarray]


class Method(Protocol):
    """A clip of one camera -> its surfaces, their points through time, and pictures of them."""

    def __call__(self, case: MonocularCase, progress: Progress) -> Reconstruction: ...


@dataclass(frozen=True)
class ChainConfig:
    """Options of tracing and texture, `lim reconstruct`'s own by default."""

    track: TrackConfig = field(default_factory=TrackConfig)
    texture: TextureConfig = field(default_factory=TextureConfig)


class WholeChain:
    """What `lim reconstruct` does: three generated views of every second frame, LRM, LIM, one traced textured mesh."""

    def __init__(self, networks: Networks, config: ChainConfig | None = None) -> None:
        self._networks, self._config = networks, config or ChainConfig()

    def __call__(self, case: MonocularCase, progress: Progress) -> Reconstruction:
        config = ViewsConfig(keyframe_stride=STRIDE, elevation=case.elevation, field_of_view=case.field_of_view)
        made = views.run(case.clip, config, self._networks, progress=progress)
        return traced(self._networks, made, case.clip, case.clip.times, self._config, progress)


class TrueViews:
    """The same chain with the true views in place of the generated ones, at the times where they are known."""

    def __init__(self, networks: Networks, config: ChainConfig | None = None) -> None:
        self._networks, self._config = networks, config or ChainConfig()

    def __call__(self, case: MonocularCase, progress: Progress) -> Reconstruction:
        return traced(self._networks, case.true_views, None, case.clip.times, self._config, progress)


def traced(
    networks: Networks,
    given: ViewsArtifact,
    clip: ClipArtifact | None,
    times: np.ndarray,
    config: ChainConfig,
    progress: Progress,
) -> Reconstruction:
    """LRM, LIM, tracing and texture as in a reconstruction, at the clip's own times."""
    with tempfile.TemporaryDirectory(prefix="lim-") as temporary:
        folder = Path(temporary)
        keyframes_stage.run(given, networks, Pieces(folder), progress=progress)
        keyframes = KeyframesArtifact.load(folder)
        found = track.run(keyframes, given, clip, times, config.track, networks, progress=progress)
        artifact, _ = texture.run(found, given, clip, keyframes, config.texture, networks, progress=progress)
    textured = artifact.textured
    moving = textured.track
    return Reconstruction(
        meshes=[moving.at(frame) for frame in range(len(times))],
        tracks=carried_points(moving, POINTS),
        draw=lambda frame, cameras: draw_textured(textured, frame, cameras),
    )


class SingleView:
    """LRM given nothing but the input view, frame by frame: what a single-image model (TripoSR) does with a video."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def __call__(self, case: MonocularCase, progress: Progress) -> Reconstruction:
        camera = input_camera(case)
        triplanes = (self._networks.encode(rgba[None], camera).triplane[0] for rgba in case.clip.rgba)
        return from_triplanes(self._networks.lrm.field, triplanes, case, progress)


class EveryFrame:
    """Views generated for every frame and LRM on each: our chain without LIM and without tracing."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def __call__(self, case: MonocularCase, progress: Progress) -> Reconstruction:
        config = ViewsConfig(keyframe_stride=1, elevation=case.elevation, field_of_view=case.field_of_view)
        made = views.run(case.clip, config, self._networks, progress=progress)
        encoded = (self._networks.encode(made.rgba[k], made.cameras_at(k)) for k in range(len(made.rgba)))
        return from_triplanes(self._networks.lrm.field, (o.triplane[0] for o in encoded), case, progress)


def from_triplanes(
    field: FieldDecoder, triplanes: Iterable[Tensor], case: MonocularCase, progress: Progress
) -> Reconstruction:
    """Frames that were reconstructed each by itself: the surface of every triplane [3, channel, h, w].

    The level is the one that agrees best with the first frame's matte. A frame without any surface keeps the one
    before.

    Raises:
        NoObjectError: the first frame has none.
    """
    meshes: list[Mesh] = []
    colours: list[np.ndarray] = []
    level = 0.0
    with progress.task("Extracting surfaces", len(case.clip.times)) as task:
        for frame, triplane in enumerate(triplanes):
            if frame == 0:
                matte = case.clip.rgba[:1, ..., 3] > 127
                level = agreeing_level(field, triplane, input_camera(case), matte)
            try:
                rough = triplane_surface(field, triplane, resolution=ROUGH, level=level)
                box = box_around(rough.vertices, 2 / ROUGH)
                mesh = triplane_surface(field, triplane, resolution=RESOLUTION, bounds=box, level=level)
                meshes.append(mesh)
                colours.append(FieldQuery(field, triplane).values(mesh.vertices))
            except NoObjectError:
                if not meshes:
                    raise
                meshes.append(meshes[-1])
                colours.append(colours[-1])
            task.advance()
    return frame_by_frame(meshes, colours)


def frame_by_frame(meshes: Sequence[Mesh], colours: Sequence[np.ndarray]) -> Reconstruction:
    """Meshes that share no topology, with colours [vertex, 3] in [0, 1] at their vertices.

    Their points go to the nearest surface point of the next frame in position and colour, as the paper's baseline of
    Table 3 does.
    """
    points, seen = surface_points(meshes[0], POINTS, attribute=colours[0])
    tracks = [points]
    for mesh, shown in zip(meshes[1:], colours[1:], strict=True):
        tree = cKDTree(np.concatenate([mesh.vertices, shown], 1))
        _, index = tree.query(np.concatenate([tracks[-1], seen], 1))
        tracks.append(mesh.vertices[index])
    return Reconstruction(
        meshes=meshes,
        tracks=np.stack(tracks),
        draw=lambda frame, cameras: draw_coloured(meshes[frame], colours[frame], cameras),
    )


def input_camera(case: MonocularCase) -> Cameras:
    """The camera [1] of the clip's frames."""
    size, angle = (case.clip.rgba.shape[1], case.clip.rgba.shape[2]), case.field_of_view
    return orbit_cameras(
        [0.0], elevation=case.elevation, field_of_view=angle, distance=camera_distance(angle), size=size
    )
