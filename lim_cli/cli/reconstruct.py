"""`lim reconstruct`: one or several clips to animated meshes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

if TYPE_CHECKING:
    from lim_cli.cli.preflight import Job

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_CLIP, _MODEL, _RUN = "Input", "Reconstruction", "Run"


@app.command()
def reconstruct(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Videos, image folders (RGBA is kept as matte) or scene folders (transforms.json).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The .glb to write; a folder for several inputs.", show_default=False
        ),
    ],
    fps: Annotated[float, typer.Option(help="Output frames per second.", min=0.01, max=240)] = 30.0,
    preview: Annotated[
        Path | None,
        typer.Option(help="Also write this preview video (a folder for several inputs).", show_default=False),
    ] = None,
    start: Annotated[
        float | None, typer.Option(help="Seconds to start at.", min=0, rich_help_panel=_CLIP)
    ] = None,
    end: Annotated[
        float | None, typer.Option(help="Seconds to end at.", min=0, rich_help_panel=_CLIP)
    ] = None,
    input_fps: Annotated[
        float | None,
        typer.Option(help="Frame rate of inputs without time stamps.", min=0.01, rich_help_panel=_CLIP),
    ] = None,
    matte: Annotated[
        str,
        typer.Option(
            help="auto, alpha, background, grabcut, rembg, or a folder of mattes.", rich_help_panel=_CLIP
        ),
    ] = "auto",
    max_frames: Annotated[
        int | None, typer.Option(help="Use at most this many input frames.", min=1, rich_help_panel=_CLIP)
    ] = None,
    elevation: Annotated[
        float | None,
        typer.Option(
            help="Degrees the input camera is above the object.", min=-89, max=89, rich_help_panel=_CLIP
        ),
    ] = None,
    field_of_view: Annotated[
        float | None,
        typer.Option(help="Horizontal degrees of the input camera.", min=1, max=150, rich_help_panel=_CLIP),
    ] = None,
    keyframe_stride: Annotated[
        int, typer.Option(help="Every how many input frames is a keyframe.", min=1, rich_help_panel=_MODEL)
    ] = 2,
    steps: Annotated[
        int, typer.Option(help="View diffusion steps.", min=1, max=1000, rich_help_panel=_MODEL)
    ] = 8,
    vertices: Annotated[
        int, typer.Option(help="Vertices of the mesh.", min=100, max=1_000_000, rich_help_panel=_MODEL)
    ] = 10_000,
    texture_size: Annotated[
        int, typer.Option(help="Side of the texture, pixels.", min=64, max=8192, rich_help_panel=_MODEL)
    ] = 1024,
    mesh: Annotated[
        Path | None,
        typer.Option(
            help="Animate this .glb instead, keeping its topology, UVs and texture.",
            show_default=False,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.", min=0, rich_help_panel=_RUN)] = 0,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_RUN)
    ] = "auto",
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Folder of weights, or a hub id in the local cache.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="Release of the weights; the newest otherwise.", rich_help_panel=_RUN)
    ] = None,
    workdir: Annotated[
        Path | None,
        typer.Option(help="Keep the finished stages here, so that a rerun resumes.", rich_help_panel=_RUN),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Reuse finished stages, or start over.", rich_help_panel=_RUN),
    ] = True,
    shard: Annotated[
        str | None,
        typer.Option(help="i/n: take only every n-th input, from the i-th (1..n).", rich_help_panel=_RUN),
    ] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Turn a video of one moving object into an animated, textured mesh (GLB).

    Several inputs are done one after the other; one that fails is listed at the end and does not stop the
    rest; the exit code is then the highest of theirs.
    """
    from lim_cli.cli.preflight import parse_shard, plan_jobs
    from lim_cli.core.errors import InputError
    from lim_cli.models.releases import find_release

    # 1. What can be refused in the first second.
    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    jobs = plan_jobs(inputs, output, workdir=workdir, preview=preview)
    part, parts = parse_shard(shard)
    if mesh is not None and not mesh.is_file():
        raise InputError(f"There is no mesh {mesh}; --mesh takes a .glb file.")
    if len(jobs) == 1:
        _check(jobs[0], mesh)
    find_release(weights, release)

    # 2. The frozen configuration.
    from lim_cli.core.device import choose_device
    from lim_cli.stages.config import ReconstructConfig
    from lim_cli.stages.ingest import IngestConfig

    given = {"start": start, "end": end, "input_fps": input_fps, "max_frames": max_frames}
    config = ReconstructConfig(
        fps=fps,
        keyframe_stride=keyframe_stride,
        texture_size=texture_size,
        vertices=vertices,
        steps=steps,
        elevation=elevation,
        field_of_view=field_of_view,
        seed=seed,
        release=release,
        ingest=IngestConfig(matte=matte, **{k: v for k, v in given.items() if v is not None}),  # type: ignore[arg-type]
    )
    options: dict[str, Any] = {
        "device": str(choose_device(device)),
        "fresh": not resume,
        "weights": weights,
        "user_mesh": mesh,
    }

    # 3. One clip, whose error is the command's; or many.
    if len(jobs) == 1 and parts == 1:
        result = _run(jobs[0], config, options, sink)
        sink.result(result, [f"{key}: {value}" for key, value in result.items()])
        return
    code = run_many(jobs[part - 1 :: parts], config, options, sink)
    if code:
        raise typer.Exit(code)


def _check(job: Job, mesh: Path | None) -> None:
    from lim_cli.cli.preflight import check_job
    from lim_cli.core.errors import OutputError

    check_job(job)
    if mesh is not None and mesh.resolve() == job.output.resolve():
        raise OutputError(f"Output {job.output} would overwrite --mesh; choose another name.")


def _run(job: Job, config: Any, options: dict[str, Any], sink: Output) -> dict[str, Any]:
    from lim_cli.stages.chain import reconstruct as reconstruct_clip

    result = reconstruct_clip(
        job.input_path, job.output, config, workdir=job.workdir, preview=job.preview, progress=sink, **options
    )
    plain: dict[str, Any] = result.to_plain()
    return plain


def run_many(jobs: list[Job], config: Any, options: dict[str, Any], sink: Output) -> int:
    """Runs the jobs in order, prints what each became, and returns the highest exit code among them."""
    from lim_cli.cli.failure import report_error
    from lim_cli.core.errors import InterruptedRun, LimError

    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for job in jobs:
        try:
            _check(job, options["user_mesh"])
            done.append({"input": str(job.input_path), **_run(job, config, options, sink)})
        except (KeyboardInterrupt, InterruptedRun):
            raise
        except Exception as error:  # any failure of one clip, so that the others still run
            code = report_error(error)
            text = str(error) if isinstance(error, LimError) else f"{type(error).__name__}: {error}"
            failed.append({"input": str(job.input_path), "error": text, "exit_code": code})
    lines = [f"done    {entry['input']}" for entry in done]
    lines += [f"failed  {entry['input']}: {entry['error']}" for entry in failed]
    lines.append(f"{len(done)} of {len(jobs)} clips done")
    sink.result({"results": done, "failed": failed}, lines)
    return max((entry["exit_code"] for entry in failed), default=0)
