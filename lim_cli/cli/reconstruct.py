"""`lim reconstruct`: one or several clips to animated meshes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lim_cli.cli import options
from lim_cli.cli.output import JsonOption, Output, QuietOption, VerboseOption

if TYPE_CHECKING:
    from lim_cli.cli.preflight import Job

app = options.new_app()

MODELS = ("lrm", "lim", "canonical_lrm", "canonical_lim")


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
        typer.Option("--output", "-o", help="The .glb to write; a folder for several inputs.", show_default=False),
    ],
    fps: options.FpsOption = 30.0,
    preview: Annotated[
        Path | None,
        typer.Option(help="Also write this preview video (a folder for several inputs).", show_default=False),
    ] = None,
    start: options.StartOption = None,
    end: options.EndOption = None,
    input_fps: options.InputFpsOption = None,
    matte: options.MatteOption = "auto",
    max_frames: options.MaxFramesOption = None,
    elevation: options.ElevationOption = 10.0,
    field_of_view: options.FieldOfViewOption = 40.0,
    keyframe_stride: options.KeyframeStrideOption = None,
    steps: options.StepsOption = 1,
    views_model: options.ViewsModelOption = None,
    vertices: options.VerticesOption = 6_000,
    texture_size: options.TextureSizeOption = 1024,
    quantize: options.QuantizeOption = False,
    sparse: options.SparseOption = False,
    anim: options.AnimOption = "morph",
    bones: options.BonesOption = 32,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = "auto",
    weights: options.WeightsOption = None,
    release: options.ReleaseOption = None,
    workdir: Annotated[
        Path | None,
        typer.Option(help="Keep the finished stages here, so that a rerun resumes.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Reuse finished stages, or start over.")] = True,
    shard: Annotated[
        str | None, typer.Option(help="i/n: take only every n-th input, from the i-th (1..n).", show_default=False)
    ] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Turn a video of one moving object into an animated, textured mesh (GLB).

    Several inputs are done one after the other; one that fails is listed at the end and does not stop the rest; the
    exit code is then the highest of theirs.

    Example: lim reconstruct clip.mp4 -o out.glb --fps 30 --preview out.mp4
    """
    from lim_cli.cli.preflight import check_job, is_posed, parse_shard, plan_jobs
    from lim_cli.models.releases import find_release

    # 1. What can be refused in the first second.
    sink = Output(as_json=json_, quiet=quiet, verbose=verbose)
    jobs = plan_jobs(inputs, output, workdir=workdir, preview=preview)
    part, parts = parse_shard(shard)
    if len(jobs) == 1:
        check_job(jobs[0])
    generates = views_model is None and not all(is_posed(job.input_path) for job in jobs)
    find_release(weights, release, needs=(*MODELS, "views") if generates else MODELS)

    # 2. The frozen configuration.
    from lim_cli.core.device import choose_device
    from lim_cli.stages.config import ReconstructConfig
    from lim_cli.stages.ingest import IngestConfig

    config = ReconstructConfig(
        fps=fps,
        keyframe_stride=keyframe_stride,
        texture_size=texture_size,
        vertices=vertices,
        steps=steps,
        elevation=elevation,
        field_of_view=field_of_view,
        seed=seed,
        views_model=views_model,
        release=release,
        quantize=quantize,
        sparse=sparse,
        anim=anim,
        bones=bones,
        ingest=IngestConfig(
            matte=matte, **options.given(start=start, end=end, input_fps=input_fps, max_frames=max_frames)
        ),
    )
    settings: dict[str, Any] = {"device": str(choose_device(device)), "fresh": not resume, "weights": weights}

    # 3. One clip, whose error is the command's; or many.
    if len(jobs) == 1 and parts == 1:
        result = _run(jobs[0], config, settings, sink)
        sink.result(result, [f"{key}: {value}" for key, value in result.items()])
        return
    code = run_many(jobs[part - 1 :: parts], config, settings, sink)
    if code:
        raise typer.Exit(code)


def _run(job: Job, config: Any, settings: dict[str, Any], sink: Output) -> dict[str, Any]:
    from lim_cli.stages.chain import reconstruct as reconstruct_clip

    result = reconstruct_clip(
        job.input_path, job.output, config, workdir=job.workdir, preview=job.preview, progress=sink, **settings
    )
    plain: dict[str, Any] = result.to_plain()
    return plain


def run_many(jobs: list[Job], config: Any, settings: dict[str, Any], sink: Output) -> int:
    """Runs the jobs in order, prints what each became, and returns the highest exit code among them."""
    from lim_cli.cli.failure import report_error
    from lim_cli.cli.preflight import check_job
    from lim_cli.core.errors import InterruptedRun, LimError

    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for job in jobs:
        try:
            check_job(job)
            done.append({"input": str(job.input_path), **_run(job, config, settings, sink)})
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
