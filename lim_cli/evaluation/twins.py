"""Held-out figures of the canonical twins, for their cards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.animated_object import Light, PosedObject
from lim_cli.data.procedural.procedural_object import ProceduralObject
from lim_cli.data.rigs import Rig, random_light, source_rig
from lim_cli.evaluation.cases import cameras_of, shots
from lim_cli.evaluation.report import Report
from lim_cli.evaluation.scores import Cell
from lim_cli.models.lim import InterpolationState, Neighbour, state_of
from lim_cli.models.lrm import LRMOutput, encode_canonical
from lim_cli.stages.intervals import Interval
from lim_cli.stages.networks import Networks, batched
from lim_cli.stages.surface import FieldQuery


@torch.no_grad()
def canonical_error(networks: Networks, count: int, *, gap: float, progress: Progress | None = None) -> Report:
    """Canonical coordinates at the middle of an interval, on the true surface: mean distance from the truth.

    Rows: CanonicalLIM; the same as in a clip, shown the keyframes beyond both ends where there are any; how LIM moves
    the planes, read as motion (where it does); CanonicalLRM on the true middle (its oracle); standing still (a point is
    its own canonical point). Model units; `count` held-out objects, ends `gap` of the motion apart.
    """
    progress = progress or SilentProgress()
    size = networks.canonical_lrm.config.encoder.image_size
    rows = ("canonical_lim", "in_a_clip", "lim_warp", "canonical_lrm_oracle", "standing_still")
    errors: dict[str, list[float]] = {row: [] for row in rows}
    with progress.task("Judging canonical coordinates", count) as task:
        for number in range(count):
            rng = np.random.default_rng([2, 0, 8, number])
            drawn = ProceduralObject.draw(rng)
            start = rng.uniform() * (1 - gap)
            phases = np.array([start, start + gap / 2, start + gap])
            placed = drawn.normalised(phases, 0.9)
            first, middle, last = placed.poses(phases)
            studio = _Studio(networks, random_light(rng), source_rig(rng, size), first)
            samples = middle.sample_volume(rng, 8, 2048, studio.light, first)
            ends = studio.encoded(first), studio.encoded(last)
            beyond = [
                Neighbour(studio.encoded(*placed.poses(np.array([phase]))).triplane) if 0 <= phase <= 1 else None
                for phase in (start - gap, start + 2 * gap)
            ]
            interval = Interval(networks, *ends)
            in_a_clip = Interval(networks, *ends, before=beyond[0], after=beyond[1])
            here = samples.surface_points
            true_middle = studio.canonical_state(middle).triplane[0]
            places = {"canonical_lrm_oracle": _decoded(networks, true_middle, here)}
            if networks.canonical_lim.config.canonical_planes:
                plane = interval.canonical_triplane(studio.canonical_state(first), 0.5)
                places["canonical_lim"] = _decoded(networks, plane, here)
            else:
                places["canonical_lim"] = interval.origins(here, 0.5)
                places["in_a_clip"] = in_a_clip.origins(here, 0.5)
            if networks.lim.config.head != "residual":
                places["lim_warp"] = interval.origins(here, 0.5, by=networks.lim)
            for name, found in (places | {"standing_still": here}).items():
                errors[name].append(float(np.linalg.norm(found - samples.surface_canonical, axis=1).mean()))
            task.advance()
    table: dict[str, dict[str, Cell]] = {
        name: {"mean_error": round(float(np.mean(values)), 5)} for name, values in errors.items() if values
    }
    return Report({f"procedural, gap {gap:g}, alpha 0.5": table})


@dataclass(frozen=True)
class _Studio:
    """Where an object is photographed: its light, four cameras, and the pose that canonical coordinates are of."""

    networks: Networks
    light: Light
    rig: Rig
    first: PosedObject

    def encoded(self, pose: PosedObject) -> LRMOutput:
        """LRM on its pictures."""
        return self.networks.encode(shots(pose, self.rig, self.light, self.first), cameras_of(self.rig))

    def canonical_state(self, pose: PosedObject) -> InterpolationState:
        """CanonicalLRM on its true canonical coordinates."""
        networks, rig = self.networks, self.rig
        pairs = zip(rig.world_from_camera, rig.intrinsics, strict=True)
        seen = [pose.render(*camera, rig.size, self.light, self.first) for camera in pairs]
        xyz = torch.from_numpy(np.stack([canonical for _, _, canonical in seen])).movedim(-1, 1)
        mask = torch.from_numpy(np.stack([rgba[..., 3] > 0.5 for rgba, _, _ in seen]))[:, None].float()
        view = encode_canonical(xyz.float(), mask)[None].to(networks.device)
        return state_of(networks.canonical_lrm(view, batched(cameras_of(rig), networks.device)))


def _decoded(networks: Networks, triplane: torch.Tensor, points: np.ndarray) -> np.ndarray:
    return FieldQuery(networks.canonical_lrm.field, triplane).values(points)
