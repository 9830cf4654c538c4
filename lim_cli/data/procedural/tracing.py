"""Where packets of rays first meet a union of parts: sphere tracing of those rays that may meet it at all."""

from __future__ import annotations

import math

import numpy as np

from lim_cli.data.procedural.distances import union_distances
from lim_cli.data.procedural.parts import NEAR, compiled, whole_vectors

NEVER, HALF_NEVER = np.float32(1e9), np.float32(5e8)
TRACE_ROWS = 14  # scratch rows of `first_hits`


@compiled
def _slack(blend, part_count):
    """How far a ray may pass every part and yet come NEAR the union: blending n parts adds to each of them.

    The smooth minimum of equal distances is the worst case; for n parts it lies below them by at most `blend`.
    """
    swell = np.float32(0.0)
    for _ in range(part_count - 1):
        swell += (np.float32(1.0) - swell) * (np.float32(1.0) - swell) * np.float32(0.25)
    return np.float32(1.1) * NEAR + swell * blend


@compiled
def _entries(parts, listed, listed_count, slack, o, d, count, entry):
    """Ray lengths at which rays o, d [3, count] enter the listed parts, swollen by `slack`; NEVER where they do not.

    A round cone is two balls and the cone between their tangent circles, whose ends lie in the balls. Lines along
    it are tested by a ball around it, boxes (with their roundings) and cylinders by their boxes. All is done in the
    part's frame, from the point of the ray nearest to the part's middle, for precision.
    """
    one, zero, tiny = np.float32(1.0), np.float32(0.0), np.float32(1e-7)
    inverse, shape = parts.inverse, parts.shape
    for i in range(count):
        entry[i] = NEVER
    for n in range(listed_count):
        j = listed[n]
        m0, m1, m2, m3 = inverse[j, 0], inverse[j, 1], inverse[j, 2], inverse[j, 3]
        m4, m5, m6, m7 = inverse[j, 4], inverse[j, 5], inverse[j, 6], inverse[j, 7]
        m8, m9, m10, m11 = inverse[j, 8], inverse[j, 9], inverse[j, 10], inverse[j, 11]
        kind = int(shape[j, 0])
        swell = slack / abs(shape[j, 7])
        a, b, c = shape[j, 1] + swell, shape[j, 2] + swell, shape[j, 3] + swell
        half = np.float32(0.5) * shape[j, 1] if kind == 0 else zero
        around = half + max(b, c) if kind == 0 else a  # radius of a ball around a round cone, or of a ball
        cosine = shape[j, 6]
        taper = shape[j, 5] / cosine
        middle = b / cosine - taper * half  # radius of the cone at its middle
        for i in range(count):
            ox = m0 * o[0, i] + m1 * o[1, i] + m2 * o[2, i] + m3
            oy = m4 * o[0, i] + m5 * o[1, i] + m6 * o[2, i] + m7 - half
            oz = m8 * o[0, i] + m9 * o[1, i] + m10 * o[2, i] + m11
            dx = m0 * d[0, i] + m1 * d[1, i] + m2 * d[2, i]
            dy = m4 * d[0, i] + m5 * d[1, i] + m6 * d[2, i]
            dz = m8 * d[0, i] + m9 * d[1, i] + m10 * d[2, i]
            square = dx * dx + dy * dy + dz * dz
            nearest = -(ox * dx + oy * dy + oz * dz) / square
            ox, oy, oz = ox + nearest * dx, oy + nearest * dy, oz + nearest * dz
            gap = ox * ox + oy * oy + oz * oz
            inside = around * around - gap
            ball = -math.sqrt(max(inside, zero) / square) if inside >= zero else NEVER
            if kind == 0:
                toward, rest = dy * half, gap + half * half
                bottom = toward * toward - square * (rest + np.float32(2.0) * half * oy - b * b)
                first = (-toward - math.sqrt(max(bottom, zero))) / square if bottom >= zero else NEVER
                top = toward * toward - square * (rest - np.float32(2.0) * half * oy - c * c)
                last = (toward - math.sqrt(max(top, zero))) / square if top >= zero else NEVER
                radius = middle - taper * oy
                bend = dx * dx + dz * dz - taper * taper * dy * dy
                slant = ox * dx + oz * dz + taper * radius * dy
                side = slant * slant - bend * (ox * ox + oz * oz - radius * radius)
                body = (-slant - math.sqrt(max(side, zero))) / max(bend, tiny)
                radius = radius - taper * body * dy
                height = cosine * (oy + half + body * dy) - taper * cosine * radius
                on_body = side >= zero and height >= -tiny and height <= cosine * (half + half) + tiny
                met = min(min(first, last), body if on_body else NEVER)
                met = met if bend > np.float32(1e-3) * square else ball
            elif kind == 2:
                met = ball
            else:
                inverse_x = one / (dx if abs(dx) > tiny else tiny)
                inverse_y = one / (dy if abs(dy) > tiny else tiny)
                inverse_z = one / (dz if abs(dz) > tiny else tiny)
                depth_x, depth_y = a * abs(inverse_x), b * abs(inverse_y)
                depth_z = (a if kind == 3 else c) * abs(inverse_z)
                ax, ay, az = -ox * inverse_x, -oy * inverse_y, -oz * inverse_z
                met = max(ax - depth_x, max(ay - depth_y, az - depth_z))
                met = met if met <= min(ax + depth_x, min(ay + depth_y, az + depth_z)) else NEVER
            entry[i] = min(entry[i], nearest + met)


@compiled
def _ball_spans(parts, listed, listed_count, o, d, count, enter, leave):
    """Ray lengths from the first entry into the listed parts' balls to the last exit; leave -1: none ahead."""
    ball = parts.ball
    for i in range(count):
        enter[i] = NEVER
        leave[i] = np.float32(-1.0)
    for n in range(listed_count):
        j = listed[n]
        bx, by, bz, square = ball[j, 0], ball[j, 1], ball[j, 2], ball[j, 3] * ball[j, 3]
        for i in range(count):
            cx, cy, cz = bx - o[0, i], by - o[1, i], bz - o[2, i]
            along = cx * d[0, i] + cy * d[1, i] + cz * d[2, i]
            gap = square - (cx * cx + cy * cy + cz * cz - along * along)
            half = math.sqrt(max(gap, np.float32(0.0)))
            met = (gap > np.float32(0.0)) and (along + half > np.float32(0.0))
            enter[i] = min(enter[i], along - half) if met else enter[i]
            leave[i] = max(leave[i], along + half) if met else leave[i]


@compiled
def first_hits(parts, listed, listed_count, o, d, count, quick, t, lane, s):
    """First hits of a packet of rays o, d [3, count] with the listed parts: ray lengths into t, -1 for a miss.

    Rays stop within NEAR of the surface; where, depends on where they start: at the first part's ball, or when
    `quick` is 1 (else 0) close before the surface, which serves to see colours. lane: scratch
    indices [PACKET]; s: scratch [TRACE_ROWS, PACKET]. Rays that are done leave the packet.
    """
    step_share = np.float32(1.0) if quick > 0 else np.float32(0.97)
    packet, count = count, whole_vectors(count)
    enter, leave, entry = s[0], s[1], s[2]
    _entries(parts, listed, listed_count, _slack(parts.blend, listed_count), o, d, count, entry)
    first = NEVER
    for i in range(count):
        t[i] = np.float32(-1.0)
        first = min(first, entry[i])
    if first >= HALF_NEVER:
        return
    _ball_spans(parts, listed, listed_count, o, d, count, enter, leave)
    ray, length, end = s[3:9], s[9], s[1]  # the packet's living rays, close together
    points, value, single = s[10:13], s[13], s[2]
    alive = np.int64(0)
    for i in range(count):
        if i < packet and entry[i] < HALF_NEVER and leave[i] > np.float32(0.0):
            for k in range(3):
                ray[k, alive] = o[k, i]
                ray[k + 3, alive] = d[k, i]
            length[alive] = max(max(enter[i], entry[i] - NEAR) if quick > 0 else enter[i], np.float32(0.0))
            end[alive] = leave[i]
            lane[alive] = i
            alive += 1
    for _ in range(64):
        if alive == 0:
            return
        for i in range(whole_vectors(alive)):
            points[0, i] = ray[0, i] + length[i] * ray[3, i]
            points[1, i] = ray[1, i] + length[i] * ray[4, i]
            points[2, i] = ray[2, i] + length[i] * ray[5, i]
        union_distances(parts, parts.blend, listed, listed_count, points, alive, value, single)
        done = np.float32(0.0)
        for i in range(alive, whole_vectors(alive)):
            value[i], end[i] = NEAR, NEVER
        for i in range(whole_vectors(alive)):
            further = length[i] + value[i] * step_share
            length[i] = further if value[i] >= NEAR else length[i]
            done += np.float32(1.0) if value[i] < NEAR or further > end[i] else np.float32(0.0)
        if done == np.float32(0.0):
            continue
        kept = np.int64(0)
        for i in range(alive):
            if value[i] < NEAR:
                t[lane[i]] = length[i]
            elif length[i] <= end[i]:
                for k in range(6):
                    ray[k, kept] = ray[k, i]
                length[kept] = length[i]
                end[kept] = end[i]
                lane[kept] = lane[i]
                kept += 1
        alive = kept
