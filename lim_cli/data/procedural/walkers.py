"""Body plans on two or four legs: bipeds, quadrupeds and birds. Sizes are about one unit."""

from __future__ import annotations

import numpy as np

from lim_cli.data.procedural.plan import Plan, X, Y, Z
from lim_cli.data.procedural.skeleton import Skeleton, aim


def biped(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    leg, arm = plan.u(0.35, 0.6), plan.u(0.3, 0.55)
    torso, wide, thick = plan.u(0.35, 0.6), plan.u(0.12, 0.3), plan.u(0.5, 1.0)
    head, boxy = plan.u(0.1, 0.26), plan.chance(0.3)
    hips = s.bone(root, (0, 0, 0), swings=[(Y, plan.wave(8)), (Z, plan.wave(4))])
    chest = s.bone(
        hips,
        (0, torso * 0.5, 0),
        swings=[(Y, plan.wave(12, offset=0.5)), (X, plan.wave(6, frequency=2, bias=plan.u(-5, 20)))],
    )
    look = plan.look(torso)
    if boxy:
        s.box(
            hips,
            (0, torso * 0.2, 0),
            (wide, torso * 0.35, wide * thick),
            plan.look(wide),
            rounding=wide * plan.u(0, 0.5),
        )
        s.box(
            chest, (0, torso * 0.25, 0), (wide * 1.2, torso * 0.35, wide * thick), look, rounding=wide * plan.u(0, 0.5)
        )
    else:
        s.cone(hips, (0, 0, 0), (0, torso * 0.5, 0), wide, wide * plan.u(0.7, 1.0), plan.look(wide), flat=(1.0, thick))
        s.cone(chest, (0, 0, 0), (0, torso * 0.45, 0), wide * 0.9, wide * plan.u(0.8, 1.3), look, flat=(1.1, thick))
    neck = s.bone(
        chest, (0, torso * 0.5 + wide * 0.7, 0), swings=[(Y, plan.wave(25, frequency=0.5)), (X, plan.wave(12))]
    )
    shape = (head * plan.u(0.8, 1.15), head * plan.u(0.85, 1.3), head * plan.u(0.8, 1.15))
    skin = plan.look(head)
    if boxy and plan.chance(0.5):
        s.box(neck, (0, head, 0), shape, skin, rounding=head * plan.u(0, 0.4))
    else:
        s.ball(neck, (0, head, 0), shape, skin)
    plan.eyes(s, neck, np.array([0, head, 0.0]), head, np.array([0.0, 0.0, 1.0]))
    if plan.chance(0.4):
        for sign in (-1, 1):
            s.cone(
                neck,
                (sign * head * 0.5, head * 1.6, 0),
                (sign * head * plan.u(0.5, 1.2), head * plan.u(2.0, 2.8), 0),
                head * 0.2,
                head * 0.05,
                plan.look(head),
            )
    elif plan.chance(0.5):
        s.cylinder(
            neck,
            (0, head * 1.95, 0),
            Y,
            head * plan.u(0.7, 1.2),
            head * plan.u(0.1, 0.5),
            plan.look(head),
            rounding=head * 0.05,
        )
    thin = plan.u(0.045, 0.11)
    leg_looks, arm_looks = [plan.look(leg)], [plan.look(arm)]
    bend = plan.u(0, 25)
    for sign in (-1, 1):
        half = 0.0 if sign < 0 else 0.5
        end = plan.chain(
            s,
            hips,
            (sign * wide * 0.7, -wide * 0.2, 0),
            (0, -1, 0),
            [leg * 0.5, leg * 0.5],
            [thin * 1.3, thin, thin * 0.8],
            [X],
            32,
            offset=half,
            lag=0.2,
            looks=leg_looks,
            bias=[bend * 0.5, -bend],
        )
        foot = plan.palette.look(0.1)
        s.cone(end, (0, 0, 0), (0, 0.02, thin * plan.u(1.2, 2.2)), thin, thin * 0.8, foot)
        out = plan.u(10, 80)
        down = np.array([sign * np.sin(np.radians(out)), -np.cos(np.radians(out)), 0.0])
        end = plan.chain(
            s,
            chest,
            (sign * (wide * 1.15 + thin * 0.3), torso * 0.45, 0),
            down,
            [arm * 0.5, arm * 0.5],
            [thin, thin * 0.85, thin * 0.7],
            [X, Z],
            38,
            offset=half + 0.5,
            lag=0.1,
            looks=arm_looks,
            bias=[0.0, plan.u(0, 60)],
        )
        s.ball(end, (0, thin * 0.5, 0), (thin * 1.1, thin * 1.4, thin * 0.9), skin)
        if sign > 0 and plan.chance(0.35):
            s.box(
                end,
                (0, thin, plan.u(0.0, 0.2)),
                (0.02, plan.u(0.02, 0.12), plan.u(0.15, 0.35)),
                plan.look(0.2),
                rounding=0.01,
            )
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
    s.cone(
        front,
        (0, 0, 0),
        (0, plan.u(-0.03, 0.05), length * 0.45),
        girth,
        girth * plan.u(0.8, 1.2),
        hide,
        flat=(plan.u(0.75, 1.0), 1.0),
    )
    rise = plan.u(10, 80)
    towards = np.array([0.0, np.sin(np.radians(rise)), np.cos(np.radians(rise))])
    neck_length, head = plan.u(0.12, 0.45), plan.u(0.08, 0.17)
    tip = plan.chain(
        s,
        front,
        (0, girth * 0.4, length * 0.45),
        towards,
        [neck_length * 0.5, neck_length * 0.5],
        [girth * 0.6, girth * 0.45, girth * 0.4],
        [X, Z],
        10,
        offset=plan.u(0, 1),
        looks=[hide],
    )
    skull = s.bone(tip, (0, 0, 0), aim(towards).T, swings=[(X, plan.wave(14)), (Y, plan.wave(12, frequency=0.5))])
    face = plan.look(head)
    s.ball(skull, (0, 0, head * 0.3), (head * plan.u(0.75, 1.0), head, head * 1.1), face)
    s.cone(
        skull,
        (0, -head * 0.15, head * 0.8),
        (0, -head * 0.3, head * plan.u(1.3, 2.2)),
        head * 0.6,
        head * plan.u(0.25, 0.5),
        plan.look(head),
    )
    plan.eyes(s, skull, np.array([0, head * 0.2, head * 0.4]), head, np.array([0.0, 0.0, 1.0]))
    ear, kind = plan.u(0.3, 1.4) * head, plan.rng.integers(3)
    for sign in (-1, 1):
        if kind == 0:
            s.cone(
                skull,
                (sign * head * 0.6, head * 0.8, 0),
                (sign * head * 0.8, head * 0.8 + ear, -0.1 * head),
                head * 0.3,
                head * 0.1,
                face,
                flat=(1.0, 0.4),
            )
        elif kind == 1:
            s.cone(
                skull,
                (sign * head * 0.6, head * 0.8, 0),
                (sign * (head * 0.7 + ear), head * plan.u(0.8, 1.9), 0),
                head * 0.2,
                head * 0.06,
                plan.look(head),
            )
    hoof = plan.palette.look(0.1)
    gait = plan.rng.choice([0.0, 0.25, 0.5])
    bend = plan.u(5, 30)
    for end, place, phase in ((rear, -0.02, 0.0), (front, length * 0.4, 0.5)):
        for sign in (-1, 1):
            offset = phase * (0.5 + gait) + (0.5 if sign > 0 else 0.0) * (1.0 - gait)
            fold = bend if end == rear else -bend
            foot = plan.chain(
                s,
                end,
                (sign * girth * 0.6, -girth * 0.5, place),
                (0, -1, 0),
                [leg * 0.5, leg * 0.5],
                [thin * 1.6, thin, thin * 0.75],
                [X],
                26,
                offset=offset,
                lag=0.18,
                looks=[hide],
                bias=[fold * 0.6, -fold],
            )
            s.cone(foot, (0, 0, 0), (0, 0.01, thin * 0.8), thin, thin * 0.9, hoof)
    if plan.chance(0.85):
        tail = plan.u(0.1, 0.5)
        plan.chain(
            s,
            rear,
            (0, girth * 0.5, -girth * 0.7),
            (0, plan.u(-0.8, 0.8), -1),
            [tail / 3] * 3,
            list(np.linspace(plan.u(0.03, 0.07), plan.u(0.01, 0.06), 4)),
            [Z, X],
            22,
            lag=0.15,
            offset=plan.u(0, 1),
            curl=plan.u(-15, 15),
        )
    return s


def bird(plan: Plan) -> Skeleton:
    s = Skeleton()
    root = plan.root(s)
    length, girth = plan.u(0.25, 0.45), plan.u(0.1, 0.2)
    body = s.bone(root, (0, 0, 0), swings=[(X, plan.wave(8, bias=plan.u(-40, 10)))])
    coat = plan.look(length)
    s.cone(body, (0, 0, -length * 0.5), (0, 0.02, length * 0.4), girth * plan.u(0.5, 0.9), girth, coat)
    head = plan.u(0.07, 0.14)
    neck = s.bone(
        body,
        (0, girth * 0.4, length * 0.45),
        swings=[(X, plan.wave(15, frequency=2)), (Y, plan.wave(25, frequency=0.5))],
    )
    rise = plan.u(0.05, 0.3)
    s.cone(neck, (0, 0, 0), (0, rise, 0.05), girth * 0.5, head * 0.7, coat)
    s.ball(neck, (0, rise + head * 0.5, 0.06), (head, head, head * 1.1), plan.look(head))
    s.cone(
        neck,
        (0, rise + head * 0.4, 0.06 + head),
        (0, rise + head * 0.25, 0.06 + head * plan.u(1.6, 3.0)),
        head * 0.4,
        head * 0.1,
        plan.palette.look(head),
        flat=(plan.u(0.5, 1.3), 0.7),
    )
    plan.eyes(s, neck, np.array([0, rise + head * 0.5, 0.06]), head, np.array([0.0, 0.0, 1.0]))
    span, chord = plan.u(0.3, 0.65), plan.u(0.08, 0.2)
    feather, edge = plan.look(span), plan.look(span)
    fold = plan.u(-15, 25)
    for sign in (-1, 1):
        wing = s.bone(
            body,
            (sign * girth * 0.8, girth * 0.3, length * 0.1),
            swings=[(Z, plan.wave(sign * 38, bias=sign * fold)), (X, plan.wave(10, offset=0.25))],
        )
        s.cone(
            wing,
            (0, 0, 0),
            (sign * span * 0.5, 0, 0),
            chord,
            chord * 0.95,
            feather,
            flat=(plan.u(0.9, 1.3), plan.u(0.12, 0.25)),
        )
        outer = s.bone(
            wing, (sign * span * 0.55, 0, 0), swings=[(Z, plan.wave(sign * 30, offset=-0.15)), (Y, plan.wave(10))]
        )
        s.cone(
            outer,
            (0, 0, 0),
            (sign * span * 0.5, 0, -chord * plan.u(0.0, 0.8)),
            chord * 0.9,
            chord * 0.3,
            edge,
            flat=(1.0, plan.u(0.1, 0.2)),
        )
    fan = s.bone(body, (0, 0, -length * 0.6), swings=[(X, plan.wave(14)), (Y, plan.wave(10))])
    s.cone(
        fan,
        (0, 0, 0),
        (0, 0, -plan.u(0.1, 0.35)),
        girth * 0.35,
        girth * plan.u(0.3, 0.8),
        plan.look(girth),
        flat=(1.0, 0.2),
    )
    if plan.chance(0.7):
        for sign in (-1, 1):
            leg = plan.u(0.1, 0.3)
            end = plan.chain(
                s,
                body,
                (sign * girth * 0.4, -girth * 0.8, 0),
                (0, -1, plan.u(-0.6, 0.3)),
                [leg * 0.5, leg * 0.5],
                [0.03, 0.02, 0.018],
                [X],
                20,
                offset=0.5 * (sign > 0),
                looks=[plan.palette.look(leg)],
            )
            s.cone(end, (0, 0, -0.02), (0, 0, 0.07), 0.02, 0.015, plan.palette.look(0.05))
    return s
