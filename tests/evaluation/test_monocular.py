"""Tables 4 and 5: cases whose frame is consistent, distances whose truth is known, and the whole table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import posed_scene
from quick_chain import SETTINGS
from shapes import sphere

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.errors import InputError, MissingError
from lim_cli.core.progress import SilentProgress
from lim_cli.data.scene_folder import read_scene
from lim_cli.evaluation import monocular
from lim_cli.evaluation.clip_optimisation import OPTIMISED, FitConfig, Rays, fit, render
from lim_cli.evaluation.monocular import compare_monocular, distances
from lim_cli.evaluation.monocular_cases import MonocularCase, procedural_clips, scene_clip
from lim_cli.evaluation.monocular_methods import (
    ORACLE,
    OURS,
    PER_FRAME,
    SINGLE,
    ChainConfig,
    Reconstruction,
    frame_by_frame,
    input_camera,
)
from lim_cli.evaluation.monocular_rows import monocular_rows
from lim_cli.evaluation.surface_points import carried_points
from lim_cli.evaluation.triposr import CAMERA_DISTANCE, FIELD_OF_VIEW, TripoSR, in_case
from lim_cli.geometry.mesh import Mesh, TrackedMesh
from lim_cli.stages.config import TextureConfig, TrackConfig
from lim_cli.stages.networks import Networks
from lim_cli.stages.views import camera_distance
from lim_cli.video.cropping import CropInfo

FRAMES = 3


def inside(points: np.ndarray, cameras: Cameras, rgba: np.ndarray) -> float:
    """Share of points [n, 3] whose pixel is within the pictures' [view, h, w, 4] mattes."""
    pixels, _ = cameras.project(torch.from_numpy(points).float()[None].expand(len(cameras), -1, -1))
    column, row = np.moveaxis(pixels.numpy().astype(int), -1, 0)
    side = rgba.shape[1]
    met = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    view = np.arange(len(cameras))[:, None]
    return float((met & (rgba[view, row.clip(0, side - 1), column.clip(0, side - 1), 3] > 0)).mean())


def check(case: MonocularCase) -> None:
    """True points lie inside the object in the clip, in the true views and in the unseen ones."""
    frame = case.shown[-1]
    points = case.tracks[frame]
    assert inside(points, input_camera(case), case.clip.rgba[frame][None]) > 0.97
    known = int(np.abs(case.true_views.keyframe_times - case.clip.times[frame]).argmin())
    assert inside(points, case.true_views.cameras_at(known), case.true_views.rgba[known]) > 0.97
    assert inside(points, case.novel, case.truth[-1]) > 0.97


def test_a_procedural_clip_is_one_world_seen_from_everywhere() -> None:
    (case,) = procedural_clips(1, frames=FRAMES)
    assert case.clip.rgba.shape == (FRAMES, 256, 256, 4)
    assert case.truth.shape == (FRAMES, 4, 128, 128, 4)
    assert np.abs(case.clip.rgba[0].astype(int) - case.clip.rgba[-1]).max() > 20
    check(case)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three time steps; the first view is also the clip, the others are unseen; tracks are points on the axis."""
    folder = posed_scene(tmp_path_factory.mktemp("scenes") / "object", times=3)
    path = folder / "transforms.json"
    table = json.loads(path.read_text())
    for frame in table["frames"]:
        frame["split"] = "input" if frame["view"] < 2 else "eval"
    first = [frame for frame in table["frames"] if frame["view"] == 0]
    lens = {key: first[0][key] for key in ("fl_x", "fl_y", "cx", "cy", "w", "h", "transform_matrix")}
    clip = [{"file_path": frame["file_path"], "time": frame["time"]} for frame in first]
    path.write_text(json.dumps(table | {"mono": lens | {"frames": clip}}))
    keyframes = read_scene(folder, split=None).keyframes
    points = np.random.default_rng(0).uniform(-1, 1, (3, 4000, 3))
    kept = np.stack([_seen(points[t], keyframes[t].cameras, keyframes[t].rgba) for t in range(3)]).all(0)
    np.savez(folder / "tracks.npz", points_mono=points[:, kept], times_mono=[k.time for k in keyframes])
    return folder


def _seen(points: np.ndarray, cameras: Cameras, rgba: np.ndarray) -> np.ndarray:
    """Which points [n, 3] lie inside the object's outline in every view."""
    return np.array([inside(point[None], cameras, rgba) == 1 for point in points])


def test_a_scenes_clip_lies_in_the_frame_of_its_camera(scene: Path) -> None:
    case = scene_clip(scene, frames=FRAMES)
    assert case.shown == (0, 1, 2)
    check(case)
    pose = case.true_views.cameras_at(0).world_from_camera
    nearest = float((pose - input_camera(case).world_from_camera).abs().amax((1, 2)).min())
    assert nearest < 0.15  # the clip's own camera is one of the true ones: moved, and turned to azimuth 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.pop("mono"), "block 'mono'"),
        (lambda table: table["mono"]["frames"].pop(), "3 frames in order"),
        (lambda table: table["mono"]["frames"][1].update(time=0.4), "not the times"),
    ],
)
def test_a_scene_without_a_whole_clip_is_refused(scene: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    path = scene / "transforms.json"
    whole = path.read_text()
    table = json.loads(whole)
    change(table)
    try:
        path.write_text(json.dumps(table))
        with pytest.raises(InputError, match=said):
            scene_clip(scene, frames=FRAMES)
    finally:
        path.write_text(whole)
    with pytest.raises(InputError, match="transforms"):
        scene_clip(scene / "absent")


STEP = np.array([0.2, 0.0, 0.0], np.float32)


def ball(offset: np.ndarray) -> Mesh:
    mesh = sphere(0.5)
    return Mesh(mesh.vertices * np.array([1.0, 0.8, 0.6], np.float32) + offset, mesh.faces)


def ball_case() -> MonocularCase:
    """A flattened ball that moves by STEP twice."""
    meshes = [ball(k * STEP) for k in range(FRAMES)]
    moving = TrackedMesh(np.stack([m.vertices for m in meshes]), meshes[0].faces, np.arange(3.0))
    cameras = orbit_cameras([0.0], elevation=0, field_of_view=30, distance=4, size=(64, 64))
    empty = np.zeros((FRAMES, 1, 64, 64, 4), np.uint8)
    clip = ClipArtifact(empty[:, 0], np.arange(3.0), CropInfo(0, 0, 64, (64, 64)))
    views = ViewsArtifact(empty, cameras, np.arange(3.0), "posed", np.eye(4))
    tracks = carried_points(moving, 3000)
    return MonocularCase("balls", "ball", clip, 0.0, 30.0, views, tracks, cameras, (0, 1, 2), empty)


def no_picture(frame: int, cameras: Cameras) -> np.ndarray:
    return np.zeros((len(cameras), *cameras.size, 4), np.uint8)


def found(step: np.ndarray, *, scale: float = 1.0) -> Reconstruction:
    meshes = [Mesh(scale * ball(k * step).vertices, ball(STEP).faces) for k in range(FRAMES)]
    moving = TrackedMesh(np.stack([m.vertices for m in meshes]), meshes[0].faces, np.arange(3.0))
    return Reconstruction(meshes, carried_points(moving, 3000), no_picture)


def test_distances_forgive_size_but_not_standing_still() -> None:
    case = ball_case()
    spacing = 0.05
    right, large, still = (distances(r, case) for r in (found(STEP), found(STEP, scale=1.4), found(0 * STEP)))
    assert all(float(right[name]) < spacing for name in right)
    assert all(float(large[name]) < spacing for name in large)
    assert float(still["cd_3d"]) < spacing
    assert float(still["cd_motion"]) == pytest.approx(2 * 0.2 / 1.4, abs=spacing)  # 0, 0.2, 0.4 off, both ways
    assert float(still["cd_4d"]) > 3 * float(right["cd_4d"])


def test_points_of_separate_meshes_follow_position_and_colour() -> None:
    meshes = [ball(k * STEP) for k in range(FRAMES)]
    painted = [20 * (m.vertices - k * STEP) for k, m in enumerate(meshes)]  # every point in a colour of its own
    tracks = frame_by_frame(meshes, painted).tracks
    np.testing.assert_allclose(tracks[-1] - tracks[0], np.broadcast_to(2 * STEP, tracks[0].shape), atol=0.09)


def test_a_field_fitted_to_a_flat_colour_shows_it() -> None:
    camera = orbit_cameras([0.0, 90.0], elevation=0, field_of_view=40, distance=3, size=(12, 12))
    from lim_cli.core.rays import camera_rays

    origins, directions = (rays.reshape(-1, 3) for rays in camera_rays(camera))
    colour = torch.tensor([0.8, 0.1, 0.3, 1.0]).expand(len(origins), -1)
    rays = Rays(origins, directions, colour, torch.zeros(len(origins)), torch.ones(len(origins)))
    config = FitConfig(iterations=60, rays=128, samples=16, plane=8, channels=4, hidden=16, rate=0.1)
    model = fit(rays, np.array([0.0, 1.0]), config, SilentProgress())
    with torch.no_grad():
        shown = render(model, 0.0, rays, 16, None)
    assert float((shown - colour).abs().mean()) < 0.05


def test_triposrs_camera_comes_to_ours() -> None:
    own = np.array([[CAMERA_DISTANCE, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], np.float32)
    moved = in_case(own, FIELD_OF_VIEW)
    np.testing.assert_allclose(moved[0], [0, 0, camera_distance(FIELD_OF_VIEW)], rtol=1e-5)
    assert moved[1, 0] > 0  # what it has at azimuth 90
    assert moved[2, 1] > 0  # and above


def test_triposr_that_is_not_here_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nobody/nothing"):
        TripoSR("nobody/nothing")
    with pytest.raises(MissingError, match=r"no config\.yaml and no model\.safetensors"):
        TripoSR(str(tmp_path))
    for name in ("config.yaml", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(MissingError, match="PYTHONPATH"):
        TripoSR(str(tmp_path))


@pytest.mark.parametrize(
    "chosen", [(OURS, SINGLE), pytest.param((OURS, SINGLE, PER_FRAME, OPTIMISED, ORACLE), marks=pytest.mark.slow)]
)
def test_the_table_on_the_tiny_release(
    chosen: tuple[str, ...], tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monocular, "POINTS", 500)
    networks = Networks("cpu", weights=tiny_weights)
    quick = TrackConfig(**{"vertices": SETTINGS["vertices"], **SETTINGS["track"]})
    every = monocular_rows(networks, iterations=20, chain=ChainConfig(quick, TextureConfig(size=64)))
    rows = {name: every[name] for name in chosen}
    report = compare_monocular(rows, procedural_clips(1, frames=2))
    (table,) = report.result.values()
    assert list(table) == list(rows)
    assert {"psnr", "psnr_fg", "ssim", "iou", "flip", "cd_3d", "cd_4d", "cd_motion", "seconds"} <= set(table[OURS])
    assert all(np.isfinite(float(value)) for row in table.values() for value in row.values())
    assert "lpips" not in table[OURS]
    assert any(note.startswith("No LPIPS column: LPIPS needs") for note in report.notes)
    assert any(f"below {SINGLE} (bar 30 %: " in note and "bar 0.25: " in note for note in report.notes)
    assert report.columns == ["input", "truth", *rows]
    ((name, strip),) = report.strips.items()
    assert name == report.cases[0]["case"]
    assert len(strip) == 2
    with pytest.raises(MissingError, match="FVD"):
        compare_monocular(rows, [], require=["fvd"])
