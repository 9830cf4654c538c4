"""Body plans: each builds a random skeleton with parts and motion. Sizes are about one unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lim_cli.data.procedural.looks import Palette
from lim_cli.data.procedural.skeleton import Skeleton, Wave, aim, rotation

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


class Plan:
    """What every plan draws from: a generator, a palette, a motion strength and a tempo."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.palette = Palette(rng)
        self.energy = float(rng.choice([0.6, 1.0, 1.5]) * rng.uniform(0.7, 1.2))
        self.tempo = float(rng.choice([0.5, 1.0, 1.0, 2.0]))
        self.shared = self.palette.look(0.3)

    def u(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def look(self, size: float) -> np.ndarray:
        """Often the object's common look, so that bodies hang together; else one of its own."""
        return self.shared if self.chance(0.45) else self.palette.look(size)

    def wave(self, degrees: float, *, frequency: float = 1.0, offset: float = 0.0, bias: float = 0.0) -> Wave:
        """An angular wave of about `degrees` amplitude."""
        return Wave(np.radians(degrees) * self.energy * self.u(0.6, 1.2), self.tempo * frequency, offset, np.radians(bias))

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
        shared = self.look(float(np.mean(lengths)))
        for n, length in enumerate(lengths):
            swings = [
                (axis, self.wave(degrees * (1.0 if k == 0 else 0.4), offset=offset - lag * n + 0.25 * k,
                                 bias=(bias[n] if bias and k == 0 else curl if k == 0 else 0.0)))
                for k, axis in enumerate(axes)
            ]  # fmt: skip
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


def biped(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    leg, arm = plan.u(0.35, 0.6), plan.u(0.3, 0.55)
    torso, wide, thick = plan.u(0.35, 0.6), plan.u(0.12, 0.3), plan.u(0.5, 1.0)
    head, boxy = plan.u(0.1, 0.26), plan.chance(0.3)
    hips = s.bone(root, (0, 0, 0), swings=[(Y, plan.wave(8)), (Z, plan.wave(4))])
    chest = s.bone(hips, (0, torso * 0.5, 0), swings=[(Y, plan.wave(12, offset=0.5)), (X, plan.wave(6, frequency=2, bias=plan.u(-5, 20)))])
    look = plan.look(torso)
    if boxy:
        s.box(hips, (0, torso * 0.2, 0), (wide, torso * 0.35, wide * thick), plan.look(wide), rounding=wide * plan.u(0, 0.5))
        s.box(chest, (0, torso * 0.25, 0), (wide * 1.2, torso * 0.35, wide * thick), look, rounding=wide * plan.u(0, 0.5))
    else:
        s.cone(hips, (0, 0, 0), (0, torso * 0.5, 0), wide, wide * plan.u(0.7, 1.0), plan.look(wide), flat=(1.0, thick))
        s.cone(chest, (0, 0, 0), (0, torso * 0.45, 0), wide * 0.9, wide * plan.u(0.8, 1.3), look, flat=(1.1, thick))
    neck = s.bone(chest, (0, torso * 0.5 + wide * 0.7, 0), swings=[(Y, plan.wave(25, frequency=0.5)), (X, plan.wave(12))])
    shape = (head * plan.u(0.8, 1.15), head * plan.u(0.85, 1.3), head * plan.u(0.8, 1.15))
    skin = plan.look(head)
    if boxy and plan.chance(0.5):
        s.box(neck, (0, head, 0), shape, skin, rounding=head * plan.u(0, 0.4))
    else:
        s.ball(neck, (0, head, 0), shape, skin)
    plan.eyes(s, neck, np.array([0, head, 0.0]), head, np.array([0.0, 0.0, 1.0]))
    if plan.chance(0.4):
        for sign in (-1, 1):
            s.cone(neck, (sign * head * 0.5, head * 1.6, 0), (sign * head * plan.u(0.5, 1.2), head * plan.u(2.0, 2.8), 0), head * 0.2, head * 0.05, plan.look(head))
    elif plan.chance(0.5):
        s.cylinder(neck, (0, head * 1.95, 0), Y, head * plan.u(0.7, 1.2), head * plan.u(0.1, 0.5), plan.look(head), rounding=head * 0.05)
    thin = plan.u(0.045, 0.11)
    leg_looks, arm_looks = [plan.look(leg)], [plan.look(arm)]
    bend = plan.u(0, 25)
    for sign in (-1, 1):
        half = 0.0 if sign < 0 else 0.5
        end = plan.chain(s, hips, (sign * wide * 0.7, -wide * 0.2, 0), (0, -1, 0), [leg * 0.5, leg * 0.5], [thin * 1.3, thin, thin * 0.8],
                         [X], 32, offset=half, lag=0.2, looks=leg_looks, bias=[bend * 0.5, -bend])  # fmt: skip
        foot = plan.palette.look(0.1)
        s.cone(end, (0, 0, 0), (0, 0.02, -thin * plan.u(1.2, 2.2) * -1.0), thin, thin * 0.8, foot)
        out = plan.u(10, 80)
        down = np.array([sign * np.sin(np.radians(out)), -np.cos(np.radians(out)), 0.0])
        end = plan.chain(s, chest, (sign * (wide * 1.15 + thin * 0.3), torso * 0.45, 0), down, [arm * 0.5, arm * 0.5], [thin, thin * 0.85, thin * 0.7],
                         [X, Z], 38, offset=half + 0.5, lag=0.1, looks=arm_looks, bias=[0.0, plan.u(0, 60)])  # fmt: skip
        s.ball(end, (0, thin * 0.5, 0), (thin * 1.1, thin * 1.4, thin * 0.9), skin)
        if sign > 0 and plan.chance(0.35):
            s.box(end, (0, thin, plan.u(0.0, 0.2)), (0.02, plan.u(0.02, 0.12), plan.u(0.15, 0.35)), plan.look(0.2), rounding=0.01)
    return s


def quadruped(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    length, girth = plan.u(0.35, 0.75), plan.u(0.11, 0.28)
    leg, thin = plan.u(0.18, 0.6), plan.u(0.03, 0.09)
    rear = s.bone(root, (0, 0, -length * 0.5), swings=[(X, plan.wave(8)), (Y, plan.wave(6))])
    front = s.bone(rear, (0, 0, length * 0.55), swings=[(X, plan.wave(10, offset=0.3)), (Y, plan.wave(8, offset=0.25))])
    hide = plan.look(length)
    s.cone(rear, (0, 0, 0), (0, 0, length * 0.55), girth * plan.u(0.8, 1.1), girth, hide, flat=(plan.u(0.75, 1.0), 1.0))
    s.cone(front, (0, 0, 0), (0, plan.u(-0.03, 0.05), length * 0.45), girth, girth * plan.u(0.8, 1.2), hide, flat=(plan.u(0.75, 1.0), 1.0))
    rise = plan.u(10, 80)
    towards = np.array([0.0, np.sin(np.radians(rise)), np.cos(np.radians(rise))])
    neck_length, head = plan.u(0.12, 0.45), plan.u(0.08, 0.17)
    tip = plan.chain(s, front, (0, girth * 0.4, length * 0.45), towards, [neck_length * 0.5, neck_length * 0.5], [girth * 0.6, girth * 0.45, girth * 0.4],
                     [X, Z], 10, offset=plan.u(0, 1), looks=[hide])  # fmt: skip
    skull = s.bone(tip, (0, 0, 0), aim(towards).T, swings=[(X, plan.wave(14)), (Y, plan.wave(12, frequency=0.5))])
    face = plan.look(head)
    s.ball(skull, (0, 0, head * 0.3), (head * plan.u(0.75, 1.0), head, head * 1.1), face)
    s.cone(skull, (0, -head * 0.15, head * 0.8), (0, -head * 0.3, head * plan.u(1.3, 2.2)), head * 0.6, head * plan.u(0.25, 0.5), plan.look(head))
    plan.eyes(s, skull, np.array([0, head * 0.2, head * 0.4]), head, np.array([0.0, 0.0, 1.0]))
    ear, kind = plan.u(0.3, 1.4) * head, plan.rng.integers(3)
    for sign in (-1, 1):
        if kind == 0:
            s.cone(skull, (sign * head * 0.6, head * 0.8, 0), (sign * head * 0.8, head * 0.8 + ear, -0.1 * head), head * 0.3, head * 0.1, face, flat=(1.0, 0.4))
        elif kind == 1:
            s.cone(skull, (sign * head * 0.6, head * 0.8, 0), (sign * (head * 0.7 + ear), head * plan.u(0.8, 1.9), 0), head * 0.2, head * 0.06, plan.look(head))
    hoof = plan.palette.look(0.1)
    gait = plan.rng.choice([0.0, 0.25, 0.5])
    bend = plan.u(5, 30)
    for end, place, phase in ((rear, -0.02, 0.0), (front, length * 0.4, 0.5)):
        for sign in (-1, 1):
            offset = phase * (0.5 + gait) + (0.5 if sign > 0 else 0.0) * (1.0 - gait)
            fold = bend if end == rear else -bend
            foot = plan.chain(s, end, (sign * girth * 0.6, -girth * 0.5, place), (0, -1, 0), [leg * 0.5, leg * 0.5], [thin * 1.6, thin, thin * 0.75],
                              [X], 26, offset=offset, lag=0.18, looks=[hide], bias=[fold * 0.6, -fold])  # fmt: skip
            s.cone(foot, (0, 0, 0), (0, 0.01, thin * 0.8), thin, thin * 0.9, hoof)
    if plan.chance(0.85):
        tail = plan.u(0.1, 0.5)
        plan.chain(s, rear, (0, girth * 0.5, -girth * 0.7), (0, plan.u(-0.8, 0.8), -1), [tail / 3] * 3, list(np.linspace(plan.u(0.03, 0.07), plan.u(0.01, 0.06), 4)),
                   [Z, X], 22, lag=0.15, offset=plan.u(0, 1), curl=plan.u(-15, 15))  # fmt: skip
    return s


def bird(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    length, girth = plan.u(0.25, 0.45), plan.u(0.1, 0.2)
    body = s.bone(root, (0, 0, 0), swings=[(X, plan.wave(8, bias=plan.u(-40, 10)))])
    coat = plan.look(length)
    s.cone(body, (0, 0, -length * 0.5), (0, 0.02, length * 0.4), girth * plan.u(0.5, 0.9), girth, coat)
    head = plan.u(0.07, 0.14)
    neck = s.bone(body, (0, girth * 0.4, length * 0.45), swings=[(X, plan.wave(15, frequency=2)), (Y, plan.wave(25, frequency=0.5))])
    rise = plan.u(0.05, 0.3)
    s.cone(neck, (0, 0, 0), (0, rise, 0.05), girth * 0.5, head * 0.7, coat)
    s.ball(neck, (0, rise + head * 0.5, 0.06), (head, head, head * 1.1), plan.look(head))
    s.cone(neck, (0, rise + head * 0.4, 0.06 + head), (0, rise + head * 0.25, 0.06 + head * plan.u(1.6, 3.0)), head * 0.4, head * 0.1, plan.palette.look(head), flat=(plan.u(0.5, 1.3), 0.7))
    plan.eyes(s, neck, np.array([0, rise + head * 0.5, 0.06]), head, np.array([0.0, 0.0, 1.0]))
    span, chord = plan.u(0.3, 0.65), plan.u(0.08, 0.2)
    feather, edge = plan.look(span), plan.look(span)
    fold = plan.u(-15, 25)
    for sign in (-1, 1):
        wing = s.bone(body, (sign * girth * 0.8, girth * 0.3, length * 0.1), swings=[(Z, plan.wave(sign * 38, bias=sign * fold)), (X, plan.wave(10, offset=0.25))])
        s.cone(wing, (0, 0, 0), (sign * span * 0.5, 0, 0), chord, chord * 0.95, feather, flat=(1.0, plan.u(0.12, 0.25)) if False else (plan.u(0.9, 1.3), plan.u(0.12, 0.25)))
        outer = s.bone(wing, (sign * span * 0.55, 0, 0), swings=[(Z, plan.wave(sign * 30, offset=-0.15)), (Y, plan.wave(10))])
        s.cone(outer, (0, 0, 0), (sign * span * 0.5, 0, -chord * plan.u(0.0, 0.8)), chord * 0.9, chord * 0.3, edge, flat=(1.0, plan.u(0.1, 0.2)))
    fan = s.bone(body, (0, 0, -length * 0.6), swings=[(X, plan.wave(14)), (Y, plan.wave(10))])
    s.cone(fan, (0, 0, 0), (0, 0, -plan.u(0.1, 0.35)), girth * 0.35, girth * plan.u(0.3, 0.8), plan.look(girth), flat=(1.0, 0.2))
    if plan.chance(0.7):
        for sign in (-1, 1):
            leg = plan.u(0.1, 0.3)
            end = plan.chain(s, body, (sign * girth * 0.4, -girth * 0.8, 0), (0, -1, plan.u(-0.6, 0.3)), [leg * 0.5, leg * 0.5], [0.03, 0.02, 0.018], [X], 20, offset=0.5 * (sign > 0), looks=[plan.palette.look(leg)])
            s.cone(end, (0, 0, -0.02), (0, 0, 0.07), 0.02, 0.015, plan.palette.look(0.05))
    return s


def fish(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    count = int(plan.rng.integers(3, 7))
    length, height, flat = plan.u(0.7, 1.2), plan.u(0.1, 0.28), plan.u(0.35, 0.9)
    vertical = plan.chance(0.2)
    axis = X if vertical else Y
    profile = np.sin(np.linspace(0.45, np.pi * plan.u(0.86, 0.95), count + 1)) ** plan.u(0.5, 1.0) * height
    scales = [plan.look(length / count)] if plan.chance(0.7) else [plan.look(length / count) for _ in range(2)]
    bone, position = root, np.array([0.0, 0.0, length * 0.4])
    bones = []
    for n in range(count):
        bone = s.bone(bone, position, swings=[(axis, plan.wave(4 + 13 * n / count, offset=-0.13 * n))])
        s.cone(bone, (0, 0, 0), (0, 0, -length / count), profile[n], profile[n + 1], scales[n % len(scales)], flat=(flat, 1.0))
        position = np.array([0.0, 0.0, -length / count])
        bones.append(bone)
    plan.eyes(s, bones[0], np.array([0, profile[0] * 0.2, profile[0] * 0.2]), profile[0] * 0.9, np.array([0.0, 0.0, 1.0]))
    fin = plan.look(0.2)
    tail = s.bone(bone, position, swings=[(axis, plan.wave(24, offset=-0.13 * count))])
    reach, spread = plan.u(0.12, 0.3), plan.u(0.06, 0.28)
    for sign in (-1, 1):
        end = (sign * spread, 0, -reach) if vertical else (0, sign * spread, -reach)
        s.cone(tail, (0, 0, 0.02), end, 0.05, plan.u(0.02, 0.07), fin, flat=(1.0, 0.3) if vertical else (0.3, 1.0))
    if plan.chance(0.8):
        middle = bones[count // 2 - 1]
        top = profile[count // 2]
        s.cone(middle, (0, top * 0.7, 0), (0, top + plan.u(0.05, 0.25), -plan.u(0.0, 0.2)), plan.u(0.05, 0.14), 0.03, plan.look(0.2), flat=(0.25, 1.0), twist=0.0 if plan.chance(0.5) else np.pi / 2)
    for sign in (-1, 1):
        side = s.bone(bones[min(1, count - 1)], (sign * profile[1] * flat * 0.8, -profile[1] * 0.3, 0), swings=[(Z, plan.wave(sign * 28, offset=plan.u(0, 0.2))), (Y, plan.wave(18))])
        s.cone(side, (0, 0, 0), (sign * plan.u(0.08, 0.3), -plan.u(0.0, 0.12), -plan.u(0.0, 0.15)), 0.05, plan.u(0.03, 0.08), fin, flat=(1.0, 0.3))
    return s


def insect(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    pairs = int(plan.rng.integers(2, 5))
    body, abdomen, head = plan.u(0.1, 0.2), plan.u(0.12, 0.28), plan.u(0.07, 0.15)
    shell = plan.look(0.2)
    s.ball(root, (0, 0, 0), (body, body * plan.u(0.6, 1.0), body * plan.u(0.9, 1.5)), shell)
    back = s.bone(root, (0, 0, -body), swings=[(X, plan.wave(10, bias=plan.u(-20, 15))), (Y, plan.wave(8))])
    s.ball(back, (0, 0, -abdomen * 0.8), (abdomen * plan.u(0.6, 1.0), abdomen * plan.u(0.6, 0.9), abdomen * 1.1), plan.look(abdomen))
    front = s.bone(root, (0, 0, body * 1.1), swings=[(X, plan.wave(10)), (Y, plan.wave(14))])
    s.ball(front, (0, 0, head * 0.6), (head, head * 0.85, head), plan.look(head))
    plan.eyes(s, front, np.array([0, 0.0, head * 0.6]), head, np.array([0.0, 0.0, 1.0]))
    thin, reach = plan.u(0.016, 0.04), plan.u(0.25, 0.5)
    shade = [plan.look(reach)]
    for n in range(pairs):
        z = body * (0.7 - 1.4 * n / max(pairs - 1, 1))
        for sign in (-1, 1):
            knee = plan.u(0.2, 0.8)
            direction = np.array([sign, knee, 0.6 * z / body])
            plan.chain(s, root, (sign * body * 0.7, -0.02, z), direction, [reach * 0.4, reach * 0.6], [thin * 1.4, thin, thin * 0.6],
                       [X, Z], 16, offset=0.5 * ((n + (sign > 0)) % 2), looks=shade, bias=[0.0, sign * plan.u(60, 110) * (-1)] if False else None, curl=0.0)  # fmt: skip
            lower = s.bones[-2]
            lower.rest = rotation(np.array(Z) @ aim(direction), np.array(-sign * np.radians(plan.u(60, 105))))
    for sign in (-1, 1):
        if plan.chance(0.7):
            plan.chain(s, front, (sign * head * 0.4, head * 0.5, head), (sign * 0.4, 0.8, 0.8), [0.12, 0.1], [0.014, 0.012, 0.02], [X, Z], 18, looks=shade, offset=plan.u(0, 1))
    if plan.chance(0.45):
        wing, chord = plan.u(0.25, 0.5), plan.u(0.06, 0.15)
        membrane = plan.palette.look(wing)
        for sign in (-1, 1):
            hinge = s.bone(root, (sign * body * 0.4, body * 0.7, 0), swings=[(Z, plan.wave(sign * 40, frequency=2, bias=sign * plan.u(0, 30)))])
            s.cone(hinge, (0, 0, 0), (sign * wing, 0.02, -plan.u(0.0, 0.25)), chord * 0.5, chord, membrane, flat=(1.0, 0.15))
    return s


def snake(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    count = int(plan.rng.integers(6, 12))
    length, radius = plan.u(1.0, 1.6), plan.u(0.04, 0.12)
    axis = [Y] if plan.chance(0.7) else [X]
    bend = plan.u(16, 34)
    scales = [plan.look(length / count)] if plan.chance(0.5) else [plan.look(length / count) for _ in range(2)]
    bone, position = root, np.array([0.0, 0.0, length * 0.5])
    radii = radius * np.concatenate([[0.8], np.full(count - 2, 1.0) * np.linspace(1.0, 0.8, count - 2), [0.5, 0.2]])
    wavelength = plan.u(0.08, 0.2)
    for n in range(count):
        bone = s.bone(bone, position, swings=[(axis[0], plan.wave(bend, offset=-wavelength * n)), (Z, plan.wave(6, offset=-0.1 * n))])
        s.cone(bone, (0, 0, 0), (0, 0, -length / count), float(radii[n]), float(radii[n + 1]), scales[n % len(scales)])
        position = np.array([0.0, 0.0, -length / count])
    head = s.bone(1, (0, 0, length * 0.5), swings=[(X, plan.wave(14, bias=plan.u(-50, 0))), (Y, plan.wave(20))])
    size = radius * plan.u(1.1, 1.7)
    s.ball(head, (0, 0, size * 0.7), (size, size * 0.8, size * 1.4), plan.look(size))
    plan.eyes(s, head, np.array([0, 0.0, size * 0.8]), size, np.array([0.0, 0.0, 1.0]))
    return s


def tentacles(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    count, joints = int(plan.rng.integers(3, 9)), int(plan.rng.integers(3, 5))
    body, reach, thick = plan.u(0.16, 0.32), plan.u(0.4, 0.8), plan.u(0.03, 0.08)
    bell = s.bone(root, (0, 0, 0), stretch=Wave(plan.u(0.0, 0.2), plan.tempo, plan.u(0, 1)))
    s.ball(bell, (0, body * 0.4, 0), (body, body * plan.u(0.6, 1.3), body), plan.look(body))
    plan.eyes(s, bell, np.array([0, body * 0.3, 0.0]), body * 0.95, np.array([0.0, 0.0, 1.0]))
    skin = [plan.look(reach)]
    for n in range(count):
        angle = 2 * np.pi * n / count + plan.u(-0.15, 0.15)
        direction = np.array([np.cos(angle), plan.u(-1.2, -0.1), np.sin(angle)])
        start = np.array([np.cos(angle) * body * 0.6, -body * 0.1, np.sin(angle) * body * 0.6])
        plan.chain(s, root, start, direction, [reach / joints] * joints, list(np.linspace(thick, thick * plan.u(0.2, 0.7), joints + 1)),
                   [Z, X], 20, offset=n / count * plan.rng.integers(0, 3), lag=0.14, looks=skin, curl=plan.u(-20, 20))  # fmt: skip
    return s


def plant(plan: Plan) -> Skeleton:
    s = Skeleton()
    base = s.bone(0, (0, -0.6, 0))
    pot, height, joints = plan.u(0.12, 0.25), plan.u(0.6, 1.1), int(plan.rng.integers(2, 5))
    if plan.chance(0.6):
        s.cylinder(base, (0, 0, 0), Y, pot, pot * plan.u(0.5, 1.0), plan.palette.look(pot), rounding=0.03)
    else:
        s.ball(base, (0, 0, 0), (pot * 1.4, pot * 0.5, pot * 1.4), plan.palette.look(pot))
    thick = plan.u(0.025, 0.07)
    stem, leaf, bloom = plan.palette.look(height), plan.palette.look(0.2), plan.palette.look(0.15)
    bone, position = base, np.array([0.0, pot * 0.4, 0.0])
    for n in range(joints):
        bone = s.bone(bone, position, swings=[(X, plan.wave(13, offset=-0.08 * n)), (Z, plan.wave(13, offset=0.25 - 0.08 * n)), (Y, plan.wave(10))])
        s.cone(bone, (0, 0, 0), (0, height / joints, 0), thick * (1 - 0.15 * n), thick * (0.85 - 0.15 * n), stem)
        position = np.array([0.0, height / joints, 0.0])
        for _ in range(int(plan.rng.integers(0, 3))):
            angle, reach = plan.u(0, 2 * np.pi), plan.u(0.12, 0.32)
            blade = s.bone(bone, (0, height / joints * plan.u(0.2, 0.9), 0), rotation(np.array(Y), np.array(angle)), swings=[(Z, plan.wave(20, offset=plan.u(0, 1), bias=plan.u(0, 40)))])
            s.cone(blade, (0, 0, 0), (reach, 0.03, 0), 0.03, plan.u(0.03, 0.09), leaf, flat=(1.0, plan.u(0.2, 0.5)))
    crown = s.bone(bone, position, swings=[(X, plan.wave(15)), (Y, plan.wave(20))])
    petals, reach = int(plan.rng.integers(4, 9)), plan.u(0.08, 0.22)
    heart = plan.u(0.05, 0.1)
    s.ball(crown, (0, 0, 0), (heart, heart * 0.8, heart), plan.palette.look(heart))
    opening = Wave(np.radians(plan.u(0, 40)), plan.tempo, plan.u(0, 1), np.radians(plan.u(0, 50)))
    for n in range(petals):
        petal = s.bone(crown, (0, 0, 0), rotation(np.array(Y), np.array(2 * np.pi * n / petals)), swings=[(Z, opening)])
        s.cone(petal, (heart * 0.6, 0, 0), (heart + reach, 0.0, 0), 0.03, plan.u(0.04, 0.08), bloom, flat=(1.0, 0.3))
    return s


def machine(plan: Plan) -> Skeleton:
    """A base that may roll on wheels, with an arm, a rotor or a lid."""
    s = Skeleton()
    root = plan.root(s) if plan.chance(0.5) else s.bone(0, (0, -0.2, 0))
    half = (plan.u(0.15, 0.4), plan.u(0.07, 0.25), plan.u(0.15, 0.45))
    paint, metal = plan.palette.look(0.3), plan.palette.look(0.2)
    hull = s.bone(root, (0, 0, 0), swings=[(Y, plan.wave(12, frequency=0.5))])
    if plan.chance(0.75):
        s.box(hull, (0, 0, 0), half, paint, rounding=plan.u(0, 0.06))
    else:
        s.cylinder(hull, (0, 0, 0), Y, half[0], half[1], paint, rounding=plan.u(0, 0.04))
    if plan.chance(0.5):
        s.box(hull, (0, half[1] + 0.08, plan.u(-0.5, 0.5) * half[2]), (half[0] * plan.u(0.4, 0.9), 0.1, half[2] * plan.u(0.3, 0.6)), metal, rounding=0.02)
    if plan.chance(0.55):
        radius, turns = plan.u(0.07, 0.17), plan.rng.choice([-1.0, 0.5, 1.0])
        tyre = plan.palette.look(radius)
        for sx in (-1, 1):
            for sz in (-1, 1):
                wheel = s.bone(hull, (sx * (half[0] + 0.03), -half[1], sz * half[2] * 0.7), spin=(X, turns))
                s.cylinder(wheel, (0, 0, 0), X, radius, plan.u(0.025, 0.05), tyre, rounding=0.01)
                s.box(wheel, (sx * 0.04, 0, 0), (0.015, radius * 0.75, 0.02), metal)
    kind = plan.rng.integers(4)
    if kind in (0, 1):
        joints = int(plan.rng.integers(2, 5))
        size = plan.u(0.03, 0.08)
        bone = s.bone(hull, (0, half[1], 0), swings=[(Y, plan.wave(50, frequency=0.5))])
        position = np.zeros(3)
        reach = plan.u(0.7, 1.1) / joints
        for n in range(joints):
            bone = s.bone(bone, position, swings=[(X, plan.wave(28, offset=0.2 * n, bias=plan.u(-35, 35))), (Z, plan.wave(8, offset=0.1 * n))])
            s.ball(bone, (0, 0, 0), (size * 1.4,) * 3, metal)
            if plan.chance(0.5):
                s.box(bone, (0, reach * 0.5, 0), (size, reach * 0.5, size), paint, rounding=0.01)
            else:
                s.cylinder(bone, (0, reach * 0.5, 0), Y, size, reach * 0.5, paint, rounding=0.01)
            position = np.array([0.0, reach, 0.0])
        for sign in (-1, 1):
            claw = s.bone(bone, position, swings=[(Z, plan.wave(sign * 25, bias=sign * -20))])
            s.box(claw, (0, 0.08, 0), (0.02, 0.09, 0.04), metal, rounding=0.005)
    elif kind == 2:
        blades, reach = int(plan.rng.integers(2, 6)), plan.u(0.3, 0.6)
        up = plan.chance(0.5)
        s.cone(hull, (0, half[1], 0), (0, half[1] + 0.2, 0), 0.05, 0.04, metal)
        hub = s.bone(hull, (0, half[1] + 0.25, 0) if up else (0, half[1] + 0.25, 0.06), np.eye(3) if up else aim(np.array(Z)), spin=(Y, float(plan.rng.choice([-0.5, 0.25, 0.5]))))
        s.cylinder(hub, (0, 0, 0), Y, 0.06, 0.04, paint, rounding=0.01)
        for n in range(blades):
            turn = rotation(np.array(Y), np.array(2 * np.pi * n / blades))
            s.box(hub, turn @ np.array([reach * 0.5, 0, 0]), (reach * 0.5, 0.012, plan.u(0.03, 0.08)), plan.palette.look(reach) if n == 0 else metal, rounding=0.005, turn=turn @ rotation(np.array(X), np.array(0.3)))
    else:
        lid = s.bone(hull, (0, half[1], -half[2]), swings=[(X, Wave(np.radians(plan.u(20, 55)), plan.tempo, plan.u(0, 1), np.radians(-plan.u(35, 60))))])
        s.box(lid, (0, 0.06, half[2]), (half[0], 0.05, half[2]), metal, rounding=plan.u(0, 0.04))
        inside = plan.palette.look(0.1)
        for _ in range(int(plan.rng.integers(0, 4))):
            s.ball(hull, (plan.u(-0.6, 0.6) * half[0], half[1], plan.u(-0.6, 0.6) * half[2]), (plan.u(0.04, 0.09),) * 3, inside)
    return s


def soft_thing(plan: Plan) -> Skeleton:
    """A few blended balls and cones, squashing, bending and wobbling."""
    s = Skeleton()
    root = plan.root(s)
    s.squash = Wave(plan.u(0.05, 0.28), plan.tempo, plan.u(0, 1))
    joints = int(plan.rng.integers(1, 4))
    bone, position, radius = root, np.zeros(3), plan.u(0.2, 0.4)
    skin = plan.look(radius)
    for n in range(joints):
        bone = s.bone(bone, position, swings=[(X, plan.wave(16, offset=0.1 * n)), (Z, plan.wave(16, offset=0.3 + 0.1 * n)), (Y, plan.wave(25, offset=0.5))])
        next_radius = radius * plan.u(0.6, 1.1)
        rise = radius * plan.u(0.6, 1.2)
        s.cone(bone, (0, 0, 0), (0, rise, 0), radius, next_radius, skin if plan.chance(0.6) else plan.look(radius), flat=(1.0, plan.u(0.6, 1.0)))
        position, radius = np.array([0.0, rise, 0.0]), next_radius
    plan.eyes(s, bone, position, radius, np.array([0.0, 0.0, 1.0]))
    for _ in range(int(plan.rng.integers(0, 6))):
        direction = plan.rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        bump = s.bone(bone, position, swings=[(X, plan.wave(15, offset=plan.u(0, 1)))])
        size = radius * plan.u(0.2, 0.5)
        s.cone(bump, direction * radius * 0.8, direction * radius * plan.u(1.1, 1.9), size, size * plan.u(0.3, 1.2), plan.look(size))
    return s


def mongrel(plan: Plan) -> Skeleton:
    """A random tree of limbs on a random body: shapes no other plan makes."""
    s = Skeleton()
    root = plan.root(s)
    radii = (plan.u(0.1, 0.35), plan.u(0.1, 0.35), plan.u(0.1, 0.35))
    skin = plan.look(0.3)
    if plan.chance(0.35):
        s.box(root, (0, 0, 0), radii, skin, rounding=plan.u(0.0, 0.1))
    else:
        s.ball(root, (0, 0, 0), radii, skin)
    for _ in range(int(plan.rng.integers(2, 7))):
        direction = plan.rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        joints, reach, thick = int(plan.rng.integers(1, 4)), plan.u(0.2, 0.7), plan.u(0.03, 0.13)
        mirrored = [1.0, -1.0] if plan.chance(0.6) else [1.0]
        looks = [plan.look(reach)]
        flat = (1.0, plan.u(0.2, 0.5)) if plan.chance(0.25) else (1.0, 1.0)
        for sign in mirrored:
            if len(s.parts) > 30:
                break
            towards = direction * np.array([sign, 1.0, 1.0])
            tip = plan.chain(s, root, towards * np.asarray(radii) * 0.8, towards, [reach / joints] * joints,
                             list(np.linspace(thick, thick * plan.u(0.4, 1.2), joints + 1)), [X, Z], 24,
                             offset=0.5 * (sign > 0), looks=looks, flat=flat)  # fmt: skip
            if plan.chance(0.4):
                size = thick * plan.u(0.9, 1.8)
                s.ball(tip, (0, 0, 0), (size, size * plan.u(0.6, 1.3), size), plan.palette.look(size))
    return s


PLANS: dict[str, Callable[[Plan], Skeleton]] = {
    "biped": biped,
    "quadruped": quadruped,
    "bird": bird,
    "fish": fish,
    "insect": insect,
    "snake": snake,
    "tentacles": tentacles,
    "plant": plant,
    "machine": machine,
    "soft_thing": soft_thing,
    "mongrel": mongrel,
}
PLAN_CHANCES = {
    "biped": 0.2, "quadruped": 0.2, "bird": 0.09, "fish": 0.1, "insect": 0.07, "snake": 0.05,
    "tentacles": 0.06, "plant": 0.05, "machine": 0.07, "soft_thing": 0.04, "mongrel": 0.07,
}  # fmt: skip
