"""Body plans that are no animals: plants, machines, soft things and mongrels. Sizes are about one unit."""

from __future__ import annotations

import numpy as np

from lim_cli.data.procedural.plan import Plan, X, Y, Z
from lim_cli.data.procedural.skeleton import Skeleton, Wave, aim, rotation


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
        bone = s.bone(
            bone,
            position,
            swings=[
                (X, plan.wave(13, offset=-0.08 * n)),
                (Z, plan.wave(13, offset=0.25 - 0.08 * n)),
                (Y, plan.wave(10)),
            ],
        )
        s.cone(bone, (0, 0, 0), (0, height / joints, 0), thick * (1 - 0.15 * n), thick * (0.85 - 0.15 * n), stem)
        position = np.array([0.0, height / joints, 0.0])
        for _ in range(int(plan.rng.integers(0, 3))):
            angle, reach = plan.u(0, 2 * np.pi), plan.u(0.12, 0.32)
            blade = s.bone(
                bone,
                (0, height / joints * plan.u(0.2, 0.9), 0),
                rotation(np.array(Y), np.array(angle)),
                swings=[(Z, plan.wave(20, offset=plan.u(0, 1), bias=plan.u(0, 40)))],
            )
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
        s.box(
            hull,
            (0, half[1] + 0.08, plan.u(-0.5, 0.5) * half[2]),
            (half[0] * plan.u(0.4, 0.9), 0.1, half[2] * plan.u(0.3, 0.6)),
            metal,
            rounding=0.02,
        )
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
            bone = s.bone(
                bone,
                position,
                swings=[(X, plan.wave(28, offset=0.2 * n, bias=plan.u(-35, 35))), (Z, plan.wave(8, offset=0.1 * n))],
            )
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
        hub = s.bone(
            hull,
            (0, half[1] + 0.25, 0) if up else (0, half[1] + 0.25, 0.06),
            np.eye(3) if up else aim(np.array(Z)),
            spin=(Y, float(plan.rng.choice([-0.5, 0.25, 0.5]))),
        )
        s.cylinder(hub, (0, 0, 0), Y, 0.06, 0.04, paint, rounding=0.01)
        for n in range(blades):
            turn = rotation(np.array(Y), np.array(2 * np.pi * n / blades))
            s.box(
                hub,
                turn @ np.array([reach * 0.5, 0, 0]),
                (reach * 0.5, 0.012, plan.u(0.03, 0.08)),
                plan.palette.look(reach) if n == 0 else metal,
                rounding=0.005,
                turn=turn @ rotation(np.array(X), np.array(0.3)),
            )
    else:
        lid = s.bone(
            hull,
            (0, half[1], -half[2]),
            swings=[(X, Wave(np.radians(plan.u(20, 55)), plan.tempo, plan.u(0, 1), np.radians(-plan.u(35, 60))))],
        )
        s.box(lid, (0, 0.06, half[2]), (half[0], 0.05, half[2]), metal, rounding=plan.u(0, 0.04))
        inside = plan.palette.look(0.1)
        for _ in range(int(plan.rng.integers(0, 4))):
            s.ball(
                hull,
                (plan.u(-0.6, 0.6) * half[0], half[1], plan.u(-0.6, 0.6) * half[2]),
                (plan.u(0.04, 0.09),) * 3,
                inside,
            )
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
        bone = s.bone(
            bone,
            position,
            swings=[
                (X, plan.wave(16, offset=0.1 * n)),
                (Z, plan.wave(16, offset=0.3 + 0.1 * n)),
                (Y, plan.wave(25, offset=0.5)),
            ],
        )
        next_radius = radius * plan.u(0.6, 1.1)
        rise = radius * plan.u(0.6, 1.2)
        s.cone(
            bone,
            (0, 0, 0),
            (0, rise, 0),
            radius,
            next_radius,
            skin if plan.chance(0.6) else plan.look(radius),
            flat=(1.0, plan.u(0.6, 1.0)),
        )
        position, radius = np.array([0.0, rise, 0.0]), next_radius
    plan.eyes(s, bone, position, radius, np.array([0.0, 0.0, 1.0]))
    for _ in range(int(plan.rng.integers(0, 6))):
        direction = plan.rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        bump = s.bone(bone, position, swings=[(X, plan.wave(15, offset=plan.u(0, 1)))])
        size = radius * plan.u(0.2, 0.5)
        s.cone(
            bump,
            direction * radius * 0.8,
            direction * radius * plan.u(1.1, 1.9),
            size,
            size * plan.u(0.3, 1.2),
            plan.look(size),
        )
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
            tip = plan.chain(
                s,
                root,
                towards * np.asarray(radii) * 0.8,
                towards,
                [reach / joints] * joints,
                list(np.linspace(thick, thick * plan.u(0.4, 1.2), joints + 1)),
                [X, Z],
                24,
                offset=0.5 * (sign > 0),
                looks=looks,
                flat=flat,
            )
            if plan.chance(0.4):
                size = thick * plan.u(0.9, 1.8)
                s.ball(tip, (0, 0, 0), (size, size * plan.u(0.6, 1.3), size), plan.palette.look(size))
    return s
