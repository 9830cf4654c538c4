"""The views stage: the camera it takes, the try it keeps, and what it leaves alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import disc_clip
from tiny_release import cached_weights

from lim_cli.artifacts.generation import Generation
from lim_cli.artifacts.store import ClipArtifact
from lim_cli.core.config import to_plain
from lim_cli.models.camera import CameraEstimator
from lim_cli.models.checkpoints import save_model
from lim_cli.models.presets import camera_config
from lim_cli.stages import ingest, views
from lim_cli.stages.config import DEFAULT_ELEVATION, IngestConfig, ViewsConfig
from lim_cli.stages.networks import Networks
from lim_cli.stages.steps import Steps, open_run


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipArtifact:
    return ingest.run(disc_clip(tmp_path_factory.mktemp("clips") / "disc", frames=3), IngestConfig(size=64))


@pytest.fixture(scope="module")
def with_camera(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """The tiny release with a camera model beside the others that is sure of 25 degrees."""
    release = tmp_path_factory.mktemp("weights") / "v1"
    shutil.copytree(cached_weights() / "v1", release)
    model = CameraEstimator(camera_config("tiny"))
    bins = model.config.elevation
    with torch.no_grad():
        model.elevation.linear.weight.zero_()
        model.elevation.linear.bias.fill_(-30.0)
        model.elevation.linear.bias[round((25 - bins.lowest) / (bins.highest - bins.lowest) * (bins.count - 1))] = 0.0
    save_model(release / "camera", model, to_plain(model.config))
    return Networks(weights=release)


def elevation_of(found: object) -> float:
    position = found.cameras.world_from_camera[0, :3, 3].numpy()  # type: ignore[attr-defined]
    return float(np.degrees(np.arcsin(position[1] / np.linalg.norm(position))))


def test_the_camera_is_estimated_or_given_or_assumed(clip: ClipArtifact, with_camera: Networks) -> None:
    without = Networks(weights=cached_weights())
    assert without.camera is None
    for networks, config, elevation, source in (
        (with_camera, ViewsConfig(), 25.0, "estimated"),
        (with_camera, ViewsConfig(elevation=-5.0), -5.0, "given"),
        (without, ViewsConfig(), DEFAULT_ELEVATION, "assumed"),
    ):
        found = views.run(clip, config, networks)
        assert found.generation is not None
        camera = found.generation.camera
        assert camera.source == source
        assert camera.elevation == pytest.approx(elevation, abs=0.1)
        assert elevation_of(found) == pytest.approx(elevation, abs=0.1)
        assert (camera.spread is None) == (source != "estimated")
        assert found.cameras.world_from_camera[0, 0, 3] == pytest.approx(0, abs=1e-6)  # azimuth 0


def test_of_several_tries_the_one_that_agrees_best_is_kept(clip: ClipArtifact, with_camera: Networks) -> None:
    several = views.run(clip, ViewsConfig(tries=3), with_camera, seed=5)
    assert several.generation is not None
    generation = several.generation
    assert generation.seeds == (5, 6, 7)
    assert generation.scores[generation.chosen] == max(generation.scores)
    alone = views.run(clip, ViewsConfig(), with_camera, seed=generation.seeds[generation.chosen])
    np.testing.assert_array_equal(several.rgba, alone.rgba)
    assert alone.generation is not None
    assert alone.generation.scores == (generation.scores[generation.chosen],)
    assert len(generation.mask) == len(several.rgba)
    other = views.run(clip, ViewsConfig(), with_camera, seed=generation.seeds[generation.chosen - 1])
    np.testing.assert_array_equal(several.rgba[:, 0], other.rgba[:, 0])  # the input's own pixels, whatever was made up
    assert not np.array_equal(several.rgba[:, 1:], other.rgba[:, 1:])


def test_a_run_folder_remembers_the_camera_and_asks_again_only_for_another(
    clip: ClipArtifact, with_camera: Networks, tmp_path: Path
) -> None:
    source = disc_clip(tmp_path / "disc", frames=3)
    said: list[str] = []

    def go(config: ViewsConfig) -> float:
        with open_run(tmp_path / "run") as run:
            steps = Steps(run, with_camera)
            steps.ingest(source, IngestConfig(size=64))
            steps.progress.log = said.append  # type: ignore[method-assign]
            steps.views(config)
            found = steps.load_views()
            assert found.generation is not None
            assert found.generation == Generation.load(run.stage_path("views"))
            return steps.seconds["views"]

    assert go(ViewsConfig()) > 0
    assert "25 degrees above the object (estimated" in said[0]
    assert "agree" in said[1]
    assert go(ViewsConfig()) == 0
    manifest = json.loads((tmp_path / "run" / "10_views" / "manifest.json").read_text())
    assert set(manifest["weight_hashes"]) == {"views", "camera"}
    assert go(ViewsConfig(elevation=3.0)) > 0
    manifest = json.loads((tmp_path / "run" / "10_views" / "manifest.json").read_text())
    assert set(manifest["weight_hashes"]) == {"views"}
    assert "(given)" in said[2]
