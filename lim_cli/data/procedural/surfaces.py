"""What surface points look like, where they are in the reference pose, and what rays see of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lim_cli.data.procedural.distances import union_distances, union_normals
from lim_cli.data.procedural.parts import NEAR, PACKET, compiled, whole_vectors
from lim_cli.data.procedural.tracing import TRACE_ROWS, first_hits

SURFACE_ROWS = 8  # scratch rows of `surface_points`


class Scratch(NamedTuple):
    """Memory for a packet: lane [PACKET] and near [part] indices, each [part, PACKET], rows [.., PACKET]."""

    lane: np.ndarray
    near: np.ndarray
    each: np.ndarray
    rows: np.ndarray


@compiled
def scratch(part_count):
    return Scratch(
        np.empty(PACKET, np.int64),
        np.empty(part_count, np.int64),
        np.empty((part_count, PACKET), np.float32),
        np.zeros((TRACE_ROWS + 15 + SURFACE_ROWS, PACKET), np.float32),
    )


@compiled
def _soft_step(value, softness):
    t = min(max(value / softness * np.float32(0.5) + np.float32(0.5), np.float32(0.0)), np.float32(1.0))
    return t * t * (np.float32(3.0) - np.float32(2.0) * t)


@compiled
def _pattern(look, j, px, py, pz):
    """Share of the second colour on a part's surface at a point of its own frame."""
    pattern = look[j, 6]
    frequency = look[j, 7]
    phase = look[j, 8]
    softness = look[j, 13]
    along = px * look[j, 9] + py * look[j, 10] + pz * look[j, 11]
    amount = np.float32(0.0)
    if pattern == 1:
        amount = _soft_step(math.sin(along * frequency + phase), softness)
    elif pattern == 2:
        dots = (
            math.sin(px * frequency + phase)
            * math.sin(py * frequency + phase * np.float32(1.7))
            * math.sin(pz * frequency + phase * np.float32(0.6))
        )
        amount = _soft_step(abs(dots) - np.float32(0.3), softness)
    elif pattern == 3:
        amount = min(max(py / max(look[j, 12], np.float32(1e-3)), np.float32(0.0)), np.float32(1.0))
    elif pattern == 4:
        f = frequency
        n = math.sin(px * f + phase + np.float32(2.0) * math.sin(py * f * np.float32(0.7)))
        n += math.sin(py * f * np.float32(1.3) - phase + np.float32(1.6) * math.sin(pz * f))
        n += math.sin(pz * f * np.float32(0.9) + np.float32(1.3) * math.sin(px * f * np.float32(1.1)))
        amount = _soft_step(n * np.float32(0.5), softness)
    elif pattern == 5:
        amount = _soft_step(along * np.float32(4.0), np.float32(0.6))
    elif pattern == 6:
        checks = math.sin(px * frequency) * math.sin(py * frequency) * math.sin(pz * frequency + phase)
        amount = _soft_step(checks, np.float32(0.05))
    return amount


@compiled
def _shade(out, eyes, light, count, shine):
    """Lights the albedo out[0:3, count] in place; normals in out[6:9], eyes [3, count]; shine [count]: scratch."""
    zero, one = np.float32(0.0), np.float32(1.0)
    for i in range(count):
        shine[i] = zero
    for i in range(count if light[9] > zero else 0):
        nx, ny, nz = out[6, i], out[7, i], out[8, i]
        if nx * light[0] + ny * light[1] + nz * light[2] > zero:
            hx, hy, hz = light[0] + eyes[0, i], light[1] + eyes[1, i], light[2] + eyes[2, i]
            length = math.sqrt(hx * hx + hy * hy + hz * hz + np.float32(1e-12))
            half = max((nx * hx + ny * hy + nz * hz) / length, zero)
            shine[i] = light[9] * half ** light[10]
    l0, l1, l2 = light[0], light[1], light[2]
    for k in range(3):
        key, ambient = light[3 + k], light[6 + k]
        for i in range(count):
            lambert = max(out[6, i] * l0 + out[7, i] * l1 + out[8, i] * l2, zero)
            sky = np.float32(0.8) + np.float32(0.2) * out[7, i]
            value = out[k, i] * (ambient * sky + key * lambert) + shine[i] * key
            out[k, i] = min(max(value, zero), one)


@compiled
def _add_part(parts, skin, j, distance, nearest, points, count, out, total, colour_total, s):
    """Adds part j's albedo to out[0:3] and its canonical position to out[3:6], by the weights of the blend.

    distance, nearest [count]: of the part and of the nearest part; s: scratch [5, PACKET].
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    inverse, forward, look = parts.inverse, skin.forward, skin.look
    m0, m1, m2, m3 = inverse[j, 0], inverse[j, 1], inverse[j, 2], inverse[j, 3]
    m4, m5, m6, m7 = inverse[j, 4], inverse[j, 5], inverse[j, 6], inverse[j, 7]
    m8, m9, m10, m11 = inverse[j, 8], inverse[j, 9], inverse[j, 10], inverse[j, 11]
    f0, f1, f2, f3 = forward[j, 0], forward[j, 1], forward[j, 2], forward[j, 3]
    f4, f5, f6, f7 = forward[j, 4], forward[j, 5], forward[j, 6], forward[j, 7]
    f8, f9, f10, f11 = forward[j, 8], forward[j, 9], forward[j, 10], forward[j, 11]
    per_reach = one / max(parts.blend, np.float32(1e-5))
    hard = skin.hard_colour
    for i in range(count):
        x, y, z = points[0, i], points[1, i], points[2, i]
        px = m0 * x + m1 * y + m2 * z + m3
        py = m4 * x + m5 * y + m6 * z + m7
        pz = m8 * x + m9 * y + m10 * z + m11
        further = distance[i] - nearest[i]
        weight = max(one - further * per_reach, zero)
        weight = weight * weight
        total[i] += weight
        out[3, i] += weight * (f0 * px + f1 * py + f2 * pz + f3)
        out[4, i] += weight * (f4 * px + f5 * py + f6 * pz + f7)
        out[5, i] += weight * (f8 * px + f9 * py + f10 * pz + f11)
        closest = one if further <= np.float32(1e-6) else zero
        s[0, i], s[1, i], s[2, i], s[3, i], s[4, i] = px, py, pz, closest if hard else weight, zero
    if look[j, 6] != zero:
        for i in range(count):
            if s[3, i] > zero:
                s[4, i] = _pattern(look, j, s[0, i], s[1, i], s[2, i])
    for i in range(count):
        colour_total[i] += s[3, i]
    for k in range(3):
        first, change = look[j, k], look[j, k + 3] - look[j, k]
        for i in range(count):
            out[k, i] += s[3, i] * (first + change * s[4, i])


@compiled
def surface_points(parts, skin, listed, listed_count, points, eyes, count, out, near, each, s):
    """Looks of a packet of surface points [3, count] into out: 0:3 lit rgb, 3:6 canonical, 6:9 normal.

    eyes [3, count]: directions towards the viewer (all 0: none). near: scratch indices [part]; each: scratch
    [part, PACKET]; s: scratch [SURFACE_ROWS, PACKET].
    """
    nearest, value, single = s[0], s[1], s[2]
    points_count, count = count, whole_vectors(count)
    for i in range(count):
        nearest[i] = np.float32(1e9)
    for n in range(listed_count):
        union_distances(parts, np.float32(0.0), listed[n : n + 1], np.int64(1), points, count, each[n], single)
        for i in range(count):
            nearest[i] = min(nearest[i], each[n, i])
    near_count = np.int64(0)  # parts that no point of the packet is near leave the rest
    for n in range(listed_count):
        least = np.float32(1e9)
        for i in range(points_count):
            least = min(least, each[n, i] - nearest[i])
        if least <= parts.blend + np.float32(3.0) * NEAR:
            near[near_count] = listed[n]
            for i in range(count):
                each[near_count, i] = each[n, i]
            near_count += 1
    union_normals(parts, near, near_count, points, count, out[6:9], s[3:6], value, single)
    total, colour_total = s[1], s[2]
    for i in range(count):
        total[i] = np.float32(0.0)
        colour_total[i] = np.float32(0.0)
        for k in range(6):
            out[k, i] = np.float32(0.0)
    for n in range(near_count):
        _add_part(parts, skin, near[n], each[n], nearest, points, count, out, total, colour_total, s[3:8])
    for k in range(3):
        for i in range(count):
            out[k, i] /= colour_total[i]
            out[k + 3, i] /= total[i]
    _shade(out, eyes, skin.light, count, total)


@compiled
def shoot(parts, skin, listed, listed_count, o, d, count, quick, hit, work):
    """A packet of rays o, d [3, count] to hit rows: 0 ray_length (-1: miss), 1:4 lit rgb, 4:7 canonical, 7:10 normal.

    quick: as in `first_hits`. work: `scratch`. Rows of rays that miss keep what they held.
    """
    lane, t = work.lane, hit[0]
    first_hits(parts, listed, listed_count, o, d, count, quick, t, lane, work.rows[:TRACE_ROWS])
    points, eyes = work.rows[TRACE_ROWS : TRACE_ROWS + 3], work.rows[TRACE_ROWS + 3 : TRACE_ROWS + 6]
    out, rest = work.rows[TRACE_ROWS + 6 : TRACE_ROWS + 15], work.rows[TRACE_ROWS + 15 :]
    kept = np.int64(0)
    for i in range(count):
        if t[i] >= np.float32(0.0):
            lane[kept] = i
            for k in range(3):
                points[k, kept] = o[k, i] + t[i] * d[k, i]
                eyes[k, kept] = -d[k, i]
            kept += 1
    if kept == 0:
        return
    surface_points(parts, skin, listed, listed_count, points, eyes, kept, out, work.near, work.each, rest)
    for n in range(kept):
        for k in range(9):
            hit[1 + k, lane[n]] = out[k, n]
