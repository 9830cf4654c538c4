"""Body plans of many joints in a row or ring: fish, insects, snakes and tentacles. Sizes are about one unit."""

from __future__ import annotations

import numpy as np

from lim_cli.data.procedural.plan import Plan, X, Y, Z
from lim_cli.data.procedural.skeleton import Skeleton, Wave, aim, rotation


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
        s.cone(
            bone,
            (0, 0, 0),
            (0, 0, -length / count),
            profile[n],
            profile[n + 1],
            scales[n % len(scales)],
            flat=(flat, 1.0),
        )
        position = np.array([0.0, 0.0, -length / count])
        bones.append(bone)
    plan.eyes(
        s, bones[0], np.array([0, profile[0] * 0.2, profile[0] * 0.2]), profile[0] * 0.9, np.array([0.0, 0.0, 1.0])
    )
    fin = plan.look(0.2)
    tail = s.bone(bone, position, swings=[(axis, plan.wave(24, offset=-0.13 * count))])
    reach, spread = plan.u(0.12, 0.3), plan.u(0.06, 0.28)
    for sign in (-1, 1):
        end = (sign * spread, 0, -reach) if vertical else (0, sign * spread, -reach)
        s.cone(tail, (0, 0, 0.02), end, 0.05, plan.u(0.02, 0.07), fin, flat=(1.0, 0.3) if vertical else (0.3, 1.0))
    if plan.chance(0.8):
        middle = bones[count // 2 - 1]
        top = profile[count // 2]
        s.cone(
            middle,
            (0, top * 0.7, 0),
            (0, top + plan.u(0.05, 0.25), -plan.u(0.0, 0.2)),
            plan.u(0.05, 0.14),
            0.03,
            plan.look(0.2),
            flat=(0.25, 1.0),
            twist=0.0 if plan.chance(0.5) else np.pi / 2,
        )
    for sign in (-1, 1):
        side = s.bone(
            bones[min(1, count - 1)],
            (sign * profile[1] * flat * 0.8, -profile[1] * 0.3, 0),
            swings=[(Z, plan.wave(sign * 28, offset=plan.u(0, 0.2))), (Y, plan.wave(18))],
        )
        s.cone(
            side,
            (0, 0, 0),
            (sign * plan.u(0.08, 0.3), -plan.u(0.0, 0.12), -plan.u(0.0, 0.15)),
            0.05,
            plan.u(0.03, 0.08),
            fin,
            flat=(1.0, 0.3),
        )
    return s


def insect(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    pairs = int(plan.rng.integers(2, 5))
    body, abdomen, head = plan.u(0.1, 0.2), plan.u(0.12, 0.28), plan.u(0.07, 0.15)
    shell = plan.look(0.2)
    s.ball(root, (0, 0, 0), (body, body * plan.u(0.6, 1.0), body * plan.u(0.9, 1.5)), shell)
    back = s.bone(root, (0, 0, -body), swings=[(X, plan.wave(10, bias=plan.u(-20, 15))), (Y, plan.wave(8))])
    s.ball(
        back,
        (0, 0, -abdomen * 0.8),
        (abdomen * plan.u(0.6, 1.0), abdomen * plan.u(0.6, 0.9), abdomen * 1.1),
        plan.look(abdomen),
    )
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
            plan.chain(
                s,
                root,
                (sign * body * 0.7, -0.02, z),
                direction,
                [reach * 0.4, reach * 0.6],
                [thin * 1.4, thin, thin * 0.6],
                [X, Z],
                16,
                offset=0.5 * ((n + (sign > 0)) % 2),
                looks=shade,
            )
            lower = s.bones[-2]
            lower.rest = rotation(np.array(Z) @ aim(direction), np.array(-sign * np.radians(plan.u(60, 105))))
    for sign in (-1, 1):
        if plan.chance(0.7):
            plan.chain(
                s,
                front,
                (sign * head * 0.4, head * 0.5, head),
                (sign * 0.4, 0.8, 0.8),
                [0.12, 0.1],
                [0.014, 0.012, 0.02],
                [X, Z],
                18,
                looks=shade,
                offset=plan.u(0, 1),
            )
    if plan.chance(0.45):
        wing, chord = plan.u(0.25, 0.5), plan.u(0.06, 0.15)
        membrane = plan.palette.look(wing)
        for sign in (-1, 1):
            hinge = s.bone(
                root,
                (sign * body * 0.4, body * 0.7, 0),
                swings=[(Z, plan.wave(sign * 40, frequency=2, bias=sign * plan.u(0, 30)))],
            )
            s.cone(
                hinge,
                (0, 0, 0),
                (sign * wing, 0.02, -plan.u(0.0, 0.25)),
                chord * 0.5,
                chord,
                membrane,
                flat=(1.0, 0.15),
            )
    return s


def snake(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    count = int(plan.rng.integers(6, 12))
    length, radius = plan.u(1.0, 1.6), plan.u(0.04, 0.12)
    axis = Y if plan.chance(0.7) else X
    bend = plan.u(16, 34)
    scales = [plan.look(length / count)] if plan.chance(0.5) else [plan.look(length / count) for _ in range(2)]
    bone, position = root, np.array([0.0, 0.0, length * 0.5])
    radii = radius * np.concatenate([[0.8], np.linspace(1.0, 0.8, count - 2), [0.5, 0.2]])
    wavelength = plan.u(0.08, 0.2)
    for n in range(count):
        bone = s.bone(
            bone, position, swings=[(axis, plan.wave(bend, offset=-wavelength * n)), (Z, plan.wave(6, offset=-0.1 * n))]
        )
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
        plan.chain(
            s,
            root,
            start,
            direction,
            [reach / joints] * joints,
            list(np.linspace(thick, thick * plan.u(0.2, 0.7), joints + 1)),
            [Z, X],
            20,
            offset=n / count * plan.rng.integers(0, 3),
            lag=0.14,
            looks=skin,
            curl=plan.u(-20, 20),
        )
    return s
