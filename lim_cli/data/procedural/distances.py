"""Signed distances of a union of parts, and the normals that follow from them.

A part's world distance is exact where its frame scales evenly; else its local distance over the length of its
world gradient (first order, and an underestimate away from the surface, so that sphere tracing stays safe).
"""

from __future__ import annotations

import math

import numpy as np

from lim_cli.data.procedural.parts import compiled, whole_vectors


@compiled
def union_distances(parts, blend, listed, listed_count, points, count, value, single):
    """Distances of the listed parts' union at a packet of points [3, count], into `value`; `single` is scratch.

    All three are PACKET wide: what lies beyond `count`, up to whole vectors, is worked on too.
    """
    count = whole_vectors(count)
    inverse, shape = parts.inverse, parts.shape
    zero, one, quarter = np.float32(0.0), np.float32(1.0), np.float32(0.25)
    tiny = np.float32(1e-9)
    for i in range(count):
        value[i] = np.float32(1e9)
    for n in range(listed_count):
        j = listed[n]
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
                px = m0 * points[0, i] + m1 * points[1, i] + m2 * points[2, i] + m3
                py = m4 * points[0, i] + m5 * points[1, i] + m6 * points[2, i] + m7
                pz = m8 * points[0, i] + m9 * points[1, i] + m10 * points[2, i] + m11
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
                px = m0 * points[0, i] + m1 * points[1, i] + m2 * points[2, i] + m3
                py = m4 * points[0, i] + m5 * points[1, i] + m6 * points[2, i] + m7
                pz = m8 * points[0, i] + m9 * points[1, i] + m10 * points[2, i] + m11
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
                qx = abs(m0 * points[0, i] + m1 * points[1, i] + m2 * points[2, i] + m3) - a + rounding
                qy = abs(m4 * points[0, i] + m5 * points[1, i] + m6 * points[2, i] + m7) - b + rounding
                qz = abs(m8 * points[0, i] + m9 * points[1, i] + m10 * points[2, i] + m11) - c + rounding
                mx, my, mz = max(qx, zero), max(qy, zero), max(qz, zero)
                inside = min(max(qx, max(qy, qz)), zero)
                single[i] = (math.sqrt(mx * mx + my * my + mz * mz) + inside - rounding) * scale
        elif kind == 2 and even:
            for i in range(count):
                px = m0 * points[0, i] + m1 * points[1, i] + m2 * points[2, i] + m3
                py = m4 * points[0, i] + m5 * points[1, i] + m6 * points[2, i] + m7
                pz = m8 * points[0, i] + m9 * points[1, i] + m10 * points[2, i] + m11
                single[i] = (math.sqrt(px * px + py * py + pz * pz) - a) * scale
        elif kind == 2:
            for i in range(count):
                px = m0 * points[0, i] + m1 * points[1, i] + m2 * points[2, i] + m3
                py = m4 * points[0, i] + m5 * points[1, i] + m6 * points[2, i] + m7
                pz = m8 * points[0, i] + m9 * points[1, i] + m10 * points[2, i] + m11
                length = math.sqrt(px * px + py * py + pz * pz + tiny)
                wx = m0 * px + m4 * py + m8 * pz
                wy = m1 * px + m5 * py + m9 * pz
                wz = m2 * px + m6 * py + m10 * pz
                single[i] = (length - a) * length / math.sqrt(wx * wx + wy * wy + wz * wz + tiny)
        else:
            for i in range(count):
                px = m0 * points[0, i] + m1 * points[1, i] + m2 * points[2, i] + m3
                pz = m8 * points[0, i] + m9 * points[1, i] + m10 * points[2, i] + m11
                qr = math.sqrt(px * px + pz * pz) - a + rounding
                qy = abs(m4 * points[0, i] + m5 * points[1, i] + m6 * points[2, i] + m7) - b + rounding
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


@compiled
def union_normals(parts, listed, listed_count, points, count, normals, taps, value, single):
    """Unit outward normals [3, count] of a packet of points [3, count]; taps [3, PACKET], value, single: scratch."""
    h = np.float32(1e-3)
    for k in range(3):
        for i in range(count):
            normals[k, i] = np.float32(0.0)
    for tap in range(4):  # the corners of a tetrahedron
        sx = h if tap == 0 or tap == 3 else -h
        sy = h if tap >= 2 else -h
        sz = h if tap == 1 or tap == 3 else -h
        for i in range(count):
            taps[0, i] = points[0, i] + sx
            taps[1, i] = points[1, i] + sy
            taps[2, i] = points[2, i] + sz
        union_distances(parts, parts.blend, listed, listed_count, taps, count, value, single)
        for i in range(count):
            normals[0, i] += sx * value[i]
            normals[1, i] += sy * value[i]
            normals[2, i] += sz * value[i]
    for i in range(count):
        square = normals[0, i] * normals[0, i] + normals[1, i] * normals[1, i] + normals[2, i] * normals[2, i]
        scale = np.float32(1.0) / math.sqrt(square + np.float32(1e-24))
        normals[0, i] *= scale
        normals[1, i] *= scale
        normals[2, i] *= scale
