"""The fast renderer against a slow twin that asks for signed distances only, ray by ray and step by step."""

from __future__ import annotations

import numpy as np
import pytest
from moving_shapes import AMBIENT

from lim_cli.core.camera import orbit_pose
from lim_cli.data.procedural.body_plans import PLANS, Plan
from lim_cli.data.procedural.procedural_object import ProceduralObject, ProceduralPose

SIZE, FOCAL = 40, 52.0
CAMERA = orbit_pose(35, 20, 3.0).astype(np.float32)


def twin(pose: ProceduralPose, offsets: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Opacity and depth [height, width] by small steps of the distance, means over rays at `offsets` in a pixel."""
    opacity, depth = [], []
    for across, down in offsets:
        rows, columns = np.mgrid[0:SIZE, 0:SIZE]
        local = np.stack(
            [(columns + across - SIZE / 2) / FOCAL, (rows + down - SIZE / 2) / FOCAL, np.ones(rows.shape)], -1
        ).reshape(-1, 3)
        scale = np.linalg.norm(local, axis=1)
        directions = (local / scale[:, None]) @ CAMERA[:3, :3].T
        length, met = np.full(len(local), 1.5), np.zeros(len(local), bool)
        for _ in range(400):
            distance = pose.sdf(CAMERA[:3, 3] + length[:, None] * directions)
            met |= distance < 2e-3
            length = np.where(met | (length > 4.6), length, length + 0.5 * np.maximum(distance, 1e-3))
        opacity.append(met)
        depth.append(np.where(met, length / scale, 0))
    return np.mean(opacity, 0).reshape(SIZE, SIZE), np.mean(depth, 0).reshape(SIZE, SIZE)


@pytest.mark.parametrize("blend", [0.0, 0.08])
@pytest.mark.parametrize("name", list(PLANS))
def test_views_agree_with_the_slow_twin(name: str, blend: float) -> None:
    skeleton = PLANS[name](Plan(np.random.default_rng(7)))
    drawn = ProceduralObject(skeleton, skeleton.shapes(), skeleton.looks(), blend, True, np.eye(4), name)
    pose = drawn.normalised(np.array([0.4]), 0.9).pose(0.4)
    intrinsics = np.array([FOCAL, FOCAL, SIZE / 2, SIZE / 2], np.float32)
    rgba, depth, _ = pose.render(CAMERA, intrinsics, (SIZE, SIZE), AMBIENT, pose)
    met, expected = twin(pose, [(0.5, 0.5)])
    both = (met > 0) & (depth > 0)
    assert ((met > 0) != (depth > 0)).mean() < 2e-3  # rays that graze
    assert np.median(np.abs(depth - expected)[both]) < 2e-3
    assert np.quantile(np.abs(depth - expected)[both], 0.97) < 2e-2
    opacity, _ = twin(pose, [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)])
    silhouette = rgba[..., 3] % 1 != 0
    assert silhouette.any()
    assert np.abs(rgba[..., 3] - opacity)[silhouette].mean() < 0.05
