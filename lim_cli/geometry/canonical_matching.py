"""Where tracked vertices went: neighbours in canonical space on the next surface (paper sec. 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class SurfaceSamples:
    """Points of one time's surface: positions, canonical (coordinates at the source time) and unit normals,

    each [sample, 3], world frame.
    """

    positions: np.ndarray
    canonical: np.ndarray
    normals: np.ndarray

    def __post_init__(self) -> None:
        shape = self.positions.shape
        if len(shape) != 2 or shape[1] != 3 or self.canonical.shape != shape or self.normals.shape != shape:
            raise ValueError(
                f"expected positions, canonical and normals of one shape [sample, 3], got {shape}, "
                f"{self.canonical.shape} and {self.normals.shape}"
            )
        if shape[0] == 0:
            raise ValueError("expected at least one surface sample")


@dataclass(frozen=True)
class CanonicalMatch:
    """Target positions [vertex, 3] float32, world frame, and confidence [vertex] float32 in [0, 1]."""

    positions: np.ndarray
    confidence: np.ndarray


def match_canonical(
    previous_positions: np.ndarray,
    previous_normals: np.ndarray,
    canonical: np.ndarray,
    surface: SurfaceSamples,
    *,
    neighbours: int = 12,
    max_motion: float = 0.25,
    min_normal_cosine: float = 0.0,
    tolerance: float = 0.05,
) -> CanonicalMatch:
    """Moves every vertex to the point of the next surface that has its canonical coordinates.

    The `neighbours` samples nearest in canonical space that pass the gates vote with Gaussian weights; a
    local linear map from canonical to world takes out the offset between their mean and the vertex. A vertex
    whose candidates all fail stays where it was, with confidence 0.

    Args:
        previous_positions, previous_normals: [vertex, 3] at the previous time, world frame.
        canonical: [vertex, 3] canonical coordinates of the vertices, fixed for the whole track.
        surface: the next time's surface; denser than the mesh is better.
        neighbours: candidates per vertex.
        max_motion: longest believable step between the two times, world units.
        min_normal_cosine: least cosine between a vertex's and a candidate's normal.
        tolerance: canonical distance at which confidence has fallen to exp(-1/2).
    """
    count = min(neighbours, len(surface.positions))
    distance, index = cKDTree(surface.canonical).query(canonical, k=count)
    distance, index = distance.reshape(-1, count), index.reshape(-1, count)  # [vertex, neighbour]
    candidates = surface.positions[index].astype(np.float64)  # [vertex, neighbour, 3]

    motion = np.linalg.norm(candidates - previous_positions[:, None], axis=2)
    cosine = np.einsum("vkc,vc->vk", surface.normals[index], previous_normals)
    plausible = (motion <= max_motion) & (cosine >= min_normal_cosine)
    plausible &= _near_best(candidates, np.where(plausible, distance, np.inf))

    # One sample spacing as bandwidth: less is plain nearest neighbour, more blurs the shape.
    spacing = max(float(np.median(distance[:, min(3, count - 1)])), 1e-9)
    bandwidth = np.maximum(spacing, distance[:, :1])
    weight = np.where(plausible, np.exp(-0.5 * (distance / bandwidth) ** 2), 0.0)
    total = weight.sum(axis=1, keepdims=True)
    matched = total[:, 0] > 0
    weight = weight / np.where(total > 0, total, 1.0)

    positions = _local_linear(canonical, surface.canonical[index], candidates, weight, spacing)
    miss = np.min(np.where(plausible, distance, np.inf), axis=1, initial=np.inf)
    confidence = np.where(matched, np.exp(-0.5 * (np.where(matched, miss, 0.0) / tolerance) ** 2), 0.0)
    positions = np.where(matched[:, None], positions, previous_positions)
    return CanonicalMatch(positions.astype(np.float32), confidence.astype(np.float32))


def _near_best(candidates: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Candidates [vertex, neighbour] that lie by the best one in the world too, so that limbs do not mix."""
    best = np.argmin(distance, axis=1)
    anchor = candidates[np.arange(len(candidates)), best][:, None]
    spread = np.linalg.norm(candidates - anchor, axis=2)
    usual = np.median(spread, axis=1, keepdims=True)
    return np.asarray(spread <= 3.0 * max(float(np.median(usual)), 1e-9))


def _local_linear(
    canonical: np.ndarray,
    sample_canonical: np.ndarray,
    candidates: np.ndarray,
    weight: np.ndarray,
    spacing: float,
) -> np.ndarray:
    """Weighted linear regression of position on canonical coordinates, evaluated at the vertex: [vertex, 3].

    Samples lie on a surface, so the regression is singular across it; the ridge then moves nothing there.
    """
    mean_canonical = np.einsum("vk,vkc->vc", weight, sample_canonical)
    mean_position = np.einsum("vk,vkc->vc", weight, candidates)
    offset = sample_canonical - mean_canonical[:, None]
    spread = np.einsum("vk,vka,vkb->vab", weight, candidates - mean_position[:, None], offset)
    scatter = np.einsum("vk,vka,vkb->vab", weight, offset, offset) + (0.1 * spacing**2) * np.eye(3)
    wanted = canonical - mean_canonical
    # Extrapolating further than the neighbours reach would be invention.
    length = np.linalg.norm(wanted, axis=1, keepdims=True)
    wanted = wanted * np.minimum(1.0, spacing / np.maximum(length, 1e-12))
    correction = np.einsum("vab,vb->va", spread, np.linalg.solve(scatter, wanted[..., None])[..., 0])
    return np.asarray(mean_position + correction)
