"""Rays and points one by one: what lies where a ray meets a union of parts, and at points near it."""

from __future__ import annotations

import numpy as np

from lim_cli.data.procedural.distances import union_distances
from lim_cli.data.procedural.parts import PACKET, entry_point
from lim_cli.data.procedural.surfaces import SURFACE_ROWS, scratch, shoot, surface_points


@entry_point
def cast_rays(parts, skin, origins, directions):
    """Rays [N, 3] -> rgb [N, 3], mask [N], ray_length [N], normal [N, 3], canonical_xyz [N, 3]."""
    total, part_count = origins.shape[0], parts.inverse.shape[0]
    rgb = np.zeros((total, 3), np.float32)
    mask = np.zeros(total, np.float32)
    ray_length = np.zeros(total, np.float32)
    normals = np.zeros((total, 3), np.float32)
    canonical = np.zeros((total, 3), np.float32)
    listed = np.arange(part_count)
    o, d = np.zeros((3, PACKET), np.float32), np.zeros((3, PACKET), np.float32)
    hit, work = np.empty((10, PACKET), np.float32), scratch(part_count)
    for first in range(0, total, PACKET):
        count = min(PACKET, total - first)
        for i in range(count):
            for c in range(3):
                o[c, i] = origins[first + i, c]
                d[c, i] = directions[first + i, c]
        shoot(parts, skin, listed, part_count, o, d, count, np.int64(0), hit, work)
        for i in range(count):
            if hit[0, i] >= np.float32(0.0):
                mask[first + i] = np.float32(1.0)
                ray_length[first + i] = hit[0, i]
                for c in range(3):
                    rgb[first + i, c] = hit[1 + c, i]
                    canonical[first + i, c] = hit[4 + c, i]
                    normals[first + i, c] = hit[7 + c, i]
    return rgb, mask, ray_length, normals, canonical


@entry_point
def signed_distances(parts, points):
    """Points [N, 3] -> sdf [N]."""
    total = points.shape[0]
    sdf = np.empty(total, np.float32)
    listed = np.arange(parts.inverse.shape[0])
    packet, value, single = (
        np.zeros((3, PACKET), np.float32),
        np.empty(PACKET, np.float32),
        np.empty(PACKET, np.float32),
    )
    for first in range(0, total, PACKET):
        count = min(PACKET, total - first)
        for i in range(count):
            for c in range(3):
                packet[c, i] = points[first + i, c]
        union_distances(parts, parts.blend, listed, len(listed), packet, count, value, single)
        for i in range(count):
            sdf[first + i] = value[i]
    return sdf


@entry_point
def describe_points(parts, skin, points):
    """Points [N, 3] near the surface -> lit rgb (no specular), normal and canonical_xyz, each [N, 3]."""
    total, part_count = points.shape[0], parts.inverse.shape[0]
    rgb = np.empty((total, 3), np.float32)
    normals = np.empty((total, 3), np.float32)
    canonical = np.empty((total, 3), np.float32)
    listed, work = np.arange(part_count), scratch(part_count)
    packet, eyes = np.zeros((3, PACKET), np.float32), np.zeros((3, PACKET), np.float32)
    out, rows = np.empty((9, PACKET), np.float32), np.empty((SURFACE_ROWS, PACKET), np.float32)
    for first in range(0, total, PACKET):
        count = min(PACKET, total - first)
        for i in range(count):
            for c in range(3):
                packet[c, i] = points[first + i, c]
        surface_points(parts, skin, listed, part_count, packet, eyes, count, out, work.near, work.each, rows)
        for i in range(count):
            for c in range(3):
                rgb[first + i, c] = out[c, i]
                canonical[first + i, c] = out[3 + c, i]
                normals[first + i, c] = out[6 + c, i]
    return rgb, normals, canonical
