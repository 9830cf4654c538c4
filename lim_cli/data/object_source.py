"""One object by number: the same whoever draws it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.data.animated_object import AnimatedObject
from lim_cli.data.asset_library import HELD_OUT_ASSETS, AssetLibrary, load_pack
from lim_cli.data.procedural.procedural_object import ProceduralObject

_SPLITS = {False: 11, True: 12}  # apart from the seeds of data.dataset


def draw_object(
    seed: int, number: int, *, held_out: bool, assets: Path | None = None
) -> tuple[AnimatedObject, np.random.Generator]:
    """Object `number` and the generator for whatever is drawn of it next.

    held_out: from seeds (or assets) that training never takes. assets: a folder of .glb files or a pack made of it.

    Raises:
        InputError: there is no such folder. MissingError: it holds no asset that moves.
    """
    rng = np.random.default_rng([_SPLITS[held_out], seed, number])
    if assets is None:
        return ProceduralObject.draw(rng), rng
    if not assets.exists():
        raise InputError(f"There is no {assets}; give a folder of rigged .glb files.")
    if assets.is_file():
        return load_pack(assets).draw(rng), rng
    return AssetLibrary(assets, only=HELD_OUT_ASSETS if held_out else None).draw(rng), rng
