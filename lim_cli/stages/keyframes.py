"""Stage 20: LRM on every keyframe (sec. 3.1)."""

from __future__ import annotations

from lim_cli.artifacts.keyframes import keyframe_name, save_keyframe, save_keyframe_times
from lim_cli.artifacts.pieces import Pieces
from lim_cli.artifacts.store import ViewsArtifact
from lim_cli.core.progress import Progress, SilentProgress
from lim_cli.stages.failures import require_finite
from lim_cli.stages.networks import Networks

STAGE_VERSION = 1


def run(views: ViewsArtifact, networks: Networks, pieces: Pieces, *, progress: Progress | None = None) -> None:
    """Writes a KeyframesArtifact into the folder of `pieces`: triplane, block features F_k and image tokens each.

    Keyframes that are finished there are not made again.

    Raises:
        NumericalError: LRM returned NaN, or numbers that half precision cannot hold.
    """
    progress = progress or SilentProgress()
    count = len(views.keyframe_times)
    with progress.task("Reconstructing keyframes", count) as task:
        for k in range(count):
            name = keyframe_name(k)
            if not pieces.is_finished(name):
                output = networks.encode(views.rgba[k], views.cameras_at(k))
                for tensor in (output.triplane, output.image_tokens, *output.features):
                    require_finite(f"LRM's output at keyframe {k}", tensor.half())
                save_keyframe(pieces.folder, k, output)
                pieces.finish(name)
            task.advance()
    save_keyframe_times(pieces.folder, views.keyframe_times)
