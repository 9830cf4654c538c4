"""Where pictures surround the object, the mesh settles on every keyframe's own surface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import disc_clip
from quick_chain import quick_config, reconstruct_quickly
from tiny_release import cached_weights

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.pieces import PIECES, Pieces
from lim_cli.artifacts.store import TrackArtifact, ViewsArtifact
from lim_cli.geometry.surface_pull import ColouredSurface
from lim_cli.stages import track
from lim_cli.stages.networks import Networks
from lim_cli.stages.tracer import Tracer

KEYFRAMES = 4


@pytest.fixture(scope="module")
def surrounded(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyframesArtifact, ViewsArtifact]:
    """Keyframes of a moving disc, and its four views as if they had been given with their cameras."""
    folder = tmp_path_factory.mktemp("surrounded")
    reconstruct_quickly(disc_clip(folder / "disc", frames=KEYFRAMES), folder, cached_weights())
    views = ViewsArtifact.load(folder / "run" / "10_views")
    return KeyframesArtifact.load(folder / "run" / "20_keyframes"), replace(views, source="posed", generation=None)


def traced(found: tuple[KeyframesArtifact, ViewsArtifact], folder: Path | None = None, **change: int) -> TrackArtifact:
    keyframes, views = found
    networks = Networks(weights=cached_weights(), needs=())
    config = replace(quick_config().track, **{"recognitions": 0, **change})  # type: ignore[arg-type]
    return track.run(keyframes, views, None, keyframes.times, config, networks, pieces=Pieces(folder))


def test_every_keyframe_but_the_template_lends_its_surface(
    surrounded: tuple[KeyframesArtifact, ViewsArtifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    lent: list[ColouredSurface] = []
    fit = Tracer.fit_surface

    def noted(self: Tracer, vertices: np.ndarray, surface: ColouredSurface) -> np.ndarray:
        lent.append(surface)
        return fit(self, vertices, surface)

    monkeypatch.setattr(Tracer, "fit_surface", noted)
    with_surfaces = traced(surrounded, template=2).track.vertices
    different = {id(surface): surface for surface in lent}
    assert len(different) == KEYFRAMES - 1
    assert all(0 <= s.colours.min() <= s.colours.max() <= 1 for s in different.values())
    lent.clear()
    without = traced(surrounded, template=2, surface_rounds=0).track.vertices
    assert not lent
    assert np.abs(with_surfaces - without).max() > 1e-3


@pytest.mark.parametrize("template", [0, 2])
def test_a_run_that_was_cut_off_ends_with_the_same_bytes(
    surrounded: tuple[KeyframesArtifact, ViewsArtifact],
    template: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = traced(surrounded, template=template).track
    save, saved = track.save_traced, 0

    def dying(*arguments: object) -> None:
        nonlocal saved
        if saved == 2:
            raise KeyboardInterrupt
        saved += 1
        save(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(track, "save_traced", dying)
        with pytest.raises(KeyboardInterrupt):
            traced(surrounded, tmp_path, template=template)
    assert (tmp_path / PIECES).is_dir()
    np.testing.assert_array_equal(traced(surrounded, tmp_path, template=template).track.vertices, whole.vertices)
