"""Objects by number: the same whoever draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.data.animated_object import AnimatedObject
from lim_cli.data.asset_library import HELD_OUT_ASSETS, AssetLibrary, load_pack
from lim_cli.data.procedural.procedural_object import ProceduralObject

_SPLITS = {False: 11, True: 12}  # apart from the seeds of data.dataset


def _library(assets: Path, only: tuple[str, ...] | None = None) -> AssetLibrary:
    return load_pack(assets, only=only) if assets.is_file() else AssetLibrary(assets, only=only)


class Mixture:
    """Procedural objects, and rigged assets from a folder or a pack for a share of them; never those kept for tests."""

    def __init__(self, assets: Path | None = None, share: float = 0.25) -> None:
        self.assets, self.share = assets, share
        self._library: AssetLibrary | None = None

    def draw(self, rng: np.random.Generator) -> AnimatedObject:
        """
        Raises:
            MissingError: there are no assets to use where they should be.
        """
        if self.assets is None or rng.uniform() >= self.share:
            return ProceduralObject.draw(rng)
        if self._library is None:
            self._library = _library(self.assets)
        return self._library.draw(rng)


class ObjectSource:
    """Procedural objects, or rigged assets from a folder of .glb files (or a pack made of it).

    held_out: from seeds (or assets) that training never takes.

    Raises:
        InputError: there is no such folder. MissingError: it holds none of the assets asked for.
    """

    def __init__(self, seed: int, *, held_out: bool, assets: Path | None = None) -> None:
        self._key = [_SPLITS[held_out], seed]
        self._library: AssetLibrary | None = None
        if assets is not None:
            if not assets.exists():
                raise InputError(f"There is no {assets}; give a folder of rigged .glb files.")
            only = HELD_OUT_ASSETS if held_out else None
            self._library = _library(assets, only)

    def draw(self, number: int) -> tuple[AnimatedObject, np.random.Generator]:
        """Object `number`, and the generator for whatever is drawn of it next."""
        rng = np.random.default_rng([*self._key, number])
        source: AnimatedObject = ProceduralObject.draw(rng) if self._library is None else self._library.draw(rng)
        return source, rng
