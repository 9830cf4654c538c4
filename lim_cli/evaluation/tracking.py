"""Tracing on posed scenes with known tracks: ours, nearest neighbours as the paper's baseline, and standing still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.run_folder import RunFolder
from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.errors import InputError
from lim_cli.core.npz import read_npz
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.geometry.mesh import Mesh
from lim_cli.metrics.alignment import Similarity
from lim_cli.metrics.chamfer import chamfer_motion, chamfer_sequence
from lim_cli.stages import track
from lim_cli.stages.chain import Chain
from lim_cli.stages.config import ReconstructConfig
from lim_cli.stages.evidence import Evidence
from lim_cli.stages.networks import Networks
from lim_cli.stages.surface import FieldQuery, triplane_surface

SAMPLES = 4096


def compare_tracking(
    networks: Networks, scene: Path, workdir: Path, *, progress: Progress | None = None
) -> dict[str, dict[str, float]]:
    """CD-4D and CD-M (fraction of the scene's unit; no alignment, the input is posed) of three ways to trace.

    `scene` is a scene folder with `tracks.npz` (`points` [time, n, 3], world frame).

    Raises:
        InputError: the scene holds no tracks.
    """
    progress = progress or SilentProgress()
    if not (scene / "tracks.npz").is_file():
        raise InputError(f"{scene} holds no tracks.npz to judge tracing by.")
    truth = read_npz(scene / "tracks.npz")["points"].astype(np.float64)
    with RunFolder(workdir) as run:
        chain = Chain(run, scene, ReconstructConfig(), networks, progress=progress)
        keyframes, views = chain.keyframes(), chain.views()
        config = track.TrackConfig(vertices=6000)
        traced = track.run(keyframes, views, None, keyframes.times, config, networks, progress=progress).track
    ours = traced.vertices
    rows = {
        "ours": ours,
        "nearest neighbour": _nearest_neighbour(networks, keyframes, views, traced.at(0), config),
        "standing still": np.repeat(ours[:1], len(ours), 0),
    }
    return {name: _score(vertices, traced.faces, views, truth) for name, vertices in rows.items()}


def _nearest_neighbour(
    networks: Networks, keyframes: KeyframesArtifact, views: ViewsArtifact, first: Mesh, config: track.TrackConfig
) -> np.ndarray:
    """The paper's baseline: each vertex goes to the nearest surface point in position and colour (Table 3)."""
    colours = FieldQuery(networks.lrm.field, keyframes.output(0, networks.device).triplane[0]).values(first.vertices)
    _, level = track.first_mesh(
        networks, keyframes.output(0, networks.device).triplane[0], views, Evidence(views, None), config
    )
    vertices, result = first.vertices, [first.vertices]
    for k in range(1, len(keyframes)):
        triplane: torch.Tensor = keyframes.output(k, networks.device).triplane[0]
        surface = triplane_surface(networks.lrm.field, triplane, resolution=96, level=level).vertices
        seen = FieldQuery(networks.lrm.field, triplane).values(surface)
        _, index = cKDTree(np.concatenate([surface, seen], 1)).query(np.concatenate([vertices, colours], 1))
        vertices = surface[index]
        result.append(vertices)
    return np.stack(result)


def _score(vertices: np.ndarray, faces: np.ndarray, views: ViewsArtifact, truth: np.ndarray) -> dict[str, float]:
    """Area-weighted points of the first mesh, carried along, against the true tracks in the world frame."""
    world = views.world_from_model
    moved = vertices.astype(np.float64) @ world[:3, :3].T + world[:3, 3]
    rng = np.random.default_rng(0)
    corners = moved[0][faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    face = rng.choice(len(faces), SAMPLES, p=area / area.sum())
    share = rng.dirichlet(np.ones(3), SAMPLES)
    points = np.einsum("sk,tskc->tsc", share, moved[:, faces[face]])
    same = Similarity(1.0, np.eye(3), np.zeros(3))
    return {
        "cd_4d": round(chamfer_sequence(points, truth, same), 4),
        "cd_motion": round(chamfer_motion(points, truth, same), 4),
    }
