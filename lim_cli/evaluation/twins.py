"""Held-out figures of the canonical twins, for their cards."""

from __future__ import annotations

import numpy as np
import torch

from lim_cli.core.camera import Cameras
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import Rig, random_light, source_rig
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import Cell
from lim_cli.models.lim import state_of
from lim_cli.models.lrm import encode_canonical
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks, batched
from lim_cli.stages.surface import FieldQuery


@torch.no_grad()
def canonical_error(networks: Networks, count: int, *, gap: float, progress: Progress | None = None) -> Report:
    """Canonical coordinates at the middle of an interval, on the true surface: mean distance from the truth.

    Rows: CanonicalLIM; how LIM moves the planes, read as motion (where it does); CanonicalLRM on the
    true middle (its oracle); standing still (a point is its own canonical point). Model units; `count` held-out
    objects, ends `gap` of the motion apart.
    """
    progress = progress or SilentProgress()
    size = networks.canonical_lrm.config.encoder.image_size
    rows = ("canonical_lim", "lim_warp", "canonical_lrm_oracle", "standing_still")
    errors: dict[str, list[float]] = {row: [] for row in rows}
    with progress.task("Judging canonical coordinates", count) as task:
        for number in range(count):
            rng = np.random.default_rng([2, 0, 8, number])
            drawn = ProceduralObject.draw(rng)
            start = rng.uniform() * (1 - gap)
            phases = np.array([start, start + gap / 2, start + gap])
            poses = drawn.normalised(phases, 0.9).poses(phases)
            light, rig = random_light(rng), source_rig(rng, size)
            cameras = _cameras(rig)
            shots = [
                [p.render(rig.world_from_camera[v], rig.intrinsics[v], rig.size, light, poses[0]) for v in range(4)]
                for p in poses
            ]
            rgba = [np.stack([(np.clip(s[0], 0, 1) * 255 + 0.5).astype(np.uint8) for s in shot]) for shot in shots]
            interval = Interval(networks, networks.encode(rgba[0], cameras), networks.encode(rgba[2], cameras))
            states = []
            for shot in shots[:2]:
                xyz = torch.from_numpy(np.stack([s[2] for s in shot])).movedim(-1, 1)
                mask = torch.from_numpy(np.stack([s[0][..., 3] > 0.5 for s in shot]))[:, None].float()
                view = encode_canonical(xyz.float(), mask)[None].to(networks.device)
                states.append(state_of(networks.canonical_lrm(view, batched(cameras, networks.device))))
            samples = poses[1].sample_volume(rng, 8, 2048, light, poses[0])
            places = {"canonical_lrm_oracle": _decoded(networks, states[1].triplane[0], samples.surface_points)}
            if not networks.canonical_lim.config.canonical_planes:
                places["canonical_lim"] = interval.origins(samples.surface_points, 0.5)
            else:
                plane = interval.canonical_triplane(states[0], 0.5)
                places["canonical_lim"] = _decoded(networks, plane, samples.surface_points)
            if networks.lim.config.head != "residual":
                places["lim_warp"] = interval.origins(samples.surface_points, 0.5, by=networks.lim)
            for name, found in places.items():
                errors[name].append(float(np.linalg.norm(found - samples.surface_canonical, axis=1).mean()))
            still = np.linalg.norm(samples.surface_points - samples.surface_canonical, axis=1)
            errors["standing_still"].append(float(still.mean()))
            task.advance()
    table: dict[str, dict[str, Cell]] = {
        name: {"mean_error": round(float(np.mean(values)), 5)} for name, values in errors.items() if values
    }
    return Report({f"procedural, gap {gap:g}, alpha 0.5": table})


def _decoded(networks: Networks, triplane: torch.Tensor, points: np.ndarray) -> np.ndarray:
    return FieldQuery(networks.canonical_lrm.field, triplane).values(points)


def _cameras(rig: Rig) -> Cameras:
    return Cameras(torch.from_numpy(rig.world_from_camera), torch.from_numpy(rig.intrinsics), rig.size)
