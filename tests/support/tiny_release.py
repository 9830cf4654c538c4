"""A release of real models at `tiny` size, trained for seconds: enough that there is a surface to trace."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import torch
from filelock import FileLock

import lim_cli
from lim_cli.core.files import atomic_folder
from lim_cli.data.dataset import ProceduralDataset
from lim_cli.data.samples import SampleSpec
from lim_cli.diffusion.configs import TINY
from lim_cli.diffusion.denoiser import MultiviewVideoDenoiser
from lim_cli.diffusion.pipeline import save_pipeline
from lim_cli.models.checkpoints import read_config, read_tensors, save_model, table
from lim_cli.models.presets import load_lrm
from lim_cli.training.config import TrainConfig
from lim_cli.training.loop import train
from lim_cli.training.tasks import rig_of, views_of

SETTINGS = {"batch_size": 4, "rays": 32, "points": 256, "surface": 32, "warmup": 5, "lim_blocks": 2}
STEPS = {"lrm": 90, "canonical_lrm": 30, "lim": 3, "canonical_lim": 3, "views": 50}
FEEDBACK_STEPS = 8


def build_release(folder: Path, scratch: Path) -> None:
    """Trains LRM, LIM, their canonical twins and the view denoiser into `folder`."""
    teachers = {"teacher": str(folder / "lrm"), "canonical_teacher": str(folder / "canonical_lrm")}
    for task, steps in STEPS.items():
        config = TrainConfig(
            task=task,  # type: ignore[arg-type]
            preset="tiny",
            steps=steps,
            workers=0,
            evaluate_samples=2,
            **SETTINGS,  # type: ignore[arg-type]
            **(teachers if task.endswith("lim") else {}),  # type: ignore[arg-type]
        )
        train(config, scratch / task)
        if task == "views":
            denoiser = MultiviewVideoDenoiser(TINY)
            tensors = read_tensors(scratch / task / "model")
            denoiser.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
            save_pipeline(denoiser, folder / "views")
        else:
            shutil.copytree(scratch / task / "model", folder / task)
        if task == "lrm":
            settle_surface(folder / task)
            add_feedback(folder / task, scratch / "feedback")


def add_feedback(lrm: Path, scratch: Path) -> None:
    """Trains the feedback of the LRM in `lrm`, in its place."""
    config = TrainConfig(
        task="lrm",
        feedback=True,
        initial=str(lrm),
        preset="tiny",
        steps=FEEDBACK_STEPS,
        workers=0,
        evaluate_samples=2,
        **SETTINGS,  # type: ignore[arg-type]
    )
    train(config, scratch)
    shutil.rmtree(lrm)
    shutil.copytree(scratch / "model", lrm)


@torch.no_grad()
def settle_surface(folder: Path) -> None:
    """Shifts the density logit so that as much of space is inside as truly is: so short a training leaves it low."""
    lrm = load_lrm(folder)
    dataset = ProceduralDataset(SampleSpec(size=32, rays=8, points=2048, surface=8), seed=5)
    logits, inside = [], []
    for index in range(8):
        batch = {name: torch.from_numpy(array)[None] for name, array in dataset[index].items()}
        output = lrm(views_of(batch)[:, 0], rig_of(batch))
        points = batch["points"][:, 0].float()
        logits.append(lrm.field(output.triplane, points)[0].flatten())
        inside.append((batch["sdf"] < 0).float().mean())
    share = float(torch.stack(inside).mean())
    lrm.field.output.bias[0] -= torch.cat(logits).quantile(1 - share)
    save_model(folder, lrm, read_config(folder))


def cached_weights() -> Path:
    """A weights folder with the release `v1`, built once for this state of the models' source."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    package = Path(lim_cli.__file__).parent
    for room in ("models", "training", "diffusion"):
        for file in sorted((package / room).glob("*.py")):
            digest.update(file.read_bytes())
    place = Path(tempfile.gettempdir()) / "lim-tiny-release"
    place.mkdir(exist_ok=True)
    weights = place / digest.hexdigest()[:16]
    with FileLock(place / "lock"):
        if not weights.is_dir():
            with atomic_folder(weights) as partial, tempfile.TemporaryDirectory() as scratch:
                (partial / "v1").mkdir()
                build_release(partial / "v1", Path(scratch))
                (partial / "README.md").write_text(table(partial / "v1"))
    return weights
