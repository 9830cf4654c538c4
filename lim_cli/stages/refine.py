"""Stage 30, past the paper: the keyframes' triplanes brought closer to the pictures they were made from."""

from __future__ import annotations

import copy

from torch import Tensor

from lim_cli.artifacts.keyframes import KeyframesArtifact, residual_name, save_refined_times, save_residual
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.device import generator
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.models.seen_rays import Room, seen_rays
from lim_cli.models.triplane import FieldDecoder
from lim_cli.stages.config import RefinementConfig
from lim_cli.stages.networks import Networks, resized_views
from lim_cli.stages.refinement import fitted_residual

STAGE_VERSION = 1
STEP_SECONDS = 0.06
"""Nominal: of a step with the default rays and samples."""
SIZE = 128
"""Pixels on a side to which views are shrunk before they are compared; LRM itself was shown no more."""


def run(
    keyframes: KeyframesArtifact,
    views: ViewsArtifact,
    config: RefinementConfig,
    networks: Networks,
    pieces: Pieces,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Writes what to add to every keyframe's triplane (as LRM made it) into the folder of `pieces`, one file each;

    those finished there are not made again.

    It always works on the CPU: a GPU adds up gradients of planes in any order, and no two runs would be alike.

    Raises:
        NumericalError: a residual became NaN.
    """
    progress = progress or SilentProgress()
    field = copy.deepcopy(networks.lrm.field).cpu()
    steps = steps_for(config, len(keyframes))
    with progress.task("Refining keyframes", len(keyframes)) as task:
        for k in range(len(keyframes)):
            if not pieces.is_finished(residual_name(k)):
                triplane = keyframes.output(k).triplane[0]
                save_residual(pieces.folder, k, keyframe_residual(field, triplane, views, k, steps, config, seed=seed))
                pieces.finish(residual_name(k))
            task.advance()
    save_refined_times(pieces.folder, keyframes.times)


def steps_for(config: RefinementConfig, keyframes: int) -> int:
    """Steps a keyframe: all that fit into the nominal seconds (None counts as 0), and no fewer than one."""
    share = config.rays * config.samples / (RefinementConfig.rays * RefinementConfig.samples)
    return max(1, round((config.seconds or 0.0) / (STEP_SECONDS * share * keyframes)))


def keyframe_residual(
    field: FieldDecoder,
    triplane: Tensor,
    views: ViewsArtifact,
    keyframe: int,
    steps: int,
    config: RefinementConfig,
    *,
    seed: int = 0,
) -> Tensor:
    """What refinement adds to one keyframe's triplane [3, c, h, w].

    Every keyframe draws the same random numbers: what they leave of noise is then alike too, and flickers less.

    Raises:
        NumericalError: it became NaN.
    """
    count = views.rgba.shape[1]
    trust = [1.0] * count if views.source == "posed" else [1.0] + [config.generated] * (count - 1)
    side = min(SIZE, views.rgba.shape[2])
    pictures = resized_views(views.rgba[keyframe], side)
    cameras = views.cameras_at(keyframe).resized((side, side))
    rays = seen_rays(Room.of(field, triplane), pictures, cameras, trust)
    return fitted_residual(field, triplane, rays, steps, config, generator=generator(seed))
