"""Two separate keyframes, of two scenes or two runs, as the ends of one interval for LIM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.artifacts.run_folder import STAGE_FOLDERS, refined_in
from lim_cli.artifacts.store import TriplaneArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras
from lim_cli.core.errors import InputError, NumericalError
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.data.scene import Scene
from lim_cli.data.scene_folder import is_scene_folder, read_scene
from lim_cli.data.scene_normalise import normalise_scene, reframe_scene
from lim_cli.stages.intervals import Interval, Intervals
from lim_cli.stages.networks import Networks
from lim_cli.stages.posed import spread_views
from lim_cli.stages.surface import agreeing_level

SIZE = 256


@dataclass(frozen=True)
class Ends:
    """An interval, the similarity [4, 4] from its model frame to the user's world, and what the source end was seen as:

    cameras [view], mattes [view, h, w] bool.
    """

    interval: Interval
    world_from_model: np.ndarray
    cameras: Cameras
    mattes: np.ndarray

    def level(self) -> float:
        """The density logit at the surface, by the source's mattes (see `surface.agreeing_level`)."""
        field = self.interval.networks.lrm.field
        return agreeing_level(field, self.interval.source.triplane[0], self.cameras, self.mattes)


def is_run_folder(path: Path) -> bool:
    return any((path / name).is_dir() for name in STAGE_FOLDERS.values())


def load_ends(
    source: Path,
    target: Path,
    networks: Networks,
    *,
    keyframes: tuple[int, int] = (0, 0),
    progress: Progress | None = None,
) -> Ends:
    """Both ends: two scene folders (the first time step of each) or two run folders (`keyframes` of them).

    Raises:
        InputError: one cannot be used, or they are not of one kind.
    """
    for path in (source, target):
        if not path.exists():
            raise InputError(f"There is no {path}; give a scene folder or a run folder.")
    if is_scene_folder(source) and is_scene_folder(target):
        return scene_ends(source, target, networks, progress=progress)
    if is_run_folder(source) and is_run_folder(target):
        return run_ends(source, target, networks, keyframes=keyframes)
    raise InputError(f"{source} and {target} must both be scene folders (transforms.json) or both run folders.")


def scene_ends(source: Path, target: Path, networks: Networks, *, progress: Progress | None = None) -> Ends:
    """The first time steps of two scene folders whose cameras share one world; one similarity normalises both."""
    progress = progress or SilentProgress()
    with progress.task("Reconstructing both ends", 2) as task:
        first = [read_scene(path, split="input").keyframes[0] for path in (source, target)]
        together = Scene(
            tuple(type(k)(k.rgba, k.cameras, float(n)) for n, k in enumerate(first)),
            np.array([0.0, 1.0]),
            f"{source.name} and {target.name}",
        )
        together, info = normalise_scene(together)
        together = reframe_scene(together, size=SIZE)
        outputs = []
        views = [spread_views(together, n) for n in range(2)]
        for keyframe, chosen in zip(together.keyframes, views, strict=True):
            output = networks.encode(keyframe.rgba[chosen], keyframe.cameras[torch.as_tensor(chosen)])
            if not bool(torch.isfinite(output.triplane).all()):
                raise NumericalError("LRM returned NaN; its weights may be damaged (see lim weights verify).")
            outputs.append(output)
            task.advance()
    source_end, chosen = together.keyframes[0], views[0]
    return Ends(
        Interval(networks, outputs[0], outputs[1]),
        info.world_from_model,
        source_end.cameras[torch.as_tensor(chosen)],
        source_end.rgba[chosen][..., 3] > 127,
    )


def run_ends(source: Path, target: Path, networks: Networks, *, keyframes: tuple[int, int] = (0, 0)) -> Ends:
    """One keyframe each of two run folders with the same model frame; of one and the same, with their neighbours."""
    runs, views = [], []
    for path, number in zip((source, target), keyframes, strict=True):
        found = load_keyframes(path)
        if not 0 <= number < len(found):
            raise InputError(
                f"{path} has keyframes 0 to {len(found) - 1}, not {number}; set --keyframe or --target-keyframe."
            )
        runs.append(found)
        views.append(ViewsArtifact.load(path / STAGE_FOLDERS["views"]))
    world = views[0].world_from_model
    if not np.allclose(world, views[1].world_from_model, rtol=1e-6, atol=1e-9):
        raise InputError(f"{source} and {target} are normalised differently; give their scene folders instead.")
    if source.resolve() == target.resolve():
        interval = Intervals(networks, runs[0]).between(*keyframes)
    else:
        ends = (run.output(number, networks.device) for run, number in zip(runs, keyframes, strict=True))
        interval = Interval(networks, *ends)
    mattes = views[0].rgba[keyframes[0], ..., 3] > 127
    return Ends(interval, world, views[0].cameras_at(keyframes[0]), mattes)


def load_keyframes(run: Path) -> KeyframesArtifact:
    """The keyframes of a run folder.

    Raises:
        InputError: there are none yet.
    """
    if not (run / STAGE_FOLDERS["keyframes"]).is_dir():
        raise InputError(f"{run} holds no {STAGE_FOLDERS['keyframes']}; run lim keyframes {run} first.")
    return KeyframesArtifact.load(run / STAGE_FOLDERS["keyframes"], refined_in(run))


def alphas_between(steps: int, *, ends: bool = False) -> np.ndarray:
    """`steps` equally spaced alphas strictly between 0 and 1; `ends` adds 0 and 1 themselves."""
    inner = np.arange(1, steps + 1) / (steps + 1)
    return np.concatenate([[0.0], inner, [1.0]]) if ends else inner


def run(interval: Interval, alphas: np.ndarray, *, progress: Progress | None = None) -> TriplaneArtifact:
    """LIM's triplanes at `alphas` (eq. 1), half precision; the artifact's times are the alphas.

    Raises:
        NumericalError: LIM returned NaN.
    """
    progress = progress or SilentProgress()
    planes = []
    with progress.task("Interpolating triplanes", len(alphas)) as task:
        for alpha in alphas:
            planes.append(interval.triplane(float(alpha)).half().cpu().numpy())
            if not np.isfinite(planes[-1]).all():
                raise NumericalError("LIM returned NaN; its weights may be damaged (see lim weights verify).")
            task.advance()
    return TriplaneArtifact(np.stack(planes), np.asarray(alphas, np.float64))
