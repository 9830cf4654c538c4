"""What every body plan draws from: chance, colours, waves, and the limbs and eyes they share."""

from __future__ import annotations

import math

import numpy as np

from lim_cli.data.procedural.looks import Palette
from lim_cli.data.procedural.skeleton import Skeleton, Wave, aim

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


class Plan:
    """What every plan draws from: a generator, a palette, a motion strength and a tempo."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.palette = Palette(rng)
        self.energy = (0.6, 1.0, 1.5)[rng.integers(3)] * float(rng.uniform(0.7, 1.2))
        self.tempo = (0.5, 1.0, 1.0, 2.0)[rng.integers(4)]
        self.shared = self.palette.look(0.3)

    def u(self, low: float, high: float) -> float:
        return low + (high - low) * self.rng.random()

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def look(self, size: float) -> np.ndarray:
        """Often the object's common look, so that bodies hang together; else one of its own."""
        return self.shared if self.chance(0.45) else self.palette.look(size)

    def wave(self, degrees: float, *, frequency: float = 1.0, offset: float = 0.0, bias: float = 0.0) -> Wave:
        """An angular wave of about `degrees` amplitude."""
        return Wave(
            math.radians(degrees) * self.energy * self.u(0.6, 1.2), self.tempo * frequency, offset, math.radians(bias)
        )

    def root(self, skeleton: Skeleton) -> int:
        """A moving root: bobbing, swaying, turning and sometimes travelling."""
        shifts = [(Y, Wave(self.u(0.0, 0.08) * self.energy, 2 * self.tempo, self.u(0, 1)))]
        if self.chance(0.35):
            direction = self.rng.normal(size=3) * np.array([1.0, 0.3, 1.0])
            shifts.append((tuple(direction / np.linalg.norm(direction)), Wave(self.u(0.05, 0.4), 0.5, self.u(0, 1))))
        swings = [
            (Y, Wave(np.radians(self.u(0, 40)) if self.chance(0.4) else 0.0, 0.5 * self.tempo, self.u(0, 1))),
            (X, self.wave(5, offset=self.u(0, 1))),
            (Z, self.wave(6, offset=self.u(0, 1))),
        ]
        return skeleton.bone(0, (0, 0, 0), swings=swings, shifts=shifts)

    def chain(
        self,
        skeleton: Skeleton,
        parent: int,
        start: np.ndarray | tuple[float, float, float],
        direction: np.ndarray | tuple[float, float, float],
        lengths: list[float],
        radii: list[float],
        axes: list[tuple[float, float, float]],
        degrees: float,
        *,
        offset: float = 0.0,
        lag: float = 0.12,
        curl: float = 0.0,
        looks: list[np.ndarray] | None = None,
        flat: tuple[float, float] = (1.0, 1.0),
        bias: list[float] | None = None,
    ) -> int:
        """A limb of bones along `direction`, each swinging a little later than the last; returns the tip bone."""
        rest = aim(np.asarray(direction))
        bone, position = parent, np.asarray(start, np.float64)
        shared = self.look(sum(lengths) / len(lengths))
        for n, length in enumerate(lengths):
            swings = [
                (
                    axis,
                    self.wave(
                        degrees * (1.0 if k == 0 else 0.4),
                        offset=offset - lag * n + 0.25 * k,
                        bias=(bias[n] if bias and k == 0 else curl if k == 0 else 0.0),
                    ),
                )
                for k, axis in enumerate(axes)
            ]
            stretch = Wave(self.u(0.0, 0.12), self.tempo, self.u(0, 1)) if self.chance(0.15) else None
            bone = skeleton.bone(bone, position, rest, swings=swings, stretch=stretch)
            look = looks[n % len(looks)] if looks else shared
            skeleton.cone(bone, (0, 0, 0), (0, length, 0), radii[n], radii[n + 1], look, flat=flat)
            position, rest = np.array([0.0, length, 0.0]), np.eye(3)
        return skeleton.bone(bone, position)

    def eyes(self, skeleton: Skeleton, bone: int, centre: np.ndarray, radius: float, forward: np.ndarray) -> None:
        """Two eyes on a head at `centre`, looking along `forward` (unit, bone frame)."""
        if self.chance(0.25):
            return
        side = np.cross(forward, [0.0, 1.0, 0.0] if abs(forward[1]) < 0.9 else [0.0, 0.0, 1.0])
        side /= np.linalg.norm(side)
        up = np.cross(side, forward)
        size = radius * self.u(0.14, 0.32)
        white = self.palette.plain((0.95, 0.95, 0.92) if self.chance(0.7) else (0.05, 0.05, 0.05))
        black = self.palette.plain((0.03, 0.03, 0.05))
        for sign in (-1.0, 1.0):
            outward = forward * 0.8 + side * sign * self.u(0.45, 0.6) + up * 0.35
            outward /= np.linalg.norm(outward)
            place = centre + outward * radius * 0.92
            skeleton.ball(bone, place, (size, size, size), white)
            skeleton.ball(bone, place + outward * size * 0.6, (size * 0.6,) * 3, black)
