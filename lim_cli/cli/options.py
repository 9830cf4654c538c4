"""Options that several commands share, and what they become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lim_cli.cli.settings import Settings
    from lim_cli.stages.drive import DriveConfig
    from lim_cli.stages.networks import Networks

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder (see lim ingest --help).", show_default=False)
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", help="Folder of weights, or a hub id in the local cache.", show_default=False),
]
ReleaseOption = Annotated[str | None, typer.Option("--release", help="Release of the weights; the newest otherwise.")]
ViewsModelOption = Annotated[
    str | None,
    typer.Option("--views-model", help="Another view generator: a diffusers folder, or a hub id.", show_default=False),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A .toml or .json file of options, stronger than ./lim.toml.", show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="A.B=C", help="Any option of any stage, such as track.stiffness=3.", show_default=False
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed of every random choice.", min=0)]
FpsOption = Annotated[float, typer.Option(help="Output frames per second.", min=0.01, max=240)]
StartOption = Annotated[float | None, typer.Option(help="Seconds to start at.", min=0)]
EndOption = Annotated[float | None, typer.Option(help="Seconds to end at.", min=0)]
InputFpsOption = Annotated[
    float | None, typer.Option(help="Frame rate of inputs without time stamps; 24 otherwise.", min=0.01)
]
MatteOption = Annotated[str, typer.Option(help="auto, alpha, background, grabcut, rembg, or a folder of mattes.")]
MaxFramesOption = Annotated[
    int | None, typer.Option(help="Use at most this many input frames; of a longer clip every 2nd, 4th, ...", min=1)
]
KeyframeStrideOption = Annotated[
    int | None,
    typer.Option(
        help="Every how many input frames is a keyframe; otherwise 2 for single-camera clips, 1 for posed scenes.",
        min=1,
        show_default=False,
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        help="View diffusion steps. The shipped weights need none: their views are drawn from a volume; steps refine "
        "them, and add crumbs.",
        min=0,
        max=1000,
        show_default="as few as needed",
    ),
]
ViewTriesOption = Annotated[
    int, typer.Option(help="Seeds to generate views from; those that agree best are kept.", min=1, max=100)
]
ElevationOption = Annotated[
    str,
    typer.Option(
        help="Degrees the input camera is above the object, -89 to 89; auto: by the weights' camera model, else 10."
    ),
]
FieldOfViewOption = Annotated[float, typer.Option(help="Horizontal degrees of the input camera.", min=1, max=150)]
RefineOption = Annotated[
    float | None,
    typer.Option(
        help="Seconds of two CPU cores spent on bringing the triplanes closer to the pictures; 0: none. The work is "
        "counted in steps, so that a run can be repeated.",
        min=0,
        show_default="15 for a posed scene, 0 for one camera",
    ),
]
VerticesOption = Annotated[int, typer.Option(help="Vertices of the mesh.", min=100, max=1_000_000)]
TextureSizeOption = Annotated[int, typer.Option(help="Side of the texture, pixels.", min=64, max=8192)]
QuantizeOption = Annotated[
    bool,
    typer.Option(
        "--quantize", help="The smallest GLB: integer vertices (KHR_mesh_quantization), a skin's faces as a strip."
    ),
]
DracoOption = Annotated[
    bool,
    typer.Option(
        "--draco",
        help="Compress a skin's mesh (KHR_draco_mesh_compression), for the web: tens of times smaller than morphs. "
        "Needs pip install 'lim-cli[draco]'.",
    ),
]
SparseOption = Annotated[
    bool, typer.Option("--sparse", help="Store only the vertices that move (sparse accessors) in the GLB.")
]

AnimOption = Annotated[
    str,
    typer.Option(
        "--anim",
        help="How the GLB moves. morph: every vertex of every frame; skin: bones, tens of times smaller, its error is "
        "stated; both: a second file NAME_skin.glb.",
    ),
]
BonesOption = Annotated[int, typer.Option(help="Bones of a skinned GLB, at most.", min=1, max=250)]
SheetOption = Annotated[
    Path | None,
    typer.Option(
        "--sheet",
        help="Also draw this contact sheet, a .png: input, views, mesh from four sides, at four times "
        "(a folder for several inputs).",
        show_default=False,
    ),
]
MeshFrameOption = Annotated[
    int | None,
    typer.Option(
        help="Output frame the mesh is posed like, from 0; the one that fits best otherwise.", min=0, show_default=False
    ),
]
MeshAlignOption = Annotated[
    str,
    typer.Option(help="How the mesh is laid onto the track: auto (any orientation), yaw (upright), none (as it lies)."),
]


def new_app() -> typer.Typer:
    """A command's Typer application; plain help, since rich would double the time it takes to come up."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def given(**values: Any) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def drive_config(mesh: Path, align: str, frame: int | None) -> DriveConfig:
    """What the mesh options ask for, once they are checked."""
    from lim_cli.stages.drive import DriveConfig

    return DriveConfig(mesh, align, frame)  # type: ignore[arg-type]  # one of the words checked


def load_networks(
    device: str,
    weights: Path | None,
    release: str | None,
    *needs: str,
    views_model: str | None = None,
) -> Networks:
    """The models named by `needs`, of which none is read yet.

    Raises:
        WeightsError: one is missing, said before anything heavy is imported. ConfigError: no such device.
    """
    from lim_cli.models.releases import find_release

    find_release(weights, release, needs=tuple(n for n in needs if n != "views" or views_model is None))

    from lim_cli.core.device import choose_device
    from lim_cli.stages.networks import Networks

    return Networks(choose_device(device), weights=weights, release=release, views_model=views_model, needs=needs)


def networks_of(settings: Settings, *needs: str) -> Networks:
    """`load_networks` with the device, weights and view generator of a command's settings."""
    config = settings.config
    return load_networks(
        settings.command.device, settings.weights, config.release, *needs, views_model=config.views_model
    )  # fmt: skip
