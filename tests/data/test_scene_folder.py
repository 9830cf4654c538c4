"""Scene folders of an analytic sphere: reading, writing, refusing, normalising."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lim_cli.core.axes import OPENGL_FROM_OPENCV
from lim_cli.core.camera import Cameras, orbit_pose
from lim_cli.core.errors import InputError, OutputError
from lim_cli.core.rays import camera_rays
from lim_cli.data.scene import Scene, SceneKeyframe
from lim_cli.data.scene_folder import read_scene, write_scene
from lim_cli.data.scene_normalise import normalise_scene, reframe_scene
from lim_cli.data.scene_transforms import Y_UP_FROM_Z_UP

SIZE = (48, 64)
CENTRE, RADIUS = np.array([3.0, -1.0, 2.0]), 0.6


def sphere_cameras(azimuths: tuple[float, ...], *, distance: float = 4.0) -> Cameras:
    poses = np.stack([orbit_pose(a, 10.0, distance, CENTRE) for a in azimuths]).astype(np.float32)
    intrinsics = torch.tensor([[70.0, 70.0, SIZE[1] / 2, SIZE[0] / 2]]).repeat(len(azimuths), 1)
    return Cameras(torch.from_numpy(poses), intrinsics, SIZE)


def draw_sphere(cameras: Cameras, centre: np.ndarray, radius: float) -> np.ndarray:
    """RGBA [view, height, width, 4] of an orange sphere, by the distance of each ray from its centre."""
    origins, directions = camera_rays(cameras)
    away = torch.linalg.cross(torch.from_numpy(centre).float() - origins, directions).norm(dim=-1)
    rgba = np.zeros((*away.shape, 4), np.uint8)
    rgba[(away < radius).numpy()] = (230, 120, 20, 255)
    return rgba


def sphere_scene(azimuths: tuple[float, ...] = (0, 90, 180, 270), times: tuple[float, ...] = (0.0, 0.5, 1.0)) -> Scene:
    cameras = sphere_cameras(azimuths)
    rgba = draw_sphere(cameras, CENTRE, RADIUS)
    keyframes = tuple(SceneKeyframe(rgba, cameras, time) for time in times)
    return Scene(keyframes, np.arange(len(times)) * 0.25, "sphere")


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads((folder / "transforms.json").read_text())
    edit(table)
    (folder / "transforms.json").write_text(json.dumps(table))


def test_round_trip(tmp_path: Path) -> None:
    scene = sphere_scene()
    write_scene(tmp_path / "s", scene)
    found = read_scene(tmp_path / "s")
    np.testing.assert_allclose(found.times_seconds, scene.times_seconds)
    for a, b in zip(found.keyframes, scene.keyframes, strict=True):
        assert a.time == b.time
        assert np.array_equal(a.rgba, b.rgba)
        torch.testing.assert_close(a.cameras.world_from_camera, b.cameras.world_from_camera)
        torch.testing.assert_close(a.cameras.intrinsics, b.cameras.intrinsics)
    write_scene(tmp_path / "s", scene)
    with pytest.raises(OutputError):
        write_scene(tmp_path, scene)


def test_views_are_sorted_by_azimuth_and_eval_is_left_out(tmp_path: Path) -> None:
    write_scene(tmp_path / "s", sphere_scene())

    def edit(table: dict[str, Any]) -> None:
        table["frames"].reverse()
        for frame in table["frames"]:
            if frame["view"] == 2:
                frame["split"] = "eval"
                (tmp_path / "s" / frame["file_path"]).write_bytes(b"must not be opened")

    change(tmp_path / "s", edit)
    scene = read_scene(tmp_path / "s")
    forward = scene.keyframes[0].cameras.world_from_camera[:, :3, 2]
    azimuths = torch.rad2deg(torch.atan2(-forward[:, 0], -forward[:, 2])).round() % 360
    assert azimuths.tolist() == [0, 90, 270]
    with pytest.raises(InputError):
        read_scene(tmp_path / "s", split="eval")


def test_z_up(tmp_path: Path) -> None:
    scene = sphere_scene()
    write_scene(tmp_path / "s", scene)

    def edit(table: dict[str, Any]) -> None:
        table["world_up"] = "z"
        for frame in table["frames"]:
            frame["transform_matrix"] = (Y_UP_FROM_Z_UP.T @ np.array(frame["transform_matrix"])).tolist()

    change(tmp_path / "s", edit)
    found = read_scene(tmp_path / "s").keyframes[0].cameras
    torch.testing.assert_close(found.world_from_camera, scene.keyframes[0].cameras.world_from_camera)
    np.testing.assert_allclose(Y_UP_FROM_Z_UP[:3, :3] @ [0, 0, 1], [0, 1, 0])


def test_input_fps_shared_intrinsics_and_max_side(tmp_path: Path) -> None:
    write_scene(tmp_path / "s", sphere_scene())

    def edit(table: dict[str, Any]) -> None:
        del table["time_seconds"]
        table["fl_x"] = 80.0
        for frame in table["frames"]:
            for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
                del frame[key]

    change(tmp_path / "s", edit)
    scene = read_scene(tmp_path / "s", input_fps=10, max_side=32)
    np.testing.assert_allclose(scene.times_seconds, [0, 0.1, 0.2])
    assert scene.keyframes[0].rgba.shape == (4, 24, 32, 4)
    assert scene.keyframes[0].cameras.intrinsics[0].tolist() == [40, 40, 16, 12]


def test_part_of_a_scene(tmp_path: Path) -> None:
    write_scene(tmp_path / "s", sphere_scene(times=tuple(np.linspace(0, 1, 9))))
    for n in (0, 8):  # nothing is read that is not kept
        file = tmp_path / "s" / f"images/t{n:03d}_v00.png"
        file.write_bytes(file.read_bytes()[:60])
    np.testing.assert_allclose(read_scene(tmp_path / "s", start=0.5, end=1.5).times_seconds, [0.5, 0.75, 1, 1.25])
    np.testing.assert_allclose(
        read_scene(tmp_path / "s", start=0.25, end=2, max_frames=3).times_seconds, [0.25, 1, 1.75]
    )
    with pytest.raises(InputError, match="between --start and --end"):
        read_scene(tmp_path / "s", start=2.5)


def test_rgb_gets_a_matte(tmp_path: Path) -> None:
    scene = sphere_scene()
    write_scene(tmp_path / "s", scene)
    for file in (tmp_path / "s" / "images").iterdir():
        rgba = np.array(Image.open(file))
        rgba[rgba[..., 3] == 0] = 255
        Image.fromarray(rgba[..., :3]).save(file)
    found = read_scene(tmp_path / "s").keyframes[1].rgba[..., 3] >= 128
    truth = scene.keyframes[1].rgba[..., 3] >= 128
    assert (found & truth).sum() / (found | truth).sum() > 0.97


def _first(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda table: table["frames"][0].__setitem__(key, value)


def _matrix(row: int, column: int, value: float) -> Callable[[dict[str, Any]], object]:
    return lambda table: table["frames"][0]["transform_matrix"][row].__setitem__(column, value)


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no frames": (lambda t: t.__setitem__("frames", []), "frames"),
    "absolute": (_first("file_path", "/etc/passwd"), "leaves"),
    "traversal": (_first("file_path", "../outside.png"), "leaves"),
    "backslashes": (_first("file_path", "images\\..\\..\\outside.png"), "leaves"),
    "percent-encoded": (_first("file_path", "%2e%2e/outside.png"), "does not exist"),
    "suffix left out": (_first("file_path", "../outside"), "leaves"),
    "link": (_first("file_path", "images/link.png"), "leaves"),
    "below a link": (_first("file_path", "away/outside.png"), "leaves"),
    "zero byte": (_first("file_path", "images/a\0.png"), "file_path"),
    "missing": (_first("file_path", "images/none.png"), "does not exist"),
    "no path": (_first("file_path", None), "file_path"),
    "no pose": (lambda t: t["frames"][0].pop("transform_matrix"), "transform_matrix"),
    "3x4": (lambda t: t["frames"][0]["transform_matrix"].pop(), "4x4"),
    "text": (_matrix(0, 0, "x"), "4x4"),  # type: ignore[arg-type]
    "nan": (_matrix(0, 3, float("nan")), "finite"),
    "scaled": (_matrix(0, 0, 5.0), "rotation"),
    "focal": (_first("fl_x", -1), "fl_x"),
    "size": (_first("w", 99), "'w'"),
    "huge": (_first("w", 10**9), "'w'"),
    "time": (_first("time", 2.0), "time"),
    "split": (_first("split", "maybe"), "split"),
    "distorted": (_first("k1", 0.1), "k1"),
    "up": (lambda t: t.__setitem__("world_up", "x"), "world_up"),
    "seconds": (lambda t: t.__setitem__("time_seconds", [0, 1]), "time_seconds"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "s"
    write_scene(folder, sphere_scene())
    Image.new("RGBA", SIZE[::-1]).save(tmp_path / "outside.png")
    (folder / "images" / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "away").symlink_to(tmp_path)
    edit, word = REFUSED[name]
    change(folder, edit)
    with pytest.raises(InputError, match=word) as caught:
        read_scene(folder)
    assert str(folder) in str(caught.value)


def test_broken_json_and_sizes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"transforms\.json"):
        read_scene(tmp_path)
    write_scene(tmp_path / "s", sphere_scene())
    change(tmp_path / "s", lambda t: [f.pop(k) for f in t["frames"] for k in "wh"])
    Image.new("RGBA", (9, 9)).save(tmp_path / "s" / "images" / "t001_v01.png")
    with pytest.raises(InputError, match="one size"):
        read_scene(tmp_path / "s")
    (tmp_path / "s" / "transforms.json").write_text("{")
    with pytest.raises(InputError, match="JSON"):
        read_scene(tmp_path / "s")


@pytest.mark.parametrize("azimuths", [(0, 90, 180, 270), (10, 70, 200)])
def test_normalise_finds_the_sphere(azimuths: tuple[float, ...]) -> None:
    scene, info = normalise_scene(sphere_scene(azimuths))
    np.testing.assert_allclose(info.centre, CENTRE, atol=0.03)
    assert 1 / info.scale == pytest.approx(RADIUS / 0.95, rel=0.05)
    np.testing.assert_allclose(info.world_from_model @ [0, 0, 0, 1], [*info.centre, 1])
    cameras = scene.keyframes[0].cameras
    model = np.linalg.inv(info.world_from_model) @ [*CENTRE, 1]
    redrawn = draw_sphere(cameras, model[:3], RADIUS * info.scale)
    assert (redrawn[..., 3] != scene.keyframes[0].rgba[..., 3]).mean() < 2e-3


def test_normalise_one_view() -> None:
    scene, info = normalise_scene(sphere_scene((0,), (0.0,)))
    pixels, depths = scene.keyframes[0].cameras.project(torch.zeros(1, 1, 3))
    assert info.scale > 0
    assert float(depths[0, 0]) > 0
    np.testing.assert_allclose(pixels[0, 0].numpy(), [32, 24], atol=1.0)


def test_reframe_keeps_cameras_true() -> None:
    scene, info = normalise_scene(sphere_scene())
    framed = reframe_scene(scene, size=40)
    keyframe = framed.keyframes[1]
    assert keyframe.rgba.shape == (4, 40, 40, 4)
    model = np.linalg.inv(info.world_from_model) @ [*CENTRE, 1]
    truth = draw_sphere(keyframe.cameras, model[:3], RADIUS * info.scale)[..., 3] > 0
    found = keyframe.rgba[..., 3] >= 128
    assert (truth & found).sum() / (truth | found).sum() > 0.93
    corner = OPENGL_FROM_OPENCV[0, 0] * 1.05
    poses = keyframe.cameras.world_from_camera
    pixels, _ = keyframe.cameras.project((poses[:, :3, 0] * corner)[:, None])
    np.testing.assert_allclose(pixels[:, 0, 0].numpy(), 40, atol=0.1)
