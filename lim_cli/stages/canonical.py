"""Canonical coordinates over one span of keyframes: of the mesh's vertices, and of any point of a later surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.geometry.mesh import Mesh
from lim_cli.geometry.rasterize import interpolate, rasterize
from lim_cli.models.lim import InterpolationState, state_of
from lim_cli.models.lrm import encode_canonical
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks, batched
from lim_cli.stages.surface import FieldQuery


@dataclass(frozen=True)
class CanonicalCoordinates:
    """of_vertices: [vertex, 3]. of_points: of points [n, 3] of the surface at alpha, [n, 3] in the same coordinates."""

    of_vertices: np.ndarray
    of_points: Callable[[np.ndarray, float], np.ndarray]


def canonical_coordinates(
    networks: Networks, interval: Interval, vertices: np.ndarray, first: Mesh, views: ViewsArtifact, keyframe: int
) -> CanonicalCoordinates:
    """From `keyframe`, where the mesh `first` has come to lie at `vertices`, to the end of `interval`.

    From a CanonicalLIM that works on LRM's planes they are places at `keyframe` itself: the mesh carries them on from
    the template, and knows better than a network that reads pictures of them. The paper's form (sec. 3.4) takes places
    in the template, drawn into the keyframe's views and encoded by CanonicalLRM.
    """
    if not networks.canonical_lim.config.canonical_planes:
        return CanonicalCoordinates(vertices, interval.origins)
    state = anchor(networks, vertices, first, views, keyframe)

    def of_points(points: np.ndarray, alpha: float) -> np.ndarray:
        return FieldQuery(networks.canonical_lrm.field, interval.canonical_triplane(state, alpha)).values(points)

    return CanonicalCoordinates(first.vertices, of_points)


@torch.no_grad()
def anchor(
    networks: Networks, vertices: np.ndarray, first: Mesh, views: ViewsArtifact, keyframe: int
) -> InterpolationState:
    """CanonicalLRM's state at a keyframe, from renders of the tracked mesh's canonical coordinates."""
    lrm = networks.canonical_lrm
    size = (lrm.config.encoder.image_size,) * 2
    cameras = views.cameras_at(keyframe).resized(size)
    images = []
    for view in range(len(cameras)):
        pose, intrinsics = cameras.world_from_camera[view].numpy(), cameras.intrinsics[view].numpy()
        raster = rasterize(vertices, first.faces, pose, intrinsics, size)
        xyz = torch.from_numpy(interpolate(raster, first.faces, first.vertices)).movedim(-1, 0)
        images.append(encode_canonical(xyz, torch.from_numpy(raster.mask)[None].float()))
    output = lrm(torch.stack(images)[None].to(networks.device), batched(cameras, networks.device))
    return state_of(output)
