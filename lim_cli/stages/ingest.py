"""Stage 00: from a clip to square frames with a matte."""

from __future__ import annotations

from pathlib import Path

from lim_cli.artifacts.store import ClipArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.stages.config import IngestConfig
from lim_cli.video.cropping import square_crop
from lim_cli.video.matting import matte
from lim_cli.video.reading import read_clip

STAGE_VERSION = 2


def run(input_path: Path | str, config: IngestConfig, *, progress: Progress | None = None) -> ClipArtifact:
    """Reads, mattes and crops a clip.

    Raises:
        InputError: the clip cannot be used; the text says why.
        MissingError: the matting asked for is not installed.
    """
    progress = progress or SilentProgress()
    # 1. Frames [time, height, width, 4] and their real times.
    clip = read_clip(
        input_path,
        start=config.start,
        end=config.end,
        max_frames=config.max_frames,
        max_side=config.max_side,
        input_fps=config.input_fps,
        counted=Path(config.matte).is_dir(),  # masks are told apart by frame numbers
        progress=progress,
    )
    # 2. Alpha becomes the object's opacity.
    clip = matte(clip, config.matte, progress=progress)
    # 3. One square for the whole clip: [time, size, size, 4].
    clip, crop = square_crop(clip, margin=config.margin, size=config.size)
    return ClipArtifact(rgba=clip.rgba, times=clip.times, crop=crop)
