"""A folder of rigged .glb files, or a pack made from one, as an endless source of moving objects."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lim_cli.core.errors import PARSER_ERRORS, InputError, MissingError
from lim_cli.core.files import atomic_path
from lim_cli.core.npz import read_npz
from lim_cli.data.gltf_animation import Rig
from lim_cli.data.rig_packing import VERSION, pack_rig, unpack_rig
from lim_cli.data.rigged_object import RiggedObject, recoloured

HELD_OUT_ASSETS = ("fish_bluetang", "greenman", "mech_mike", "animal_shibainu")
TWINS = ("animal_husky",)
"""Of those: shape and animations so much alike that one tells of the other (the husky of the shiba)."""
MINIMUM_MOTION = 0.025  # of the object's size; below it an animation counts as standing still
_LEAST_MOTION = 0.01  # what the liveliest animation of an asset without any other must reach


@dataclass(frozen=True)
class LibraryItem:
    """One asset: its rig and the motion figure of each of its animations."""

    rig: Rig
    motion: dict[str, float]

    @property
    def moving(self) -> tuple[str, ...]:
        """Names of the animations with enough motion; else the liveliest one, unless it is at rest too."""
        enough = tuple(name for name, amount in self.motion.items() if amount >= MINIMUM_MOTION)
        if enough or not self.motion:
            return enough
        best = max(self.motion, key=lambda name: self.motion[name])
        return (best,) if self.motion[best] >= _LEAST_MOTION else ()


class AssetLibrary:
    """Assets by name, read when first used and kept in memory.

    The assets of HELD_OUT_ASSETS, and their TWINS, are left out unless `only` names them, since the evaluation scenes
    are made from the former.
    """

    names: tuple[str, ...]

    def __init__(
        self,
        folder: Path | str,
        *,
        exclude: tuple[str, ...] = (),
        only: tuple[str, ...] | None = None,
        texture_size: int = 256,
    ) -> None:
        """folder: .glb files, with an optional manifest.json that tells their motion.

        Raises:
            MissingError: the folder holds no .glb file to use.
        """
        folder = Path(folder)
        paths = {p.stem: p for p in sorted(folder.glob("*.glb"))}
        known = _manifest_motion(folder / "manifest.json")

        def reader(path: Path) -> Callable[[], LibraryItem]:
            def read() -> LibraryItem:
                from lim_cli.data.gltf_reading import read_rig

                rig = read_rig(path, texture_size=texture_size)
                return LibraryItem(rig, motion_figures(rig, known.get(path.stem, {})))

            return read

        self._setup({name: reader(path) for name, path in paths.items()}, str(folder), exclude, only)

    def save_pack(self, path: Path | str, *, texture_size: int = 256) -> None:
        """Writes every usable asset of this library to one compressed .npz without pickled objects."""
        entries: list[dict[str, Any]] = []
        arrays: dict[str, Any] = {}
        for name in self.names:
            item = self.item(name)
            if item is None:
                continue
            header, blobs = pack_rig(item.rig, texture_size)
            arrays.update({f"{len(entries)}/{dtype}": blob for dtype, blob in blobs.items()})
            entries.append({"rig": header, "motion": item.motion})
        text = json.dumps({"version": VERSION, "assets": entries}, separators=(",", ":"))
        arrays["header"] = np.frombuffer(text.encode(), np.uint8)
        with atomic_path(Path(path)) as partial, open(partial, "wb") as stream:
            np.savez_compressed(stream, **arrays)

    def item(self, name: str) -> LibraryItem | None:
        """The asset of that name; None, after one warning, if it cannot be read."""
        if name not in self._items:
            try:
                self._items[name] = self._readers[name]()
            except InputError as error:
                warnings.warn(f"Asset '{name}' is skipped: {error}", stacklevel=2)
                self._items[name] = None
        return self._items[name]

    def draw(self, rng: np.random.Generator, *, augment: bool = True) -> RiggedObject:
        """A random moving animation of a random asset, turned about +Y; `augment` mirrors and recolours too.

        Fit it to the phases in use by `normalised`.

        Raises:
            MissingError: no asset can be read and moves.
        """
        # A whole shuffle each time, so that what is drawn does not depend on which assets failed before.
        for choice in rng.permutation(len(self.names)):
            item = self.item(self.names[choice])
            if item is None or not item.moving:
                continue
            animation = item.moving[int(rng.integers(len(item.moving)))]
            yaw = float(rng.uniform(0, 360))
            if not augment:
                return RiggedObject(item.rig, animation, yaw=yaw)
            count = len(item.rig.paint.material_colour)
            mirrored = bool(rng.random() < 0.5)
            return RiggedObject(item.rig, animation, yaw=yaw, mirrored=mirrored, recolouring=recoloured(count, rng))
        raise MissingError(f"No asset in {self._source} can be used; it needs .glb files with moving animations.")

    def _setup(
        self,
        readers: dict[str, Callable[[], LibraryItem]],
        source: str,
        exclude: tuple[str, ...],
        only: tuple[str, ...] | None,
    ) -> None:
        self._readers, self._source = readers, source
        self._items: dict[str, LibraryItem | None] = {}
        if only is not None:
            absent = [name for name in only if name not in readers]
            if absent:
                raise MissingError(
                    f"{source} has no asset '{absent[0]}'; it has: {', '.join(sorted(readers)) or 'none'}."
                )
        left_out = set(exclude) | ({*HELD_OUT_ASSETS, *TWINS} if only is None else set())
        self.names = tuple(n for n in sorted(only or readers) if n not in left_out)
        if not self.names:
            raise MissingError(f"No .glb assets to use in {source}; name a folder that holds some.")


def load_pack(path: Path | str, *, exclude: tuple[str, ...] = (), only: tuple[str, ...] | None = None) -> AssetLibrary:
    """A library from a file written by `save_pack`; needs numpy alone.

    Raises:
        MissingError: no such file, or nothing in it to use.
        InputError: the file is not such a pack.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError(f"There is no asset pack at {path}; write one with AssetLibrary.save_pack.")
    try:
        arrays = read_npz(path)
        header = json.loads(arrays["header"].tobytes())
        if header["version"] != VERSION:
            raise InputError(f"{path} is an asset pack of version {header['version']}, not {VERSION}.")
        names = [str(entry["rig"]["name"]) for entry in header["assets"]]
    except PARSER_ERRORS as error:
        raise InputError(f"{path} is not an asset pack: {error}.") from error

    def reader(number: int) -> Callable[[], LibraryItem]:
        def read() -> LibraryItem:
            prefix = f"{number}/"
            blobs = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            entry = header["assets"][number]
            try:
                motion = {str(name): float(amount) for name, amount in entry["motion"].items()}
                return LibraryItem(unpack_rig(entry["rig"], blobs), motion)
            except PARSER_ERRORS as error:
                raise InputError(f"{path} is damaged: {error}.") from error

        return read

    library = AssetLibrary.__new__(AssetLibrary)
    readers = {name: reader(n) for n, name in enumerate(names)}
    library._setup(readers, str(path), exclude, only)
    return library


def motion_figures(rig: Rig, known: dict[str, float] | None = None) -> dict[str, float]:
    """How much each animation moves: the largest displacement of a vertex from its mean position, averaged

    over six times, as a fraction of the object's size; `known` figures are taken over.
    """
    figures = {}
    for animation in rig.animations:
        if known and animation.name in known:
            figures[animation.name] = known[animation.name]
            continue
        seconds = np.linspace(animation.start, animation.end, 6)
        poses = np.stack([rig.evaluate(animation.name, float(s)) for s in seconds])
        size = float(np.ptp(poses.reshape(-1, 3), axis=0).max())
        moved = np.linalg.norm(poses - poses.mean(0), axis=-1).max(1).mean()
        figures[animation.name] = float(moved) / max(size, 1e-12)
    return figures


def _manifest_motion(path: Path) -> dict[str, dict[str, float]]:
    """Motion figures by asset and animation from a manifest, where there is one that can be read."""
    if not path.is_file():
        return {}
    try:
        return {
            entry["name"]: {a["name"]: float(a["motion"]) for a in entry["animations"]}
            for entry in json.loads(path.read_text())
        }
    except (ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path} is not used: {error}", stacklevel=3)
        return {}
