"""Compiled signed-distance kernels (numba, no compiler needed at install): evaluate, cast rays, render.

An object at one time is a set of parts. Part j has an affine map world -> part (`inverse[j]`, [3, 4] flat),
a shape row (`shape[j]`: kind, a, b, c, rounding; a cone's slope and its cosine; the frame's smallest scale,
negated where uneven), a look row (`look[j]`) and a bounding ball (`ball[j]`: centre xyz, radius). The union is
a polynomial smooth minimum with blend length `blend` (0: hard edges).
A part's world distance is exact where its frame scales evenly; else its local distance over the length of
its world gradient (first order, and an underestimate away from the surface, so sphere tracing stays safe).

Points and rays go through in packets of up to PACKET, so that every inner loop runs over a packet without
branches and compiles to vector instructions.
"""

from __future__ import annotations

import math

import numba
import numpy as np

ROUND_CONE, BOX, BALL, CYLINDER = 0, 1, 2, 3
PLAIN, STRIPES, DOTS, GRADIENT, BLOTCHES, COUNTERSHADE, CHECKER = 0, 1, 2, 3, 4, 5, 6
PACKET = 64
LOOK_SIZE = 14  # base rgb, second rgb, pattern, frequency, phase, axis xyz, part half height, softness

_jit = numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_jit
def _mix(look, j, amount):
    r = look[j, 0] + (look[j, 3] - look[j, 0]) * amount
    g = look[j, 1] + (look[j, 4] - look[j, 1]) * amount
    b = look[j, 2] + (look[j, 5] - look[j, 2]) * amount
    return r, g, b


@_jit
def _soft_step(value, softness):
    t = min(max(value / softness * np.float32(0.5) + np.float32(0.5), np.float32(0.0)), np.float32(1.0))
    return t * t * (np.float32(3.0) - np.float32(2.0) * t)


@_jit
def _albedo(look, j, px, py, pz):
    """Colour of a part's surface at a point of its own frame."""
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
    return _mix(look, j, amount)


@_jit
def _distances(inverse, shape, parts, part_count, blend, x, y, z, count, value, single):
    """Distances of the union of the listed parts at a packet of points, into `value`; `single` is scratch."""
    zero, one, quarter = np.float32(0.0), np.float32(1.0), np.float32(0.25)
    tiny = np.float32(1e-9)
    for i in range(count):
        value[i] = np.float32(1e9)
    for n in range(part_count):
        j = parts[n]
        m0, m1, m2, m3 = inverse[j, 0], inverse[j, 1], inverse[j, 2], inverse[j, 3]
        m4, m5, m6, m7 = inverse[j, 4], inverse[j, 5], inverse[j, 6], inverse[j, 7]
        m8, m9, m10, m11 = inverse[j, 8], inverse[j, 9], inverse[j, 10], inverse[j, 11]
        a, b, c, rounding = shape[j, 1], shape[j, 2], shape[j, 3], shape[j, 4]
        slope, cosine, scale = shape[j, 5], shape[j, 6], abs(shape[j, 7])
        even = shape[j, 7] > zero
        kind = int(shape[j, 0])
        if kind == 0 and even:
            top_side = cosine * a
            for i in range(count):
                px = m0 * x[i] + m1 * y[i] + m2 * z[i] + m3
                py = m4 * x[i] + m5 * y[i] + m6 * z[i] + m7
                pz = m8 * x[i] + m9 * y[i] + m10 * z[i] + m11
                square = px * px + pz * pz
                radial = math.sqrt(square)
                side = cosine * py - slope * radial
                low = math.sqrt(square + py * py) - b
                high = math.sqrt(square + (py - a) * (py - a)) - c
                body = radial * cosine + py * slope - b
                result = high if side > top_side else body
                single[i] = (low if side < zero else result) * scale
        elif kind == 0:
            top_side = cosine * a
            for i in range(count):
                px = m0 * x[i] + m1 * y[i] + m2 * z[i] + m3
                py = m4 * x[i] + m5 * y[i] + m6 * z[i] + m7
                pz = m8 * x[i] + m9 * y[i] + m10 * z[i] + m11
                square = px * px + pz * pz + tiny
                radial = math.sqrt(square)
                side = cosine * py - slope * radial
                on_top = side > top_side
                from_end = py - a if on_top else py
                length = math.sqrt(square + from_end * from_end)
                on_body = (side >= zero) and not on_top
                radius = c if on_top else b
                local = radial * cosine + py * slope - b if on_body else length - radius
                across = cosine / radial if on_body else one / length
                gy = slope if on_body else from_end / length
                gx, gz = across * px, across * pz
                wx = m0 * gx + m4 * gy + m8 * gz
                wy = m1 * gx + m5 * gy + m9 * gz
                wz = m2 * gx + m6 * gy + m10 * gz
                single[i] = local / math.sqrt(wx * wx + wy * wy + wz * wz)
        elif kind == 1:
            for i in range(count):
                qx = abs(m0 * x[i] + m1 * y[i] + m2 * z[i] + m3) - a + rounding
                qy = abs(m4 * x[i] + m5 * y[i] + m6 * z[i] + m7) - b + rounding
                qz = abs(m8 * x[i] + m9 * y[i] + m10 * z[i] + m11) - c + rounding
                mx, my, mz = max(qx, zero), max(qy, zero), max(qz, zero)
                inside = min(max(qx, max(qy, qz)), zero)
                single[i] = (math.sqrt(mx * mx + my * my + mz * mz) + inside - rounding) * scale
        elif kind == 2 and even:
            for i in range(count):
                px = m0 * x[i] + m1 * y[i] + m2 * z[i] + m3
                py = m4 * x[i] + m5 * y[i] + m6 * z[i] + m7
                pz = m8 * x[i] + m9 * y[i] + m10 * z[i] + m11
                single[i] = (math.sqrt(px * px + py * py + pz * pz) - a) * scale
        elif kind == 2:
            for i in range(count):
                px = m0 * x[i] + m1 * y[i] + m2 * z[i] + m3
                py = m4 * x[i] + m5 * y[i] + m6 * z[i] + m7
                pz = m8 * x[i] + m9 * y[i] + m10 * z[i] + m11
                length = math.sqrt(px * px + py * py + pz * pz + tiny)
                wx = m0 * px + m4 * py + m8 * pz
                wy = m1 * px + m5 * py + m9 * pz
                wz = m2 * px + m6 * py + m10 * pz
                single[i] = (length - a) * length / math.sqrt(wx * wx + wy * wy + wz * wz + tiny)
        else:
            for i in range(count):
                px = m0 * x[i] + m1 * y[i] + m2 * z[i] + m3
                pz = m8 * x[i] + m9 * y[i] + m10 * z[i] + m11
                qr = math.sqrt(px * px + pz * pz) - a + rounding
                qy = abs(m4 * x[i] + m5 * y[i] + m6 * z[i] + m7) - b + rounding
                mr, my = max(qr, zero), max(qy, zero)
                inside = min(max(qr, qy), zero)
                single[i] = (math.sqrt(mr * mr + my * my) + inside - rounding) * scale
        if blend > zero:
            share = quarter / blend
            for i in range(count):
                gap = max(blend - abs(value[i] - single[i]), zero)
                value[i] = min(value[i], single[i]) - gap * gap * share
        else:
            for i in range(count):
                value[i] = min(value[i], single[i])


@_jit
def _normals(inverse, shape, parts, part_count, blend, x, y, z, count, normal, w):
    """Unit outward normals of a packet into normal[0:3]; w: scratch rows [6]."""
    h = np.float32(1e-3)
    for k in range(3):
        for i in range(count):
            normal[k, i] = np.float32(0.0)
    for tap in range(4):  # the corners of a tetrahedron
        sx = h if tap == 0 or tap == 3 else -h
        sy = h if tap >= 2 else -h
        sz = h if tap == 1 or tap == 3 else -h
        for i in range(count):
            w[0, i] = x[i] + sx
            w[1, i] = y[i] + sy
            w[2, i] = z[i] + sz
        _distances(inverse, shape, parts, part_count, blend, w[0], w[1], w[2], count, w[3], w[4])
        for i in range(count):
            normal[0, i] += sx * w[3, i]
            normal[1, i] += sy * w[3, i]
            normal[2, i] += sz * w[3, i]
    for i in range(count):
        square = normal[0, i] * normal[0, i] + normal[1, i] * normal[1, i] + normal[2, i] * normal[2, i]
        scale = np.float32(1.0) / math.sqrt(square + np.float32(1e-24))
        normal[0, i] *= scale
        normal[1, i] *= scale
        normal[2, i] *= scale


@_jit
def _surface(inverse, forward, shape, look, parts, part_count, blend, hard_colour, x, y, z, count, out, each, w):
    """Albedo into out[0:3] and canonical position into out[3:6] for a packet of surface points.

    each: scratch [part, PACKET]. Parts within the blend length share a point; colours may stay with the nearest.
    """
    nearest = w[0]
    for i in range(count):
        nearest[i] = np.float32(1e9)
    one = parts[:1].copy()
    for n in range(part_count):
        one[0] = parts[n]
        _distances(inverse, shape, one, 1, np.float32(0.0), x, y, z, count, each[n], w[1])
        for i in range(count):
            nearest[i] = min(nearest[i], each[n, i])
    reach = max(blend, np.float32(1e-5))
    for i in range(count):
        total = np.float32(0.0)
        colour_total = np.float32(0.0)
        for k in range(6):
            out[k, i] = np.float32(0.0)
        for n in range(part_count):
            distance = each[n, i]
            weight = np.float32(1.0) - (distance - nearest[i]) / reach
            if weight <= np.float32(0.0):
                continue
            weight = weight * weight
            j = parts[n]
            px = inverse[j, 0] * x[i] + inverse[j, 1] * y[i] + inverse[j, 2] * z[i] + inverse[j, 3]
            py = inverse[j, 4] * x[i] + inverse[j, 5] * y[i] + inverse[j, 6] * z[i] + inverse[j, 7]
            pz = inverse[j, 8] * x[i] + inverse[j, 9] * y[i] + inverse[j, 10] * z[i] + inverse[j, 11]
            out[3, i] += weight * (forward[j, 0] * px + forward[j, 1] * py + forward[j, 2] * pz + forward[j, 3])
            out[4, i] += weight * (forward[j, 4] * px + forward[j, 5] * py + forward[j, 6] * pz + forward[j, 7])
            out[5, i] += weight * (forward[j, 8] * px + forward[j, 9] * py + forward[j, 10] * pz + forward[j, 11])
            total += weight
            if hard_colour:
                weight = np.float32(1.0) if distance <= nearest[i] + np.float32(1e-6) else np.float32(0.0)
            if weight > np.float32(0.0):
                r, g, b = _albedo(look, j, px, py, pz)
                out[0, i] += weight * r
                out[1, i] += weight * g
                out[2, i] += weight * b
                colour_total += weight
        for k in range(3):
            out[k, i] /= colour_total
            out[k + 3, i] /= total


@_jit
def _shade(out, nx, ny, nz, vx, vy, vz, light):
    """Lights out[0:3] in place. light: direction 3, colour 3, ambient 3, specular, gloss; v: towards the viewer."""
    lambert = max(nx * light[0] + ny * light[1] + nz * light[2], np.float32(0.0))
    shine = np.float32(0.0)
    if light[9] > 0.0 and lambert > 0.0:
        hx, hy, hz = light[0] + vx, light[1] + vy, light[2] + vz
        length = math.sqrt(hx * hx + hy * hy + hz * hz + np.float32(1e-12))
        half = max((nx * hx + ny * hy + nz * hz) / length, np.float32(0.0))
        shine = light[9] * half ** light[10]
    sky = np.float32(0.8) + np.float32(0.2) * ny
    for k in range(3):
        value = out[k] * (light[6 + k] * sky + light[3 + k] * lambert) + shine * light[3 + k]
        out[k] = min(max(value, np.float32(0.0)), np.float32(1.0))


@_jit
def _trace(inverse, shape, ball, parts, part_count, blend, o, d, count, t, end, w, lane):
    """First hits of a packet of rays o[0:3], d[0:3]: ray lengths into t, -1 for a miss.

    w: scratch rows [6], lane: scratch indices. Rays that are done leave the packet.
    """
    for i in range(count):
        t[i] = np.float32(1e9)
        end[i] = np.float32(-1.0)
    for n in range(part_count):
        j = parts[n]
        bx, by, bz, square = ball[j, 0], ball[j, 1], ball[j, 2], ball[j, 3] * ball[j, 3]
        for i in range(count):
            cx, cy, cz = bx - o[0, i], by - o[1, i], bz - o[2, i]
            along = cx * d[0, i] + cy * d[1, i] + cz * d[2, i]
            gap = square - (cx * cx + cy * cy + cz * cz - along * along)
            half = math.sqrt(max(gap, np.float32(0.0)))
            met = (gap > np.float32(0.0)) and (along + half > np.float32(0.0))
            t[i] = min(t[i], along - half) if met else t[i]
            end[i] = max(end[i], along + half) if met else end[i]
    alive = 0
    for i in range(count):
        if end[i] > np.float32(0.0):
            t[i] = max(t[i], np.float32(0.0))
            lane[alive] = i
            alive += 1
        else:
            t[i] = np.float32(-1.0)
    for _ in range(64):
        if alive == 0:
            return
        for k in range(alive):
            i = lane[k]
            w[0, k] = o[0, i] + t[i] * d[0, i]
            w[1, k] = o[1, i] + t[i] * d[1, i]
            w[2, k] = o[2, i] + t[i] * d[2, i]
        _distances(inverse, shape, parts, part_count, blend, w[0], w[1], w[2], alive, w[3], w[4])
        kept = 0
        for k in range(alive):
            i = lane[k]
            value = w[3, k]
            if value >= np.float32(2e-3):
                t[i] += value * np.float32(0.97)
                if t[i] > end[i]:
                    t[i] = np.float32(-1.0)
                else:
                    lane[kept] = i
                    kept += 1
        alive = kept
    for k in range(alive):
        t[lane[k]] = np.float32(-1.0)


@_jit
def _shoot(
    inverse, forward, shape, look, ball, parts, part_count, blend, hard_colour, light, o, d, count, hit, w, lane, each
):
    """A packet of rays to hit rows: 0 ray_length (-1: miss), 1:4 lit rgb, 4:7 canonical, 7:10 normal."""
    t = hit[0]
    _trace(inverse, shape, ball, parts, part_count, blend, o, d, count, t, w[0], w[1:7], lane)
    kept = 0
    for i in range(count):
        if t[i] >= np.float32(0.0):
            lane[kept] = i
            w[0, kept] = o[0, i] + t[i] * d[0, i]
            w[1, kept] = o[1, i] + t[i] * d[1, i]
            w[2, kept] = o[2, i] + t[i] * d[2, i]
            kept += 1
    if kept == 0:
        return
    _normals(inverse, shape, parts, part_count, blend, w[0], w[1], w[2], kept, w[9:12], w[3:9])
    _surface(
        inverse, forward, shape, look, parts, part_count, blend, hard_colour, w[0], w[1], w[2], kept, w[12:18], each,
        w[3:9],
    )  # fmt: skip
    out = np.empty(3, np.float32)
    for k in range(kept):
        i = lane[k]
        out[0], out[1], out[2] = w[12, k], w[13, k], w[14, k]
        _shade(out, w[9, k], w[10, k], w[11, k], -d[0, i], -d[1, i], -d[2, i], light)
        for c in range(3):
            hit[1 + c, i] = out[c]
            hit[4 + c, i] = w[15 + c, k]
            hit[7 + c, i] = w[9 + c, k]


@_jit
def cast_rays(inverse, forward, shape, look, ball, blend, hard_colour, light, origins, directions):
    """Rays [N, 3] -> rgb [N, 3], mask [N], ray_length [N], normal [N, 3], canonical_xyz [N, 3]."""
    total, part_count = origins.shape[0], inverse.shape[0]
    rgb = np.zeros((total, 3), np.float32)
    mask = np.zeros(total, np.float32)
    ray_length = np.zeros(total, np.float32)
    normals = np.zeros((total, 3), np.float32)
    canonical = np.zeros((total, 3), np.float32)
    parts = np.arange(part_count)
    o, d = np.empty((3, PACKET), np.float32), np.empty((3, PACKET), np.float32)
    hit, w = np.empty((10, PACKET), np.float32), np.empty((18, PACKET), np.float32)
    lane, each = np.empty(PACKET, np.int64), np.empty((part_count, PACKET), np.float32)
    for first in range(0, total, PACKET):
        count = min(PACKET, total - first)
        for i in range(count):
            for c in range(3):
                o[c, i] = origins[first + i, c]
                d[c, i] = directions[first + i, c]
        _shoot(
            inverse, forward, shape, look, ball, parts, part_count, blend, hard_colour, light, o, d, count, hit, w,
            lane, each,
        )  # fmt: skip
        for i in range(count):
            if hit[0, i] >= np.float32(0.0):
                mask[first + i] = np.float32(1.0)
                ray_length[first + i] = hit[0, i]
                for c in range(3):
                    rgb[first + i, c] = hit[1 + c, i]
                    canonical[first + i, c] = hit[4 + c, i]
                    normals[first + i, c] = hit[7 + c, i]
    return rgb, mask, ray_length, normals, canonical


@_jit
def _camera_ray(camera, intrinsics, u, v):
    """Pixel (u, v) -> unit world direction and its camera z."""
    x = (u - intrinsics[2]) / intrinsics[0]
    y = (v - intrinsics[3]) / intrinsics[1]
    scale = np.float32(1.0) / math.sqrt(x * x + y * y + np.float32(1.0))
    dx = (camera[0, 0] * x + camera[0, 1] * y + camera[0, 2]) * scale
    dy = (camera[1, 0] * x + camera[1, 1] * y + camera[1, 2]) * scale
    dz = (camera[2, 0] * x + camera[2, 1] * y + camera[2, 2]) * scale
    return dx, dy, dz, scale


@_jit
def _tile_parts(ball, camera, intrinsics, height, width, tile):
    """For every tile the parts whose balls' projections touch it: lists [row, column, part] and counts."""
    part_count = ball.shape[0]
    rows, columns = (height + tile - 1) // tile, (width + tile - 1) // tile
    lists = np.empty((rows, columns, part_count), np.int64)
    counts = np.zeros((rows, columns), np.int64)
    for j in range(part_count):
        cx, cy, cz = ball[j, 0] - camera[0, 3], ball[j, 1] - camera[1, 3], ball[j, 2] - camera[2, 3]
        x = camera[0, 0] * cx + camera[1, 0] * cy + camera[2, 0] * cz
        y = camera[0, 1] * cx + camera[1, 1] * cy + camera[2, 1] * cz
        z = camera[0, 2] * cx + camera[1, 2] * cy + camera[2, 2] * cz
        radius = ball[j, 3]
        if z + radius <= 0.0:
            continue
        depth = max(z - radius, np.float32(0.05))
        reach_x = intrinsics[0] * radius / depth * np.float32(1.05) + np.float32(1.0)
        reach_y = intrinsics[1] * radius / depth * np.float32(1.05) + np.float32(1.0)
        u = intrinsics[0] * x / max(z, depth) + intrinsics[2]
        v = intrinsics[1] * y / max(z, depth) + intrinsics[3]
        c0, c1 = max(int((u - reach_x) // tile), 0), min(int((u + reach_x) // tile), columns - 1)
        r0, r1 = max(int((v - reach_y) // tile), 0), min(int((v + reach_y) // tile), rows - 1)
        for r in range(r0, r1 + 1):
            for c in range(c0, c1 + 1):
                lists[r, c, counts[r, c]] = j
                counts[r, c] += 1
    return lists, counts


@_jit
def _edge(rgba, i, k):
    """Whether a pixel differs from a neighbour enough to be supersampled."""
    height, width = rgba.shape[0], rgba.shape[1]
    for step in range(4):
        ni = i + (step == 0) - (step == 1)
        nk = k + (step == 2) - (step == 3)
        if ni < 0 or nk < 0 or ni >= height or nk >= width:
            continue
        for c in range(4):
            if abs(rgba[ni, nk, c] - rgba[i, k, c]) > 0.2:
                return True
    return False


@_jit
def render_view(
    inverse, forward, shape, look, ball, blend, hard_colour, light, camera, intrinsics, height, width, antialias
):
    """One view: rgba [height, width, 4] straight alpha, depth (camera z), canonical_xyz.

    Each 8x8 tile is a packet with its own list of parts; pixels that differ from a neighbour are supersampled
    2x2 when `antialias` is set.
    """
    tile = 8
    part_count = inverse.shape[0]
    lists, counts = _tile_parts(ball, camera, intrinsics, height, width, tile)
    rgba = np.zeros((height, width, 4), np.float32)
    depth = np.zeros((height, width), np.float32)
    canonical = np.zeros((height, width, 3), np.float32)
    o, d = np.empty((3, PACKET), np.float32), np.empty((3, PACKET), np.float32)
    hit, w = np.empty((10, PACKET), np.float32), np.empty((18, PACKET), np.float32)
    lane, each = np.empty(PACKET, np.int64), np.empty((part_count, PACKET), np.float32)
    z_scale = np.empty(PACKET, np.float32)
    for c in range(3):
        for i in range(PACKET):
            o[c, i] = camera[c, 3]
    half = np.float32(0.5)
    for r in range(lists.shape[0]):
        for c in range(lists.shape[1]):
            if counts[r, c] == 0:
                continue
            for n in range(PACKET):
                u = np.float32(c * tile + n % tile) + half
                v = np.float32(r * tile + n // tile) + half
                d[0, n], d[1, n], d[2, n], z_scale[n] = _camera_ray(camera, intrinsics, u, v)
            _shoot(
                inverse, forward, shape, look, ball, lists[r, c], counts[r, c], blend, hard_colour, light, o, d, PACKET,
                hit, w, lane, each,
            )  # fmt: skip
            for n in range(PACKET):
                i, k = r * tile + n // tile, c * tile + n % tile
                if hit[0, n] >= np.float32(0.0) and i < height and k < width:
                    rgba[i, k, 3] = np.float32(1.0)
                    depth[i, k] = hit[0, n] * z_scale[n]
                    for m in range(3):
                        rgba[i, k, m] = hit[1 + m, n]
                        canonical[i, k, m] = hit[4 + m, n]
    if not antialias:
        return rgba, depth, canonical
    centre = rgba.copy()
    pixel = np.empty((PACKET // 4, 2), np.int64)
    for r in range(lists.shape[0]):
        for c in range(lists.shape[1]):
            waiting = 0
            for n in range(tile * tile):
                i, k = r * tile + n // tile, c * tile + n % tile
                if counts[r, c] > 0 and i < height and k < width and _edge(centre, i, k):
                    pixel[waiting, 0], pixel[waiting, 1] = i, k
                    waiting += 1
                if waiting == 0 or (waiting < PACKET // 4 and n < tile * tile - 1):
                    continue
                for m in range(4 * waiting):
                    u = np.float32(pixel[m // 4, 1]) + np.float32(0.25) + half * np.float32(m % 2)
                    v = np.float32(pixel[m // 4, 0]) + np.float32(0.25) + half * np.float32(m % 4 // 2)
                    d[0, m], d[1, m], d[2, m], z_scale[m] = _camera_ray(camera, intrinsics, u, v)
                _shoot(
                    inverse, forward, shape, look, ball, lists[r, c], counts[r, c], blend, hard_colour, light, o, d,
                    4 * waiting, hit, w, lane, each,
                )  # fmt: skip
                for m in range(waiting):
                    hits = np.float32(0.0)
                    red, green, blue = np.float32(0.0), np.float32(0.0), np.float32(0.0)
                    for q in range(4 * m, 4 * m + 4):
                        if hit[0, q] >= np.float32(0.0):
                            hits += np.float32(1.0)
                            red += hit[1, q]
                            green += hit[2, q]
                            blue += hit[3, q]
                    i, k = pixel[m, 0], pixel[m, 1]
                    rgba[i, k, 3] = hits * np.float32(0.25)
                    if hits > np.float32(0.0):
                        rgba[i, k, 0], rgba[i, k, 1], rgba[i, k, 2] = red / hits, green / hits, blue / hits
                waiting = 0
    return rgba, depth, canonical


@_jit
def evaluate_points(inverse, forward, shape, look, blend, hard_colour, light, points, with_surface):
    """Points [N, 3] -> sdf [N]; with_surface also lit rgb [N, 3], normal [N, 3] and canonical_xyz [N, 3]."""
    total, part_count = points.shape[0], inverse.shape[0]
    sdf = np.empty(total, np.float32)
    rows = total if with_surface else 0
    rgb = np.zeros((rows, 3), np.float32)
    normals = np.zeros((rows, 3), np.float32)
    canonical = np.zeros((rows, 3), np.float32)
    parts = np.arange(part_count)
    w, each = np.empty((18, PACKET), np.float32), np.empty((part_count, PACKET), np.float32)
    out = np.empty(3, np.float32)
    zero = np.float32(0.0)
    dull = light.copy()
    dull[9] = zero
    for first in range(0, total, PACKET):
        count = min(PACKET, total - first)
        for i in range(count):
            for c in range(3):
                w[c, i] = points[first + i, c]
        _distances(inverse, shape, parts, part_count, blend, w[0], w[1], w[2], count, w[3], w[4])
        for i in range(count):
            sdf[first + i] = w[3, i]
        if not with_surface:
            continue
        _normals(inverse, shape, parts, part_count, blend, w[0], w[1], w[2], count, w[9:12], w[3:9])
        _surface(
            inverse, forward, shape, look, parts, part_count, blend, hard_colour, w[0], w[1], w[2], count, w[12:18],
            each, w[3:9],
        )  # fmt: skip
        for i in range(count):
            out[0], out[1], out[2] = w[12, i], w[13, i], w[14, i]
            _shade(out, w[9, i], w[10, i], w[11, i], zero, zero, zero, dull)
            for c in range(3):
                rgb[first + i, c] = out[c]
                normals[first + i, c] = w[9 + c, i]
                canonical[first + i, c] = w[15 + c, i]
    return sdf, rgb, normals, canonical
