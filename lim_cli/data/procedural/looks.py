"""Colours and patterns: a palette for an object, and look rows drawn from it."""

from __future__ import annotations

import colorsys

import numpy as np

from lim_cli.data.procedural.chance import Choice
from lim_cli.data.procedural.parts import (
    BLOTCHES,
    CHECKER,
    COUNTERSHADE,
    DOTS,
    GRADIENT,
    LOOK_SIZE,
    PLAIN,
    STRIPES,
)
from lim_cli.data.procedural.skeleton import length

_PATTERNS = Choice(
    {PLAIN: 0.42, STRIPES: 0.12, DOTS: 0.09, GRADIENT: 0.1, BLOTCHES: 0.14, COUNTERSHADE: 0.08, CHECKER: 0.05}
)
_MOODS = Choice({0: 0.35, 1: 0.3, 2: 0.12, 3: 0.11, 4: 0.12})


class Palette:
    """A few colours that belong together: vivid, natural, pale, dark or grey."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        mood = _MOODS.draw(rng)
        base_hue = rng.uniform()
        spread = (0.06, 0.2, 1.0)[rng.integers(3)]
        self._colours = []
        for _ in range(5):
            hue = (base_hue + rng.uniform(-0.5, 0.5) * spread) % 1.0
            if mood == 0:
                saturation, value = rng.uniform(0.5, 1.0), rng.uniform(0.4, 1.0)
            elif mood == 1:
                hue = (0.07, 0.1, 0.25, 0.04, 0.55)[rng.integers(5)] + rng.normal(0, 0.02)
                saturation, value = rng.uniform(0.15, 0.7), rng.uniform(0.2, 0.85)
            elif mood == 2:
                saturation, value = rng.uniform(0.0, 0.3), rng.uniform(0.75, 1.0)
            elif mood == 3:
                saturation, value = rng.uniform(0.1, 0.8), rng.uniform(0.05, 0.4)
            else:
                saturation, value = rng.uniform(0.0, 0.15), rng.uniform(0.1, 1.0)
            self._colours.append(np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value)))
        self.detail = rng.uniform(0.6, 1.6)

    def colour(self) -> np.ndarray:
        """One colour of the palette, slightly varied: [3] in [0, 1]."""
        colour = self._colours[self._rng.integers(len(self._colours))]
        return np.minimum(np.maximum(colour + self._rng.normal(0, 0.03, 3), 0.0), 1.0)

    def look(self, size: float, *, plain: bool = False, colour: np.ndarray | None = None) -> np.ndarray:
        """A look row for a part of about `size`; patterns are scaled to it."""
        rng = self._rng
        first = self.colour() if colour is None else colour
        second = self.colour()
        if np.abs(first - second).max() < 0.15:
            second = np.clip(first * rng.uniform(0.3, 0.7) if rng.uniform() < 0.5 else first + 0.35, 0, 1)
        row = np.zeros(LOOK_SIZE, np.float32)
        row[0:3], row[3:6] = first, second
        row[6] = PLAIN if plain else _PATTERNS.draw(rng)
        row[7] = rng.uniform(3.0, 9.0) * self.detail / max(size, 0.02)
        row[8] = rng.uniform(0, 2 * np.pi)
        axis = rng.normal(size=3) * np.array([0.5, 1.5, 0.5])
        shaded = np.array([0.0, 0.0, 1.0]) / max(size, 0.02) * 0.6
        row[9:12] = shaded if row[6] == COUNTERSHADE else axis / length(axis)
        row[13] = (0.05, 0.3, 1.0)[rng.integers(3)]
        return row

    def plain(self, colour: tuple[float, float, float]) -> np.ndarray:
        """A look row of one fixed colour (eyes, claws)."""
        return self.look(1.0, plain=True, colour=np.asarray(colour))
