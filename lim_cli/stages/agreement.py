"""How well a tracked mesh agrees with what the input camera saw."""

from __future__ import annotations

import numpy as np

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.geometry.mesh import TrackedMesh
from lim_cli.stages.surface import silhouette_agreement


def silhouette_iou(
    track: TrackedMesh, views: ViewsArtifact, clip: ClipArtifact | None, *, still: bool = False
) -> float:
    """Mean IoU of the mesh's silhouette and the input mattes, over all input frames (posed: all input views).

    still: holds the first frame's mesh instead, which shows what tracking is worth.
    """
    ious = []
    if clip is not None:
        cameras = views.cameras_at(0).resized((clip.rgba.shape[1], clip.rgba.shape[2]))
        pictures = [(t, clip.rgba[n], cameras, 0) for n, t in enumerate(clip.times)]
    else:
        pictures = [
            (t, views.rgba[k, v], views.cameras_at(k), v)
            for k, t in enumerate(views.keyframe_times)
            for v in range(views.rgba.shape[1])
        ]
    for time, rgba, cameras, view in pictures:
        index = 0 if still else int(np.argmin(np.abs(track.times - time)))
        mesh = track.at(index)
        matte = rgba[None, ..., 3] > 127
        ious.append(silhouette_agreement(mesh, cameras[view : view + 1], matte))
    return float(np.mean(ious))
