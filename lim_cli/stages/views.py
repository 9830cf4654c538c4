"""Stage 10: three more viewpoints of every keyframe of a single-camera clip (sec. 3.3).

Views that were made up need not be of one object. How well they agree is measured, and of several tries (other seeds)
the one that agrees best is kept. The input's own pixels are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lim_cli.artifacts.generation import Generation, InputCamera
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras, orbit_cameras
from lim_cli.core.device import generator
from lim_cli.core.errors import ConfigError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.diffusion.adapter import draws_one_object, works_in_windows
from lim_cli.geometry.view_agreement import ViewAgreement, view_agreement
from lim_cli.stages.config import ViewsConfig
from lim_cli.stages.failures import require_finite
from lim_cli.stages.harmony import harmonised
from lim_cli.stages.input_camera import find_camera, sentence
from lim_cli.stages.networks import Networks
from lim_cli.stages.posed import keyframe_indices

STAGE_VERSION = 6


def camera_distance(field_of_view: float) -> float:
    """Where the unit ball just fits a view of `field_of_view` degrees: the training cameras' distance."""
    return float(1.0 / np.sin(np.radians(field_of_view) / 2))


def run(
    clip: ClipArtifact,
    config: ViewsConfig,
    networks: Networks,
    *,
    seed: int = 0,
    pieces: Pieces | None = None,
    progress: Progress | None = None,
) -> ViewsArtifact:
    """The input view (azimuth 0) and generated views at 90, 180 and 270 degrees of every keyframe.

    pieces: keeps every finished window of our own generator; another pipeline starts over.

    Raises:
        NumericalError: the generator or the camera estimator returned NaN.
        WeightsError: weights are missing or damaged.
    """
    progress = progress or SilentProgress()
    chosen = keyframe_indices(len(clip.times), config.keyframe_stride)

    # 1. The camera: the input stands at azimuth 0.
    camera = find_camera(clip.rgba, config, networks.camera if config.elevation is None else None)
    progress.log(sentence(camera))

    # 2. Views, as often as is asked for; the try whose views agree best is kept.
    images = torch.from_numpy(clip.rgba[chosen]).movedim(-1, 1).float() / 255  # [keyframe, 4, size, size]
    steps = steps_of(networks.views, config.steps)
    tries = config.tries if steps > 0 else 1  # without steps all would be the same
    seeds = tuple((seed + n) % 2**63 for n in range(tries))
    scores: list[float] = []
    best: tuple[np.ndarray, Cameras, list[ViewAgreement], np.ndarray | None] | None = None
    for number, one in enumerate(seeds):
        made, certainty = _made(images, camera, steps, networks, one, pieces, f"try_{number:02d}", progress)
        size = made.shape[2]
        cameras = orbit_cameras(
            [0.0, 90.0, 180.0, 270.0],
            elevation=camera.elevation,
            field_of_view=camera.field_of_view,
            distance=camera_distance(camera.field_of_view),
            size=(size, size),
        )
        agreements = [view_agreement(rgba, *_as_arrays(cameras)) for rgba in made]
        scores.append(round(agreement_score(agreements), 5))
        if scores[-1] > max(scores[:-1], default=-1.0):
            best = made, cameras, agreements, certainty
    assert best is not None
    rgba, cameras, agreements, certainty = best
    generation = Generation(
        camera,
        seeds,
        tuple(scores),
        int(np.argmax(scores)),
        mask=tuple(round(float(a.mask.mean()), 4) for a in agreements),
        colour=tuple(_mean_or_none(a.colour) for a in agreements),
        certainty=None if certainty is None else tuple(round(float(value), 4) for value in certainty),
    )
    progress.log(generation.sentence())
    return ViewsArtifact(
        rgba=rgba,
        cameras=cameras,
        keyframe_times=clip.times[chosen],
        source="generated",
        world_from_model=np.eye(4),
        generation=generation,
    )


def steps_of(pipeline: object, asked: int | None) -> int:
    """Denoising steps of a view generator: as many as asked for, or as few as it needs.

    None where it draws its views out of a volume. Else one: a generator trained for little time is best asked once. Its
    first guess is the mean of what it thinks possible, and further steps add crumbs (IoU with the truth .449 after one,
    .421 after three, .387 after eight).

    Raises:
        ConfigError: none are asked for of one that needs some.
    """
    fewest = 0 if draws_one_object(pipeline) else 1
    if asked == 0 < fewest:
        raise ConfigError("This view generator has no volume to draw views from; give --steps 1 or more.")
    return fewest if asked is None else asked


def agreement_score(agreements: Sequence[ViewAgreement]) -> float:
    """One figure for all keyframes' views, 0 to 1: the mean agreement of their mattes.

    Colours do not count: they are taken from the input (`stages.harmony`), and on 24 clips never seen their agreement
    told nothing of the true error, that of the mattes something (rank correlation with the true IoU .60).
    """
    return float(np.mean([a.mask for a in agreements]))


def matte_certainty(made: np.ndarray) -> np.ndarray:
    """How sure a generator is of its mattes [keyframe]: mean opacity of what it drew, weighted by itself; 1: hard.

    made: [keyframe, view, 4, h, w] in [0, 1], as generated; view 0, the input, does not count. What it does not know it
    smears; of all that can be told without the truth this tells most of the error (correlation with the IoU .83).
    """
    alpha = made[:, 1:, 3].reshape(len(made), -1)
    return np.asarray(np.square(alpha).sum(1) / np.maximum(alpha.sum(1), 1e-6))


def _made(
    images: Tensor,
    camera: InputCamera,
    steps: int,
    networks: Networks,
    seed: int,
    pieces: Pieces | None,
    prefix: str,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray | None]:
    """One try: four views [keyframe, view, size, size, 4] uint8 of the clip [keyframe, 4, size, size], and how sure

    the generator is of them [keyframe], where it leaves doubts open.
    """
    pipeline = networks.views
    with progress.task("Imagining three more views", None) as task:

        def step_done(_pipeline: Any, _step: int, _time: Any, given: dict[str, Any]) -> dict[str, Any]:
            task.advance()
            return given

        kept = pieces if works_in_windows(pipeline) else None
        output = pipeline(
            images,
            elevation=camera.elevation,
            field_of_view=camera.field_of_view,
            num_inference_steps=steps,
            generator=generator(seed),
            callback_on_step_end=step_done,
            **(_resumable(len(images), kept, prefix) if kept is not None else {}),
        )
    made = output.images.float().cpu()  # [keyframe, view, 4, size, size]
    require_finite("What the view generator made", made)
    raw = made.clamp(0, 1).numpy()
    decided = steps == 0
    return as_bytes(harmonised(raw, of_one_object=decided)), None if decided else matte_certainty(raw)


def as_bytes(views: np.ndarray) -> np.ndarray:
    """[keyframe, view, 4, h, w] in [0, 1] -> [keyframe, view, h, w, 4] uint8."""
    return np.ascontiguousarray(np.moveaxis((views * 255 + 0.5).astype(np.uint8), 2, -1))


def _as_arrays(cameras: Cameras) -> tuple[np.ndarray, np.ndarray]:
    return cameras.world_from_camera.numpy(), cameras.intrinsics.numpy()


def _mean_or_none(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 4) if len(known) else None


def _resumable(count: int, pieces: Pieces, prefix: str) -> dict[str, Any]:
    """Arguments by which the pipeline leaves out the windows of `count` keyframes already made, and hands on others.

    Only an unbroken row of windows from the first on counts: each is made to fit those before it.
    """
    from lim_cli.diffusion.pipeline import KnownViews

    found: list[dict[str, np.ndarray]] = []
    while (arrays := pieces.load(f"{prefix}_window_{len(found):05d}")) is not None:
        found.append(arrays)
    first = len(found)

    def window_done(index: int, start: int, made: Tensor) -> None:
        require_finite(f"What the view generator made of keyframes {start} to {start + len(made) - 1}", made)
        if index >= first:
            pieces.save(f"{prefix}_window_{index:05d}", {"start": np.array([start]), "images": made.numpy()})

    arguments: dict[str, Any] = {"callback_on_window_end": window_done}
    if found:
        images = torch.zeros(count, *found[0]["images"].shape[1:])
        known = torch.zeros(images.shape[:2], dtype=torch.bool)
        for window in found:
            start = window["start"].item()
            span = slice(start, start + len(window["images"]))
            images[span], known[span] = torch.from_numpy(window["images"]), True
        arguments["known_views"] = KnownViews(images, known)
    return arguments
