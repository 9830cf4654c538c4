"""Every kind of file the program reads, small and whole, with the function that reads it."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pygltflib as gl
import torch
from PIL import Image

from lim_cli.artifacts.folder_io import save_arrays
from lim_cli.artifacts.generation import Generation, InputCamera
from lim_cli.artifacts.keyframes import KeyframesArtifact, save_keyframe, save_keyframe_times
from lim_cli.artifacts.manifest import Manifest, read_manifest
from lim_cli.artifacts.run_folder import RunFolder
from lim_cli.artifacts.store import ClipArtifact, TextureArtifact, TrackArtifact, TriplaneArtifact, ViewsArtifact
from lim_cli.cli.train import resolve
from lim_cli.core.camera import orbit_cameras
from lim_cli.core.config import from_plain, to_plain
from lim_cli.core.errors import InputError
from lim_cli.data.asset_library import AssetLibrary, load_pack
from lim_cli.data.gltf_reading import read_rig
from lim_cli.diffusion.adapter import load_views_pipeline
from lim_cli.diffusion.configs import TINY, VOLUME_PRESETS
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser
from lim_cli.diffusion.frustum_volume import FrustumVolume
from lim_cli.diffusion.pipeline import save_pipeline
from lim_cli.export.gltf import write_glb
from lim_cli.export.inspect import inspect_glb
from lim_cli.export.viewer_page import ViewedModel, check_viewable, viewer_page
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.models.checkpoints import save_model
from lim_cli.models.lim import LIM
from lim_cli.models.presets import lim_config, load_lim, load_lrm
from lim_cli.models.releases import table, verify
from lim_cli.stages import posed
from lim_cli.stages.config import ReconstructConfig
from lim_cli.training.config import TrainConfig
from lim_cli.video.cropping import CropInfo
from lim_cli.video.matting import matte
from lim_cli.video.reading import probe, read_clip
from tests.data.rigged_cubes import GlbBuilder, cube, turning_cube
from tests.fuzz.harness import Subject
from tests.support.tiny_models import tiny_lrm, tiny_matching, tiny_rig, tiny_views

SIDE = 32
FRAMES = 6


def all_subjects() -> list[Subject]:
    """Builds them all; takes some seconds, mostly imports."""
    return [*videos(), *pictures(), *meshes(), *scenes(), *artifacts(), *models(), *settings()]


def whole_folder(name: str, write: Callable[[Path], Any], read: Callable[[Path], Any], *targets: str) -> Subject:
    """A subject of the files that `write` puts into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder)
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return Subject(name, files, read, tuple(n for n in files if not targets or n.endswith(targets)))


def disc(number: int) -> np.ndarray:
    """A disc that moves to the right: [SIDE, SIDE, 4] uint8, with a texture."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    inside = np.hypot(x - SIDE * (0.4 + 0.03 * number), y - SIDE / 2) < SIDE * 0.3
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    rgba[..., 0], rgba[..., 1], rgba[..., 2] = x * 7, y * 7, 90
    rgba[..., 3] = inside * 255
    return rgba


def on_white(rgba: np.ndarray) -> np.ndarray:
    """RGB [SIDE, SIDE, 3] uint8 of a disc on white."""
    return np.where(rgba[..., 3:] > 0, rgba[..., :3], 255).astype(np.uint8)


# Videos and pictures


def videos() -> list[Subject]:
    def subject(name: str, codec: str, pixels: str) -> Subject:
        def write(folder: Path) -> None:
            with av.open(str(folder / name), "w") as container:
                stream = container.add_stream(codec, rate=12)
                stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, pixels
                for number in range(FRAMES):
                    rgba = disc(number)
                    if "yuva" not in pixels:
                        rgba[..., :3] = on_white(rgba)
                    frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
                    container.mux(stream.encode(frame.reformat(format=pixels)))
                container.mux(stream.encode(None))

        return whole_folder(name, write, lambda folder: _read_clip(folder / name))

    return [
        subject("mpeg4.mp4", "mpeg4", "yuv420p"),
        subject("h264.mp4", "libx264", "yuv420p"),
        subject("h264.mkv", "libx264", "yuv444p"),
        subject("prores.mov", "prores_ks", "yuva444p10le"),
        subject("vp9.webm", "libvpx-vp9", "yuva420p"),
        subject("mjpeg.avi", "mjpeg", "yuvj420p"),
    ]


def _read_clip(path: Path) -> None:
    """As ingest does: probe, read, matte."""
    probe(path)
    matte(read_clip(path, max_frames=16, max_side=64), "auto")


def pictures() -> list[Subject]:
    frames = [Image.fromarray(disc(n)) for n in range(FRAMES)]

    def single(name: str, mode: str = "RGBA", **options: Any) -> Subject:
        stream = io.BytesIO()
        picture = frames[0] if mode == "RGBA" else Image.fromarray(on_white(disc(0)))
        if mode == "I;16":
            picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
        picture.save(stream, name[name.rfind(".") + 1 :].replace("jpg", "jpeg"), **options)
        return Subject(name, {name: stream.getvalue()}, lambda folder: _read_clip(folder / name))

    moving: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 80}

    def folder_of_pictures(folder: Path) -> None:
        for number, frame in enumerate(frames[:3]):
            frame.save(folder / f"{number}.png")

    return [
        single("still.png"),
        single("grey16.png", "I;16"),
        single("still.jpg", "RGB"),
        single("still.bmp", "RGB"),
        single("still.tiff", compression="tiff_lzw"),
        single("moving.gif", **moving),
        single("moving.webp", **moving),
        single("moving.png", **moving),
        single("still.avif"),
        whole_folder("picture_folder", folder_of_pictures, _read_clip),
    ]


# Meshes


def meshes() -> list[Subject]:
    def rigged(folder: Path) -> None:
        everything(folder / "rigged.glb")

    def textured(folder: Path) -> None:
        write_glb(folder / "track.glb", _textured())

    def sparse(folder: Path) -> None:
        write_glb(folder / "sparse.glb", _textured(), quantize=True, sparse=True)

    def compressed(folder: Path) -> None:
        write_glb(folder / "draco.glb", _textured(), motion="skin", bones=2, draco=True)

    def text(folder: Path) -> None:
        everything(folder / "rigged.glb")
        document = gl.GLTF2().load_binary(str(folder / "rigged.glb"))
        document.convert_buffers(gl.BufferFormat.BINFILE)
        document.save_json(str(folder / "rigged.gltf"))
        (folder / "rigged.glb").unlink()

    def pack(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as assets:
            turning_cube(Path(assets) / "cube.glb")
            AssetLibrary(Path(assets)).save_pack(folder / "pack.npz")

    def read_pack(folder: Path) -> None:
        library = load_pack(folder / "pack.npz")
        library.draw(np.random.default_rng(0)).normalised(np.linspace(0, 1, 3), 0.9)

    return [
        whole_folder("rigged_glb", rigged, lambda f: _play(f / "rigged.glb")),
        whole_folder("text_gltf", text, lambda f: _play(f / "rigged.gltf")),
        whole_folder("sparse_glb", sparse, lambda f: _play(f / "sparse.glb")),
        whole_folder("inspect_glb", textured, lambda f: inspect_glb(f / "track.glb")),
        whole_folder("inspect_sparse_glb", sparse, lambda f: inspect_glb(f / "sparse.glb")),
        whole_folder("view_glb", compressed, lambda f: _view(f / "draco.glb")),
        whole_folder("inspect_draco_glb", compressed, lambda f: inspect_glb(f / "draco.glb")),
        whole_folder("asset_pack", pack, read_pack),
    ]


def _view(path: Path) -> None:
    check_viewable(path)
    viewer_page([ViewedModel(path.name, path)])


def everything(path: Path) -> None:
    """A file with a skin, morph targets, a texture, a sparse accessor and every kind of animation."""
    builder = GlbBuilder()
    corners, _, _ = cube()
    joints = [builder.node(translation=[0.0, float(n), 0.0]) for n in range(2)]
    bound = builder.array(np.tile([[0, 1, 0, 0]], (24, 1)), "u1")
    shares = builder.array(np.tile([[0.5, 0.5, 0.0, 0.0]], (24, 1)))
    binds = builder.array(np.tile(np.eye(4), (2, 1, 1)))
    builder.gltf.skins.append(gl.Skin(joints=joints, inverseBindMatrices=binds))
    builder.node(mesh=builder.cube_mesh(JOINTS_0=bound, WEIGHTS_0=shares), skin=0)
    targets = [builder.array(corners * 0.2), builder.sparse(24, [0, 3], [[0, 1, 0], [1, 0, 0]])]
    morphed = builder.node(mesh=builder.cube_mesh(targets=targets), scale=[0.5, 0.5, 0.5])
    material = builder.texture(disc(0)[..., :3])
    painted = builder.node(
        mesh=builder.cube_mesh(TEXCOORD_0=builder.array(corners[:, :2])), matrix=np.eye(4).ravel().tolist()
    )
    builder.gltf.meshes[-1].primitives[0].material = material
    turns = [[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]]
    builder.animate(joints[1], "rotation", [0.0, 1.0], turns)
    builder.animate(joints[0], "translation", [0.0, 1.0], np.ones((6, 3)), "CUBICSPLINE")
    builder.animate(painted, "scale", [0.0, 0.5, 1.0], [[1, 1, 1], [2, 2, 2], [1, 1, 1]], "STEP")
    builder.animate(morphed, "weights", [0.0, 1.0], [0.0, 0.0, 1.0, 0.5])
    builder.save(path)


def _play(path: Path) -> None:
    rig = read_rig(path, texture_size=64)
    rig.evaluate(None, 0.0)
    for animation in rig.animations:
        rig.evaluate(animation.name, 0.5 * (animation.start + animation.end))


def _track() -> TrackedMesh:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    return TrackedMesh(np.stack([corners * s for s in (1.0, 1.5, 0.5)]).astype(np.float32), faces, np.arange(3) / 10)


def _textured() -> TexturedTrack:
    uv = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    return TexturedTrack(_track(), uv, disc(0)[..., :3].copy())


# Scene folders


def scenes() -> list[Subject]:
    def write(folder: Path) -> None:
        from lim_cli.data.scene import Scene, SceneKeyframe
        from lim_cli.data.scene_folder import write_scene

        cameras = orbit_cameras([0, 90, 180, 270], elevation=10, field_of_view=40, distance=3, size=(SIDE, SIDE))
        frames = [SceneKeyframe(np.stack([disc(n)] * 4), cameras, float(n)) for n in range(2)]
        write_scene(folder / "scene", Scene(tuple(frames), np.array([0.0, 0.5]), "scene"))

    def read(folder: Path) -> None:
        posed.run(folder / "scene", posed.PosedConfig(size=SIDE))

    return [
        whole_folder("transforms", write, read, "transforms.json"),
        whole_folder("scene_pictures", write, read, ".png"),
    ]


# Run folders


def artifacts() -> list[Subject]:
    times = np.array([0.0, 0.25])
    rgba = np.stack([disc(0), disc(1)])
    cameras = orbit_cameras([0, 90, 180, 270], elevation=10, field_of_view=40, distance=3, size=(SIDE, SIDE))
    camera = InputCamera(12.5, 40.0, "estimated", 4.0)
    generation = Generation(camera, (0, 1), (0.9, 0.95), 1, (0.9, 0.95), (0.8, None), (0.6, 0.6))
    records: dict[str, Any] = {
        "clip": ClipArtifact(rgba, times, CropInfo(-3, 2, 20, (30, 40))),
        "views": ViewsArtifact(np.stack([rgba[[0, 1, 0, 1]]] * 2), cameras, times, "generated", np.eye(4), generation),
        "triplanes": TriplaneArtifact(np.ones((2, 3, 4, 5, 5), np.float16), times),
        "track": TrackArtifact(_track(), np.ones((3, 4), np.float32)),
        "texture": TextureArtifact(_textured()),
    }

    def record(name: str, value: Any) -> Subject:
        return whole_folder(f"artifact_{name}", value.save, type(value).load)

    def keyframes(folder: Path) -> None:
        with torch.no_grad():
            save_keyframe(folder, 0, tiny_lrm()(tiny_views(), tiny_rig()))
        save_keyframe_times(folder, np.zeros(1))

    def read_keyframes(folder: Path) -> None:
        found = KeyframesArtifact.load(folder)
        for keyframe in range(len(found)):
            found.output(keyframe)

    manifest = Manifest("track", 1, {"track": {"vertices": 100}, "fps": 30.0}, {"a": "0" * 64}, {"lrm": "1" * 64}, 0)

    def run(folder: Path) -> None:
        with RunFolder(folder / "run") as opened, opened.store(manifest) as pieces:
            save_arrays(pieces.folder, {"times": times})
        (folder / "run" / ".lock").unlink()

    def read_run(folder: Path) -> None:
        with RunFolder(folder / "run") as opened:
            opened.is_complete(manifest)
            read_manifest(opened.stage_path("track"))
            opened.output_hashes("track")

    return [
        *(record(name, value) for name, value in records.items()),
        whole_folder("artifact_keyframes", keyframes, read_keyframes),
        whole_folder("manifest", run, read_run, "manifest.json"),
    ]


# Models and settings


def models() -> list[Subject]:
    lrm, pipeline = tiny_lrm(), MultiviewVideoDenoiser(TINY)
    lim, matching = LIM(lim_config("tiny")), tiny_matching()
    volume = FrustumVolume(VOLUME_PRESETS["tiny"])

    def release(folder: Path) -> None:
        (folder / "v1" / "lrm").mkdir(parents=True)
        save_model(folder / "v1" / "lrm", lrm, to_plain(lrm.config))
        (folder / "README.md").write_text(table(folder / "v1"))

    return [
        whole_folder("lrm", lambda f: save_model(f, lrm, to_plain(lrm.config)), load_lrm),
        whole_folder("lim", lambda f: save_model(f, lim, to_plain(lim.config)), load_lim),
        whole_folder("matching_lim", lambda f: save_model(f, matching, to_plain(matching.config)), load_lim),
        whole_folder("views", lambda f: save_pipeline(pipeline, f / "views", volume=volume), _read_views),
        whole_folder("weights_table", release, lambda f: verify(f / "v1"), "README.md"),
    ]


def _read_views(folder: Path) -> None:
    load_views_pipeline(folder / "views", "cpu")


def settings() -> list[Subject]:
    rows, tables = [], []
    for key, value in to_plain(TrainConfig()).items():
        if isinstance(value, dict):
            tables += [f"[{key}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())]
        elif value is not None and key != "task":
            rows.append(f"{key} = {json.dumps(value)}")
    text = "\n".join([*rows, *tables]) + "\n"
    options = json.dumps(to_plain(ReconstructConfig())).encode()
    return [
        Subject("reconstruct_options", {"a.json": options}, lambda f: _read_options(f / "a.json")),
        Subject("train_toml", {"a.toml": text.encode()}, lambda f: resolve("lrm", f / "a.toml", {}, [])),
    ]


def _read_options(path: Path) -> None:
    """The dataclasses alone: whatever JSON or TOML can say must be refused by them."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError("no JSON") from error
    if isinstance(values, dict):
        from_plain(ReconstructConfig, values)
