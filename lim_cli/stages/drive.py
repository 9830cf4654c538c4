"""The user's own mesh, moved by a tracked surface: the same file with morph targets and an animation added."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lim_cli.artifacts.store import TrackArtifact, ViewsArtifact
from lim_cli.core.errors import ConfigError, InputError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.user_mesh import CONVERTED, UserMesh, VertexArray, check_mesh, convert_to_glb, read_user_mesh
from lim_cli.export.driven_gltf import MorphPatch, write_driven_glb
from lim_cli.export.frame_thinning import choose_frames
from lim_cli.export.gltf import DROP_TOLERANCE
from lim_cli.geometry.carried_normals import NormalCarrier
from lim_cli.geometry.driven_mesh import drive
from lim_cli.geometry.mesh import TrackedMesh
from lim_cli.stages.failures import require_finite
from lim_cli.stages.mesh_alignment import Alignment, AlignMode, align_mesh

MOST_TARGETS = 240
FEWEST_TARGETS = 2
LARGEST_BYTES = 1_000_000_000
"""Of all morph targets; some four times as much is in memory while they are written."""
# A mesh further off than this share of its size was hardly laid on right.
FAR_OFF = 0.06


@dataclass(frozen=True)
class DriveConfig:
    """mesh: .glb, .gltf, .obj, .ply or .stl. align: see `mesh_alignment`. frame: that the mesh is posed like."""

    mesh: Path
    align: AlignMode = "auto"
    frame: int | None = None


@dataclass(frozen=True)
class DriveInfo:
    """What was written. frame: the one the mesh is posed like. distance: between the mesh and the tracked surface
    there, in parts of the size. scale: of the mesh to fit the track. duration: seconds. interpolation_error: largest
    distance of a dropped frame's vertex from where playback puts it, the file's units."""

    path: Path
    size_bytes: int
    vertices: int
    faces: int
    frames: int
    targets: int
    duration: float
    frame: int
    distance: float
    scale: float
    interpolation_error: float


def run(
    track: TrackArtifact,
    views: ViewsArtifact,
    config: DriveConfig,
    output: Path,
    *,
    progress: Progress | None = None,
) -> DriveInfo:
    """Writes the user's mesh, in its own world frame, moving as the track does.

    Raises:
        InputError: the mesh cannot be read, or is too large. ConfigError: there is no such frame. OutputError: it
            cannot be written.
        NumericalError: a vertex of the track lies at infinity in the user's world.
    """
    progress = progress or SilentProgress()
    check_mesh(config.mesh)
    times = track.track.times
    if config.frame is not None and not 0 <= config.frame < len(times):
        raise ConfigError(f"Option --mesh-frame must be in [0, {len(times) - 1}], got {config.frame}.")
    with tempfile.TemporaryDirectory(prefix="lim-mesh-") as folder:
        source = config.mesh
        if source.suffix.lower() in CONVERTED:
            source = Path(folder) / "mesh.glb"
            convert_to_glb(config.mesh, source)
        user = read_user_mesh(source)
        _check_size(user, len(times), config.mesh)
        _say_what_is_left_out(user, config.mesh, progress)
        return _write(user, source, track.track, views.world_from_model, config, output, progress)


def _write(
    user: UserMesh,
    source: Path,
    track: TrackedMesh,
    world_from_model: np.ndarray,
    config: DriveConfig,
    output: Path,
    progress: Progress,
) -> DriveInfo:
    # 1. The track in the user's world, where the mesh lies on it at one frame.
    world = track.vertices.astype(np.float64) @ world_from_model[:3, :3].T + world_from_model[:3, 3]
    require_finite("A vertex of the track", world)
    found = align_mesh(
        user.mesh, TrackedMesh(world, track.faces, track.times), config.align, frame=config.frame, progress=progress
    )
    off = f"{100 * found.distance:.1f} % of its size off the tracked surface of frame {found.frame}"
    advice = "; check the result, or set --mesh-frame and --mesh-align" if found.distance > FAR_OFF else ""
    progress.log(f"The mesh lies {off}{advice}.")
    there = TrackedMesh(_undo(found, world), track.faces, track.times)

    # 2. The mesh at every time.
    with progress.task("Moving the mesh", len(track.times) - 1) as task:
        moved = drive(user.mesh.vertices, user.mesh.faces, there, found.frame, each=task.advance)

    # 3. The frames the file keeps, as morph targets of each of its meshes.
    held = max(len(array.weights) for array in user.arrays)
    room = MOST_TARGETS - held
    if room < FEWEST_TARGETS:
        raise InputError(f"{config.mesh} has {held} morph targets already, too many; export it without them.")
    size = float(np.ptp(user.mesh.vertices, axis=0).max())
    kept, dropped_error = np.arange(len(track.times)), 0.0
    if len(kept) > room:
        kept, dropped_error = choose_frames(moved, track.times, max_frames=room, tolerance=DROP_TOLERANCE * size)
    shown = [int(f) for f in kept if f != found.frame] or [found.frame]  # a still track keeps one target
    with progress.task("Writing the GLB", len(user.arrays)) as task:
        patches = []
        for array in user.arrays:
            patches.append(_patch(array, user, moved, shown))
            task.advance()
        weights = np.array([[float(f == target) for target in shown] for f in kept], np.float32)
        names = [f"frame_{f:04d}" for f in shown]
        write_driven_glb(output, source, patches, track.times[kept] - track.times[0], weights, names)
    return DriveInfo(
        path=output,
        size_bytes=output.stat().st_size,
        vertices=len(user.mesh.vertices),
        faces=len(user.mesh.faces),
        frames=len(track.times),
        targets=len(shown),
        duration=float(track.times[-1] - track.times[0]),
        frame=found.frame,
        distance=round(found.distance, 5),
        scale=float(found.similarity.scale),
        interpolation_error=dropped_error,
    )


def _check_size(user: UserMesh, frames: int, path: Path) -> None:
    """Raises InputError for so many vertices and frames that they do not fit."""
    rows = sum(
        (array.rows.stop - array.rows.start) * (1 + (array.normals is not None) + (array.tangents is not None))
        for array in user.arrays
    )
    size = 12 * rows * min(frames, MOST_TARGETS)
    if size > LARGEST_BYTES:
        raise InputError(
            f"{path} has {len(user.mesh.vertices)} vertices, whose motion over {frames} frames would take "
            f"{size / 1e9:.1f} GB; simplify it, or trace fewer frames with --fps."
        )


def _undo(found: Alignment, points: np.ndarray) -> np.ndarray:
    """Points [..., 3] of the track's world in the mesh's."""
    by = found.similarity
    return np.asarray((points - by.translation) @ by.rotation / by.scale)


def _patch(array: VertexArray, user: UserMesh, moved: np.ndarray, shown: list[int]) -> MorphPatch:
    """Deltas of one vertex array at the frames `shown`."""
    rest = user.mesh.vertices[array.rows]
    positions = np.stack([array.local_offsets(moved[f][array.rows] - rest) for f in shown]).astype(np.float32)
    normals = tangents = None
    if array.normals is not None:
        world_tangents = None if array.tangents is None else array.world_directions(array.tangents)
        carrier = NormalCarrier(rest, array.faces, array.world_normals(array.normals), world_tangents)
        carried = [carrier.carry(moved[f][array.rows]) for f in shown]
        normals = np.stack([array.local_normals(n) - array.normals for n, _ in carried]).astype(np.float32)
        if array.tangents is not None:
            tangents = np.stack(
                [array.local_directions(t) - array.tangents for _, t in carried if t is not None]
            ).astype(np.float32)
    return MorphPatch(array.node, array.mesh, array.primitives, positions, normals, tangents, array.weights)


def _say_what_is_left_out(user: UserMesh, path: Path, progress: Progress) -> None:
    if user.is_animated:
        progress.log(f"{path.name} has animations of its own; its still pose is used and they are left out.")
    elif user.is_skinned:
        progress.log(f"{path.name} has a skeleton; its still pose is used.")
