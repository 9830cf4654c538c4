"""A folder of assets: what is drawn, what is left out, what a pack keeps."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from lim_cli.core.errors import InputError, MissingError
from lim_cli.data.asset_library import HELD_OUT_ASSETS, TWINS, AssetLibrary, load_pack
from tests.data.rigged_cubes import GlbBuilder, turning_cube


def still_cube(path: Path) -> Path:
    builder = GlbBuilder()
    node = builder.node(mesh=builder.cube_mesh())
    builder.animate(node, "translation", [0.0, 1.0], [(0, 0, 0), (0, 0, 0)])
    return builder.save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", HELD_OUT_ASSETS[0], TWINS[0]):
        turning_cube(tmp_path / f"{name}.glb")
    still_cube(tmp_path / "still.glb")
    return tmp_path


def test_draws_moving_assets_only(folder: Path) -> None:
    library = AssetLibrary(folder)
    assert library.names == ("a", "b", "still")
    rng = np.random.default_rng(0)
    drawn = {library.draw(rng).rig.name for _ in range(30)}
    assert drawn == {"a", "b"}
    thing = library.draw(rng).normalised(np.array([0.0, 0.5]), 0.8)
    assert np.linalg.norm(thing.vertices(0.2), axis=1).max() == pytest.approx(0.8, abs=1e-4)


def test_same_seed_same_draw_whatever_came_before(folder: Path) -> None:
    library = AssetLibrary(folder)
    first = library.draw(np.random.default_rng(5))
    for seed in range(10):
        library.draw(np.random.default_rng(seed))
    second = library.draw(np.random.default_rng(5))
    assert first.rig.name == second.rig.name
    np.testing.assert_array_equal(first.vertices(0.3), second.vertices(0.3))


def test_exclude_and_only(folder: Path) -> None:
    assert AssetLibrary(folder, exclude=("a",)).names == ("b", "still")
    assert AssetLibrary(folder, only=HELD_OUT_ASSETS[:1]).names == HELD_OUT_ASSETS[:1]
    with pytest.raises(MissingError, match="no asset 'zebra'"):
        AssetLibrary(folder, only=("zebra",))


def test_broken_files_are_skipped_with_a_warning(folder: Path) -> None:
    (folder / "a.glb").write_bytes(b"glTF nonsense")
    library = AssetLibrary(folder, exclude=("still",))
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="'a' is skipped"):
        assert {library.draw(rng).rig.name for _ in range(20)} == {"b"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once is enough
        library.draw(rng)


def test_nothing_usable(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MissingError):
        AssetLibrary(empty)
    with pytest.raises(MissingError, match="can be used"):
        AssetLibrary(folder, only=("still",)).draw(np.random.default_rng(0))


def test_pack_keeps_the_assets(folder: Path, tmp_path: Path) -> None:
    library = AssetLibrary(folder)
    path = tmp_path / "out" / "assets.npz"
    library.save_pack(path)
    packed = load_pack(path, exclude=("b",))
    assert packed.names == ("a", "still")
    original, copy = library.item("a"), packed.item("a")
    assert original is not None
    assert copy is not None
    assert copy.motion == original.motion
    np.testing.assert_allclose(
        copy.rig.evaluate("move", 1.7), original.rig.evaluate("move", 1.7), atol=2e-3
    )  # half-precision key values
    np.testing.assert_array_equal(copy.rig.paint.material_colour, original.rig.paint.material_colour)


def test_packs_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        load_pack(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"not a pack")
    with pytest.raises(InputError):
        load_pack(tmp_path / "bad.npz")
