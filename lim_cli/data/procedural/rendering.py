"""Antialiased views of a union of parts."""

from __future__ import annotations

import math

import numpy as np

from lim_cli.data.procedural.parts import PACKET, compiled, entry_point
from lim_cli.data.procedural.surfaces import scratch, shoot

_TILE = 8  # pixels; a tile is a packet


@compiled
def _camera_ray(camera, intrinsics, u, v):
    """Pixel (u, v) -> unit world direction and its camera z."""
    x = (u - intrinsics[2]) / intrinsics[0]
    y = (v - intrinsics[3]) / intrinsics[1]
    scale = np.float32(1.0) / math.sqrt(x * x + y * y + np.float32(1.0))
    dx = (camera[0, 0] * x + camera[0, 1] * y + camera[0, 2]) * scale
    dy = (camera[1, 0] * x + camera[1, 1] * y + camera[1, 2]) * scale
    dz = (camera[2, 0] * x + camera[2, 1] * y + camera[2, 2]) * scale
    return dx, dy, dz, scale


@compiled
def _tile_parts(ball, camera, intrinsics, height, width):
    """For every tile the parts whose balls' projections touch it: lists [row, column, part] and counts."""
    tile = _TILE
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


@compiled
def _differ(rgba, i, k, m, n):
    """Whether pixels (i, k) and (m, n) differ by more than 0.2 in red, green, blue or opacity."""
    if rgba[i, k, 3] == np.float32(0.0) and rgba[m, n, 3] == np.float32(0.0):
        return False
    red, green = abs(rgba[i, k, 0] - rgba[m, n, 0]), abs(rgba[i, k, 1] - rgba[m, n, 1])
    blue, opacity = abs(rgba[i, k, 2] - rgba[m, n, 2]), abs(rgba[i, k, 3] - rgba[m, n, 3])
    return max(max(red, green), max(blue, opacity)) > np.float32(0.2)


@compiled
def _edges(rgba):
    """Pixels [height, width] that differ from one of their four neighbours."""
    height, width = rgba.shape[0], rgba.shape[1]
    edges = np.zeros((height, width), np.bool_)
    for i in range(height):
        for k in range(width):
            if k + 1 < width and _differ(rgba, i, k, i, k + 1):
                edges[i, k] = edges[i, k + 1] = True
            if i + 1 < height and _differ(rgba, i, k, i + 1, k):
                edges[i, k] = edges[i + 1, k] = True
    return edges


@compiled
def _tile_rays(camera, intrinsics, r, c, d, z_scale):
    """Directions [3, PACKET] through the centres of a tile's pixels, and their camera z."""
    for n in range(PACKET):
        u = np.float32(c * _TILE + n % _TILE) + np.float32(0.5)
        v = np.float32(r * _TILE + n // _TILE) + np.float32(0.5)
        d[0, n], d[1, n], d[2, n], z_scale[n] = _camera_ray(camera, intrinsics, u, v)


@compiled
def _keep_tile(hit, r, c, z_scale, rgba, depth, canonical):
    height, width = depth.shape
    for n in range(PACKET):
        i, k = r * _TILE + n // _TILE, c * _TILE + n % _TILE
        if hit[0, n] >= np.float32(0.0) and i < height and k < width:
            rgba[i, k, 3] = np.float32(1.0)
            depth[i, k] = hit[0, n] * z_scale[n]
            for m in range(3):
                rgba[i, k, m] = hit[1 + m, n]
                canonical[i, k, m] = hit[4 + m, n]


@compiled
def _next_pixels(edges, r, c, start, pixel):
    """Up to PACKET / 4 edge pixels (row, column) of a tile from its pixel `start` on; their count, where to go on."""
    height, width = edges.shape
    found = 0
    for n in range(start, PACKET):
        i, k = r * _TILE + n // _TILE, c * _TILE + n % _TILE
        if i < height and k < width and edges[i, k]:
            if found == PACKET // 4:
                return found, n
            pixel[found, 0], pixel[found, 1] = i, k
            found += 1
    return found, PACKET


@compiled
def _subpixel_rays(camera, intrinsics, pixel, found, d):
    """2x2 directions for every pixel, one pixel after the other."""
    quarter, half = np.float32(0.25), np.float32(0.5)
    for m in range(4 * found):
        u = np.float32(pixel[m // 4, 1]) + quarter + half * np.float32(m % 2)
        v = np.float32(pixel[m // 4, 0]) + quarter + half * np.float32(m % 4 // 2)
        d[0, m], d[1, m], d[2, m], _ = _camera_ray(camera, intrinsics, u, v)


@compiled
def _keep_means(hit, pixel, found, rgba):
    for m in range(found):
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


@entry_point
def render_view(parts, skin, camera, intrinsics, height, width):
    """One view: rgba [height, width, 4] straight alpha, depth (camera z), canonical_xyz.

    Each 8x8 tile is a packet with its own list of parts; pixels that differ from a neighbour are seen again with
    2x2 rays, which change their rgba (depth and canonical_xyz stay those of the pixel's centre).
    """
    lists, counts = _tile_parts(parts.ball, camera, intrinsics, height, width)
    rgba = np.zeros((height, width, 4), np.float32)
    depth = np.zeros((height, width), np.float32)
    canonical = np.zeros((height, width, 3), np.float32)
    o, d = np.empty((3, PACKET), np.float32), np.zeros((3, PACKET), np.float32)
    hit, work = np.empty((10, PACKET), np.float32), scratch(parts.inverse.shape[0])
    z_scale, pixel = np.empty(PACKET, np.float32), np.empty((PACKET // 4, 2), np.int64)
    centres, quick = np.int64(0), np.int64(1)
    for c in range(3):
        for i in range(PACKET):
            o[c, i] = camera[c, 3]
    for r in range(counts.shape[0]):
        for c in range(counts.shape[1]):
            if counts[r, c] > 0:
                _tile_rays(camera, intrinsics, r, c, d, z_scale)
                shoot(parts, skin, lists[r, c], counts[r, c], o, d, np.int64(PACKET), centres, hit, work)
                _keep_tile(hit, r, c, z_scale, rgba, depth, canonical)
    edges = _edges(rgba)
    for r in range(counts.shape[0]):
        for c in range(counts.shape[1]):
            n = 0 if counts[r, c] > 0 else PACKET
            while n < PACKET:
                found, n = _next_pixels(edges, r, c, n, pixel)
                if found > 0:
                    _subpixel_rays(camera, intrinsics, pixel, found, d)
                    shoot(parts, skin, lists[r, c], counts[r, c], o, d, 4 * found, quick, hit, work)
                    _keep_means(hit, pixel, found, rgba)
    return rgba, depth, canonical
