"""How well a tracked mesh agrees with what the input camera saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lim_cli.artifacts.store import ClipArtifact, ViewsArtifact
from lim_cli.core.camera import Cameras
from lim_cli.export.preview import iterate_preview
from lim_cli.geometry.mesh import TexturedTrack, TrackedMesh
from lim_cli.geometry.rasterize import rasterize
from lim_cli.geometry.sight_lines import mean_colours, recognised, seen_colours
from lim_cli.stages.evidence import Evidence
from lim_cli.stages.surface import silhouette_agreement

MOST_PICTURES = 48


@dataclass(frozen=True)
class _InputPicture:
    """time: seconds; rgba: [h, w, 4] uint8; camera: [1] of that size."""

    time: float
    rgba: np.ndarray
    camera: Cameras


def silhouette_iou(
    track: TrackedMesh, views: ViewsArtifact, clip: ClipArtifact | None, *, still: bool = False
) -> float:
    """Mean IoU of the mesh's silhouette and the input mattes, over all input frames (posed: all input views).

    still: holds the first frame's mesh instead, which shows what tracking is worth.
    """
    ious = []
    for picture in _input_pictures(views, clip):
        mesh = track.at(0) if still else track.at_times(np.array([picture.time])).at(0)
        ious.append(silhouette_agreement(mesh, picture.camera, picture.rgba[None, ..., 3] > 127))
    return float(np.mean(ious))


def input_drift(track: TrackedMesh, views: ViewsArtifact, clip: ClipArtifact | None) -> float | None:
    """How far surface points have slid off the input's pixels at its last picture, in parts of the object's size.

    The mesh is given the colours of the first picture; where they are found again in the last one, the median distance
    of the vertices from there is the drift. None where no colour is found again.
    """
    evidence = Evidence(views, clip)
    first, last = float(evidence.times[0]), float(evidence.times[-1])
    start, end = (track.at_times(np.array([time])).vertices[0] for time in (first, last))
    colours = mean_colours(seen_colours(start, track.faces, evidence.pictures(first)))
    pictures = evidence.pictures(last)
    lines = recognised(end, track.faces, colours, pictures)
    if not (lines.weight > 0.1).any():
        return None
    size = float(np.ptp(end, axis=0).max())
    return float(np.median(lines.distance(end)[lines.weight > 0.1])) / max(size, 1e-12)


@dataclass(frozen=True)
class Likeness:
    """How like the input's own pictures the textured mesh is, over the opaque pixels of their mattes.

    psnr_fg: dB over all of them; where the mesh is missing, black stands for it, so that a lost limb costs as much as
    a wrongly coloured one. psnr_covered: dB over those that the mesh covers: the colours' own error. missed: share of
    the pixels that the mesh does not cover. Squared errors of all pictures are averaged; NaN where there is no pixel.
    """

    psnr_fg: float
    psnr_covered: float
    missed: float


def input_likeness(textured: TexturedTrack, views: ViewsArtifact, clip: ClipArtifact | None) -> Likeness:
    """Compares a textured mesh with at most MOST_PICTURES of the input's pictures."""
    pictures = list(_input_pictures(views, clip))
    chosen = sorted(set(np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_PICTURES)).round().astype(int)))
    errors, pixels = np.zeros(2), np.zeros(2)  # where the mesh is missing, and where it is
    for picture in (pictures[n] for n in chosen):
        track = textured.track.at_times(np.array([picture.time]))
        size = (picture.rgba.shape[0], picture.rgba.shape[1])
        shown = replace(textured, track=track)
        shot = next(iterate_preview(shown, picture.camera, size, (0, 0, 0), frames=[0], supersample=1))
        pose, intrinsics = picture.camera.world_from_camera[0].numpy(), picture.camera.intrinsics[0].numpy()
        covered = rasterize(track.vertices[0], track.faces, pose, intrinsics, size).mask
        inside = picture.rgba[..., 3] >= 250
        squared = np.square((shot.astype(np.float64) - picture.rgba[..., :3]) / 255).mean(axis=2)
        for part, mask in enumerate((inside & ~covered, inside & covered)):
            errors[part] += squared[mask].sum()
            pixels[part] += np.count_nonzero(mask)
    return Likeness(
        _decibels(errors.sum(), pixels.sum()),
        _decibels(errors[1], pixels[1]),
        float(pixels[0] / pixels.sum()) if pixels.sum() else float("nan"),
    )


def _decibels(error: float, count: float) -> float:
    return float(-10 * np.log10(max(error / count, 1e-10))) if count else float("nan")


def _input_pictures(views: ViewsArtifact, clip: ClipArtifact | None) -> Iterator[_InputPicture]:
    """All input frames; of a posed scene all input views."""
    if clip is not None:
        cameras = views.cameras_at(0).resized((clip.rgba.shape[1], clip.rgba.shape[2]))
        for time, rgba in zip(clip.times, clip.rgba, strict=True):
            yield _InputPicture(float(time), rgba, cameras[:1])
        return
    for k, time in enumerate(views.keyframe_times):
        for view in range(views.rgba.shape[1]):
            yield _InputPicture(float(time), views.rgba[k, view], views.cameras_at(k)[view : view + 1])
