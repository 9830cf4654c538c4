"""A skeleton with oscillating joints, and the parts it carries.

A bone's frame at phase p is parent * T(offset + shift(p)) * R(rest) * R(swing(p)); a part's is
bone * scale(p) * T(offset) R S. Everything is evaluated for all phases at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lim_cli.data.procedural.parts import BALL, BOX, CYLINDER, LOOK_SIZE, ROUND_CONE


@dataclass(frozen=True)
class Wave:
    """value(phase) = bias + amplitude * sin(2 pi (frequency * phase + offset)); numbers, or arrays of many waves."""

    amplitude: float | np.ndarray
    frequency: float | np.ndarray = 1.0
    offset: float | np.ndarray = 0.0
    bias: float | np.ndarray = 0.0

    def at(self, phases: np.ndarray) -> np.ndarray:
        return self.bias + self.amplitude * np.sin(2 * np.pi * (self.frequency * phases + self.offset))


@dataclass
class Bone:
    parent: int
    offset: np.ndarray
    rest: np.ndarray
    swings: list[tuple[np.ndarray, Wave]] = field(default_factory=list)
    shifts: list[tuple[np.ndarray, Wave]] = field(default_factory=list)
    stretch: Wave | None = None
    spin: tuple[np.ndarray, float] | None = None


@dataclass
class Part:
    bone: int
    kind: int
    shape: tuple[float, float, float, float]
    frame: np.ndarray
    look: np.ndarray


def rotation(axis: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations [..., 3, 3] about `axis` [3] (or axes [..., 3]) by `angles` [...] radians."""
    axis = np.asarray(axis, np.float64)
    x, y, z = np.moveaxis(axis / np.maximum(np.sqrt((axis * axis).sum(-1, keepdims=True)), 1e-9), -1, 0)
    cross = np.zeros((*axis.shape[:-1], 3, 3))
    cross[..., 2, 1], cross[..., 0, 2], cross[..., 1, 0] = x, y, z
    cross[..., 1, 2], cross[..., 2, 0], cross[..., 0, 1] = -x, -y, -z
    angles = np.asarray(angles, np.float64)[..., None, None]
    return np.eye(3) + np.sin(angles) * cross + (1 - np.cos(angles)) * (cross @ cross)


def affine(linear: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """[..., 4, 4] from a linear part [..., 3, 3] and an offset [..., 3]."""
    matrix = np.zeros((*linear.shape[:-2], 4, 4))
    matrix[..., :3, :3], matrix[..., :3, 3], matrix[..., 3, 3] = linear, offset, 1.0
    return matrix


def squeeze(factor: np.ndarray) -> np.ndarray:
    """Scaling [..., 4, 4] of y by `factor` [...] that keeps volumes."""
    sides = 1.0 / np.sqrt(factor)
    return np.stack([sides, factor, sides, np.ones_like(factor)], -1)[..., None] * np.eye(4)


def length(vector: np.ndarray) -> float:
    """Length of a vector [3]; objects are drawn by the thousand, and np.linalg.norm asks many questions first."""
    return math.sqrt(sum(v * v for v in vector.tolist()))


def aim(direction: np.ndarray, twist: float = 0.0) -> np.ndarray:
    """Rotation [3, 3] taking +y to `direction`, after a turn about y by `twist` radians."""
    x, y, z = (float(v) for v in direction)
    scale = 1 / math.sqrt(x * x + y * y + z * z)
    x, y, z = x * scale, y * scale, z * scale
    side = (y, -x, 0.0) if abs(z) < 0.9 else (0.0, z, -y)  # across `direction` and +z or +x
    scale = 1 / math.sqrt(sum(v * v for v in side))
    a, b, c = (v * scale for v in side)
    base = np.array([[a, x, b * z - c * y], [b, y, c * x - a * z], [c, z, a * y - b * x]])
    return base @ rotation(np.array([0.0, 1.0, 0.0]), np.array(twist)) if twist else base


class Skeleton:
    """Built by a body plan with `bone` and the part methods; then posed at any phases."""

    def __init__(self) -> None:
        self.bones: list[Bone] = []
        self.parts: list[Part] = []
        self.squash: Wave | None = None
        self._posed: dict[float, np.ndarray] = {}
        self.bone(-1, (0, 0, 0))

    def bone(
        self,
        parent: int,
        offset: tuple[float, float, float] | np.ndarray,
        rest: np.ndarray | None = None,
        swings: list[tuple[tuple[float, float, float], Wave]] | None = None,
        shifts: list[tuple[tuple[float, float, float], Wave]] | None = None,
        stretch: Wave | None = None,
        spin: tuple[tuple[float, float, float], float] | None = None,
    ) -> int:
        """Adds a bone and returns its number; `spin` is (axis, turns over the phase interval)."""
        self.bones.append(
            Bone(
                parent,
                np.asarray(offset, np.float64),
                np.eye(3) if rest is None else rest,
                [(np.asarray(axis, np.float64), wave) for axis, wave in swings or []],
                [(np.asarray(axis, np.float64), wave) for axis, wave in shifts or []],
                stretch,
                None if spin is None else (np.asarray(spin[0], np.float64), spin[1]),
            )
        )
        return len(self.bones) - 1

    def _part(
        self, bone: int, kind: int, shape: tuple[float, float, float, float], frame: np.ndarray, look: np.ndarray
    ) -> None:
        row = look.copy()
        row[12] = max(shape[0], shape[1])
        self.parts.append(Part(bone, kind, shape, frame, row))

    def cone(
        self,
        bone: int,
        start: np.ndarray | tuple[float, float, float],
        end: np.ndarray | tuple[float, float, float],
        radius_start: float,
        radius_end: float,
        look: np.ndarray,
        *,
        flat: tuple[float, float] = (1.0, 1.0),
        twist: float = 0.0,
    ) -> None:
        """A round cone between two points of the bone's frame; `flat` scales it across."""
        first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
        direction = last - first
        distance = length(direction)
        height = max(distance, 1.05 * abs(radius_start - radius_end) + 1e-3)
        linear = aim(direction if distance > 1e-6 else np.array([0.0, 1.0, 0.0]), twist)
        if flat != (1.0, 1.0):
            linear = linear * np.array([flat[0], 1.0, flat[1]])
        self._part(bone, ROUND_CONE, (height, radius_start, radius_end, 0.0), affine(linear, first), look)

    def ball(
        self,
        bone: int,
        centre: np.ndarray | tuple[float, float, float],
        radii: tuple[float, float, float],
        look: np.ndarray,
        turn: np.ndarray | None = None,
    ) -> None:
        """An ellipsoid with half axes `radii`."""
        largest = max(radii)
        linear = (np.eye(3) if turn is None else turn) * np.array([r / largest for r in radii])
        self._part(bone, BALL, (largest, 0.0, 0.0, 0.0), affine(linear, np.asarray(centre, np.float64)), look)

    def box(
        self,
        bone: int,
        centre: np.ndarray | tuple[float, float, float],
        half: tuple[float, float, float],
        look: np.ndarray,
        *,
        rounding: float = 0.0,
        turn: np.ndarray | None = None,
    ) -> None:
        linear = np.eye(3) if turn is None else turn
        rounding = min(rounding, 0.95 * min(half))
        self._part(bone, BOX, (*half, rounding), affine(linear, np.asarray(centre, np.float64)), look)

    def cylinder(
        self,
        bone: int,
        centre: np.ndarray | tuple[float, float, float],
        axis: np.ndarray | tuple[float, float, float],
        radius: float,
        half_height: float,
        look: np.ndarray,
        *,
        rounding: float = 0.0,
    ) -> None:
        linear = aim(np.asarray(axis, np.float64))
        rounding = min(rounding, 0.95 * min(radius, half_height))
        self._part(bone, CYLINDER, (radius, half_height, rounding, rounding), affine(linear, np.asarray(centre)), look)

    def part_frames(self, phases: np.ndarray) -> np.ndarray:
        """World from part [phase, part, 4, 4] (float64) at every phase; phases seen before are remembered."""
        missing = np.array([p for p in dict.fromkeys(phases.tolist()) if p not in self._posed])
        if len(missing):
            self._posed.update(zip(missing.tolist(), self._evaluate(missing), strict=True))
        return np.stack([self._posed[p] for p in phases.tolist()])

    def _evaluate(self, phases: np.ndarray) -> np.ndarray:
        count = len(phases)
        linear = np.repeat(np.stack([b.rest for b in self.bones])[:, None], count, 1)
        offsets = np.repeat(np.stack([b.offset for b in self.bones])[:, None], count, 1)
        for bones, axes, angles in self._turns(phases):
            linear[bones] = linear[bones] @ rotation(axes[:, None], angles)
        for n, bone in enumerate(self.bones):
            for axis, wave in bone.shifts:
                offsets[n] += wave.at(phases)[:, None] * axis
        frames = affine(linear, offsets)
        for n, bone in enumerate(self.bones):
            if bone.parent >= 0:
                frames[n] = frames[bone.parent] @ frames[n]
        if self.squash is not None:
            frames = squeeze(1.0 + self.squash.at(phases)) @ frames
        for n, bone in enumerate(self.bones):  # parts stretch, bones that hang on them do not
            if bone.stretch is not None:
                frames[n] = frames[n] @ squeeze(1.0 + bone.stretch.at(phases))
        placed = frames[[p.bone for p in self.parts]] @ np.stack([p.frame for p in self.parts])[:, None]
        return np.moveaxis(placed, 0, 1)

    def _turns(self, phases: np.ndarray) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
        """First every bone's first swing, then the second ones and so on, then the spins.

        Yields numbers of bones, axes [bone, 3] and angles [bone, phase].
        """
        for n in range(max(len(b.swings) for b in self.bones)):
            bones = [k for k, b in enumerate(self.bones) if len(b.swings) > n]
            axes, waves = zip(*(self.bones[k].swings[n] for k in bones), strict=True)
            rows = np.array([(w.amplitude, w.frequency, w.offset, w.bias) for w in waves]).T[..., None]
            yield bones, np.stack(axes), Wave(*rows).at(phases)
        spinning = [(k, b.spin) for k, b in enumerate(self.bones) if b.spin is not None]
        if spinning:
            turns = np.array([turns for _, (_, turns) in spinning])[:, None]
            yield [k for k, _ in spinning], np.stack([axis for _, (axis, _) in spinning]), 2 * np.pi * turns * phases

    def shapes(self) -> np.ndarray:
        """Shape rows [part, 8] float32 as the kernels read them; the scale column is filled per pose."""
        rows = np.zeros((len(self.parts), 8), np.float32)
        for row, part in zip(rows, self.parts, strict=True):
            a, b, c, d = part.shape
            rounding = d if part.kind == BOX else c if part.kind == CYLINDER else 0.0
            slope = (b - c) / a if part.kind == ROUND_CONE else 0.0
            row[:7] = part.kind, a, b, c, rounding, slope, np.sqrt(max(1e-6, 1.0 - slope * slope))
        return rows

    def looks(self) -> np.ndarray:
        """Look rows [part, LOOK_SIZE] float32."""
        rows = np.stack([p.look for p in self.parts]).astype(np.float32)
        if rows.shape[1] != LOOK_SIZE:
            raise ValueError(f"expected look rows of {LOOK_SIZE}, got {rows.shape[1]}")
        return rows
