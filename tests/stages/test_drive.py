from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from bending_bar import LENGTH, curvature_at
from shapes import rotation
from user_models import BarModel, bar_model, tracked_bar

from lim_cli.artifacts.store import TrackArtifact, ViewsArtifact
from lim_cli.core.camera import orbit_cameras
from lim_cli.core.errors import ConfigError, InputError
from lim_cli.data.gltf_reading import read_rig
from lim_cli.data.user_mesh import read_user_mesh
from lim_cli.export.driven_gltf import read_document
from lim_cli.geometry.normals import vertex_normals
from lim_cli.stages.drive import DriveConfig, DriveInfo, run

TRACK = TrackArtifact(tracked_bar())
POSED_AT = 5


def views() -> ViewsArtifact:
    """The model frame is the world's, turned and shifted."""
    world = np.eye(4)
    cameras = orbit_cameras([0.0], elevation=0, field_of_view=40, distance=4, size=(8, 8))
    return ViewsArtifact(np.zeros((1, 1, 8, 8, 4), np.uint8), cameras, np.zeros(1), "posed", world)


def moved_error(model: BarModel, output: Path) -> float:
    """Largest distance of the driven vertices from the analytic motion, in parts of the object's length.

    A reader of ours drops vertices no face draws and may reorder the rest; the rest pose tells which is which.
    """
    rig = read_rig(output)
    (motion,) = rig.animations
    rest = rig.evaluate("motion", float(TRACK.track.times[POSED_AT]))
    truth = model.truth(curvature_at(0.1 * POSED_AT))
    partner = np.linalg.norm(rest[:, None] - truth[None], axis=2).argmin(axis=1)
    errors = [
        np.linalg.norm(rig.evaluate("motion", t) - model.truth(curvature_at(t))[partner], axis=1).max()
        for t in TRACK.track.times
    ]
    assert motion.end == pytest.approx(0.7)
    assert errors[POSED_AT] < 1e-5 * model.scale
    return float(max(errors)) / (model.scale * LENGTH)


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> tuple[BarModel, Path, DriveInfo]:
    folder = tmp_path_factory.mktemp("drive")
    model = bar_model(folder / "user.glb", curvature_at(0.1 * POSED_AT))
    output = folder / "elsewhere" / "out.glb"
    return model, output, run(TRACK, views(), DriveConfig(model.path), output)


def test_a_turned_and_scaled_model_moves_as_the_object_does(driven: tuple[BarModel, Path, DriveInfo]) -> None:
    model, output, info = driven
    assert info.frame == POSED_AT
    assert info.scale == pytest.approx(1 / 3, rel=0.02)
    assert (info.frames, info.targets) == (8, 7)
    assert moved_error(model, output) < 0.02


def test_all_else_in_the_file_stays(driven: tuple[BarModel, Path, DriveInfo]) -> None:
    model, output, _ = driven
    before, before_bytes = read_document(model.path)
    after, after_bytes = read_document(output)
    assert after_bytes.startswith(before_bytes)
    for key in set(before) - {"meshes", "accessors", "bufferViews", "buffers"}:
        assert after[key] == before[key], key
    for key in ("accessors", "bufferViews"):
        assert after[key][: len(before[key])] == before[key]
    for mesh, old in zip(after["meshes"], before["meshes"], strict=True):
        assert mesh["extras"].pop("targetNames")[0] == "frame_0000"
        assert mesh.pop("weights") == [0.0] * 7
        targets = [primitive.pop("targets") for primitive in mesh["primitives"]]
        assert {len(t) for t in targets} == {7}
        assert mesh == old
    one, two = read_document(output)[0]["meshes"][0]["primitives"]
    assert one["targets"] == two["targets"]  # primitives that share their vertices share the deltas


def test_normals_follow(driven: tuple[BarModel, Path, DriveInfo]) -> None:
    _, output, _ = driven
    document, blob = read_document(output)

    def values(number: int) -> np.ndarray:
        accessor = document["accessors"][number]
        start = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
        return np.frombuffer(blob, np.float32, accessor["count"] * 3, start).reshape(-1, 3)

    arrays = read_user_mesh(output).arrays
    for mesh, array in zip(document["meshes"], arrays, strict=True):
        primitive = mesh["primitives"][0]
        base, target = primitive["attributes"], primitive["targets"][0]
        points = values(base["POSITION"]) + values(target["POSITION"])
        normals = values(base["NORMAL"]) + values(target["NORMAL"])
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
        faced = np.einsum("vc,vc->v", normals, vertex_normals(points, array.faces))
        assert faced.min() > 0.98
        still = np.einsum("vc,vc->v", values(base["NORMAL"]), vertex_normals(points, array.faces))
        assert still.min() < 0.9


@pytest.mark.parametrize("mode", ["yaw", "none"])
def test_other_ways_to_lay_it_on(tmp_path: Path, mode: str) -> None:
    placed: dict[str, Any] = {} if mode == "yaw" else {"scale": 1.0, "turn": np.eye(3), "shift": (0, 0, 0)}
    model = bar_model(tmp_path / "user.glb", curvature_at(0.1 * POSED_AT), **placed)
    config = DriveConfig(model.path, mode, POSED_AT)  # type: ignore[arg-type]
    run(TRACK, views(), config, tmp_path / "out.glb")
    assert moved_error(model, tmp_path / "out.glb") < 0.02


def test_a_model_that_lies_on_its_side(tmp_path: Path) -> None:
    model = bar_model(tmp_path / "user.glb", curvature_at(0.1 * POSED_AT), turn=rotation(90, (1, 0, 0)))
    run(TRACK, views(), DriveConfig(model.path, frame=POSED_AT), tmp_path / "out.glb")
    assert moved_error(model, tmp_path / "out.glb") < 0.02


def test_an_obj_becomes_a_glb(tmp_path: Path) -> None:
    track = TRACK.track
    trimesh.Trimesh(track.vertices[POSED_AT], track.faces, process=False).export(tmp_path / "user.obj")
    info = run(TRACK, views(), DriveConfig(tmp_path / "user.obj", "none"), tmp_path / "out.glb")
    assert info.frame == POSED_AT
    rig = read_rig(tmp_path / "out.glb")
    rest = rig.evaluate("motion", float(track.times[POSED_AT]))
    partner = np.linalg.norm(rest[:, None] - track.vertices[POSED_AT][None], axis=2).argmin(axis=1)
    for frame, time in enumerate(track.times):
        error = np.linalg.norm(rig.evaluate("motion", time) - track.vertices[frame][partner], axis=1).max()
        assert error < 0.02 * LENGTH


def test_a_frame_of_the_track_lies_on_it(tmp_path: Path) -> None:
    track = TRACK.track
    trimesh.Trimesh(track.vertices[2], track.faces, process=False).export(tmp_path / "user.obj")
    for align in ("none", "auto"):
        info = run(TRACK, views(), DriveConfig(tmp_path / "user.obj", align), tmp_path / "out.glb")  # type: ignore[arg-type]
        assert info.frame == 2
        assert info.distance < 0.005


def test_a_motion_that_would_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = bar_model(tmp_path / "user.glb", curvature_at(0.1 * POSED_AT))
    monkeypatch.setattr("lim_cli.stages.drive.LARGEST_BYTES", 1000)
    with pytest.raises(InputError, match=r"over 8 frames would take .* simplify it"):
        run(TRACK, views(), DriveConfig(model.path), tmp_path / "out.glb")


def test_a_model_driven_before_can_be_driven_again(driven: tuple[BarModel, Path, DriveInfo], tmp_path: Path) -> None:
    model, output, _ = driven
    again = tmp_path / "again.glb"
    info = run(TRACK, views(), DriveConfig(output, "yaw", POSED_AT), again)
    document, _ = read_document(again)
    assert len(document["meshes"][0]["primitives"][0]["targets"]) == 14
    assert len(document["animations"]) == 1
    assert info.targets == 7
    assert moved_error(model, again) < 0.02


def test_files_beside_it_come_along(tmp_path: Path) -> None:
    model = bar_model(tmp_path / "user.glb", curvature_at(0.1 * POSED_AT))
    document, blob = read_document(model.path)
    (tmp_path / "mesh data.bin").write_bytes(blob)
    document["buffers"][0]["uri"] = "mesh%20data.bin"
    (tmp_path / "skin.png").write_bytes(b"picture")
    document["images"] = [{"uri": "skin.png"}]
    (tmp_path / "user.gltf").write_text(json.dumps(document))
    output = tmp_path / "out" / "user.glb"
    run(TRACK, views(), DriveConfig(tmp_path / "user.gltf", "yaw", POSED_AT), output)
    after, added = read_document(output)
    assert after["images"][0].keys() == {"bufferView", "mimeType"}
    assert added.startswith(blob)
    assert after["buffers"] == [{"byteLength": len(added)}]
    assert {view["buffer"] for view in after["bufferViews"]} == {0}


def test_what_cannot_be_driven_is_refused(tmp_path: Path) -> None:
    model = bar_model(tmp_path / "user.glb", 0.0)
    with pytest.raises(ConfigError, match=r"\[0, 7\], got 8"):
        run(TRACK, views(), DriveConfig(model.path, frame=8), tmp_path / "out.glb")
    (tmp_path / "bad.glb").write_bytes(b"glTF and no more")
    for name, message in (("none.glb", "no mesh"), ("bad.glb", "Cannot read"), ("x.fbx", "give a")):
        if name == "x.fbx":
            (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match=message):
            run(TRACK, views(), DriveConfig(tmp_path / name), tmp_path / "out.glb")
    assert not (tmp_path / "out.glb").exists()
