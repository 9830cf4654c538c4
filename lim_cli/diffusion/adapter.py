"""Loading the view model named by `--views-model`: ours, or any diffusers pipeline that keeps our interface.

The interface is `ViewsPipeline.__call__`: it takes the clip of the input view, straight-alpha RGBA in [0, 1],
[keyframe, 4, height, width], and returns an object whose `images` are straight-alpha RGBA in [0, 1],
[keyframe, 4 views, 4, height, width]: view 0 the input itself, then azimuths 90, 180 and 270 degrees from it
(from +Z, where the input stands, the camera goes to +X first), all at one elevation and field of view.
Foreign pipelines are looked up in diffusers only; code that comes with a repository is never run. Pipelines of the
class StableVideoDiffusionPipeline, which make an orbit of one image, get this interface from `orbit.OrbitViews`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lim_cli.core.errors import PARSER_ERRORS, ConfigError, MissingError, WeightsError

_ARGUMENTS = (
    "images",
    "elevation",
    "field_of_view",
    "num_inference_steps",
    "generator",
    "callback_on_step_end",
)
_INDEX = "model_index.json"
LARGEST_NUMBER = 10_000_000


class ViewsOutput(Protocol):
    """images: [keyframe, view, 4, height, width], straight-alpha RGBA in [0, 1]."""

    @property
    def images(self) -> Tensor: ...


class ViewsPipeline(Protocol):
    """What the views stage calls."""

    def __call__(
        self,
        images: Tensor,
        *,
        elevation: float,
        field_of_view: float,
        num_inference_steps: int = 8,
        generator: torch.Generator | None = None,
        callback_on_step_end: Callable[..., dict[str, Any] | None] | None = None,
    ) -> ViewsOutput: ...


def load_views_pipeline(path_or_id: str | Path, device: torch.device | str) -> ViewsPipeline:
    """Loads a pipeline folder, or a hub id `owner/name`, onto `device`; safetensors only.

    Raises:
        WeightsError: not a pipeline folder, incomplete or unfitting weights, or another interface.
        MissingError: the hub cannot be reached or holds no such pipeline, or diffusers is not installed.
    """
    name = str(path_or_id)
    is_folder = Path(name).is_dir()
    if is_folder and not (Path(name) / _INDEX).is_file():
        raise WeightsError(f"{name} is not a diffusers pipeline folder: it holds no {_INDEX}.")
    if not is_folder and not _looks_like_hub_id(name):
        raise WeightsError(f"There is no pipeline folder {name}; give a folder with {_INDEX} or a hub id owner/name.")
    try:
        import diffusers

        from lim_cli.diffusion.orbit import OrbitViews, read_azimuths
        from lim_cli.diffusion.pipeline import MultiviewVideoPipeline
    except ImportError as error:
        raise MissingError(f"The view model needs the package diffusers ({error}); install it with pip.") from error
    try:
        index = diffusers.DiffusionPipeline.load_config(name)
    except PARSER_ERRORS as error:
        if is_folder:
            raise WeightsError(f"{name}/{_INDEX} cannot be read: {_first_line(error)}.") from error
        raise MissingError(
            f"No view model {name} on this machine, and the hub did not give it: {_first_line(error)}."
        ) from error

    kind = _pipeline_class(index.get("_class_name"), diffusers, MultiviewVideoPipeline)
    if kind is None:
        raise WeightsError(f"{name} names the pipeline {index.get('_class_name')}, which diffusers does not have.")
    # diffusers imports a pipeline when it is named, and this one warns of what transformers lacks
    orbits = not issubclass(kind, MultiviewVideoPipeline) and issubclass(kind, diffusers.StableVideoDiffusionPipeline)
    azimuths = read_azimuths(Path(name)) if orbits and is_folder else None
    if not orbits:
        _check_interface(name, kind)
    if is_folder:
        _check_numbers(Path(name))
    try:
        with _without_bars(diffusers.utils.logging):
            pipeline = kind.from_pretrained(name, use_safetensors=True)
    except ConfigError as error:
        raise WeightsError(f"The view model {name} does not fit this version of lim: {error}") from error
    except PARSER_ERRORS as error:
        problem = WeightsError if is_folder else MissingError
        raise problem(f"The view model {name} cannot be loaded: {_first_line(error)}.") from error
    if absent := _absent_tensor(pipeline):
        raise WeightsError(f"The view model {name} lacks the tensor '{absent}'; fetch it again.")
    pipeline = pipeline.to(device)
    return OrbitViews(pipeline, azimuths) if orbits else pipeline


def works_in_windows(pipeline: object) -> bool:
    """Whether a loaded pipeline is our own, which hands on every finished window and takes known ones back."""
    from lim_cli.diffusion.pipeline import MultiviewVideoPipeline

    return isinstance(pipeline, MultiviewVideoPipeline)


def draws_one_object(pipeline: object) -> bool:
    """Whether a loaded pipeline needs no denoising steps, since it can draw the views of one object out of a volume."""
    from lim_cli.diffusion.pipeline import MultiviewVideoPipeline

    return isinstance(pipeline, MultiviewVideoPipeline) and pipeline.volume is not None


def _check_numbers(folder: Path) -> None:
    """Raises WeightsError if a component's configuration would fill the memory (a schedule of 2^31 steps)."""
    for path in sorted(folder.glob("*/*config.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise WeightsError(f"{path} is no JSON: {_first_line(error)}.") from error
        for key, value in values.items() if isinstance(values, dict) else ():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int | float) and not abs(number) <= LARGEST_NUMBER:
                    raise WeightsError(f"{path}: '{key}' is {str(value)[:40]}, which no view model has.")


def _absent_tensor(pipeline: Any) -> str | None:
    """The name of a tensor that no file filled: diffusers leaves such on the meta device."""
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            for name, tensor in component.named_parameters():
                if tensor.is_meta:
                    return name
    return None


@contextmanager
def _without_bars(logging: Any) -> Iterator[None]:
    """Keeps diffusers from drawing on the terminal while it loads."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _pipeline_class(name: Any, diffusers: Any, own: type) -> Any:
    if name == own.__name__:
        return own
    found = getattr(diffusers, name, None) if isinstance(name, str) else None
    is_pipeline = inspect.isclass(found) and issubclass(found, diffusers.DiffusionPipeline)
    return found if is_pipeline else None


def _check_interface(name: str, kind: type) -> None:
    parameters = inspect.signature(kind.__call__).parameters  # type: ignore[operator]
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    missing = [argument for argument in _ARGUMENTS if argument not in parameters]
    if missing:
        raise WeightsError(
            f"{name} is a {kind.__name__}, which does not take {', '.join(missing)} as a view model must; "
            "see lim_cli.diffusion.adapter for the interface."
        )


def _looks_like_hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~")) and "\\" not in name


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".")
