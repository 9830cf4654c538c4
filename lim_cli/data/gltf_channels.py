"""The animations of a glTF file, channels of equal key times gathered into groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lim_cli.core.errors import InputError
from lim_cli.data.gltf_animation import Animation, ChannelGroup, Interpolation, Path
from lim_cli.data.gltf_file import GltfFile


@dataclass(frozen=True)
class _Channel:
    """times [key]; values [key, part, width], see ChannelGroup."""

    path: Path
    interpolation: Interpolation
    times: np.ndarray
    node: int
    values: np.ndarray


def read_animations(file: GltfFile, place: dict[int, int]) -> tuple[Animation, ...]:
    """Every animation that moves a node; `place` maps the file's node numbers to the rig's."""
    result: list[Animation] = []
    seen: set[str] = set()
    for number, animation in enumerate(file.gltf.animations or []):
        channels = list(_channels(file, animation, place))
        if not channels:
            continue
        name = animation.name or f"animation_{number}"
        name = name if name not in seen else f"{name}_{number}"
        seen.add(name)
        start, end = min(float(c.times[0]) for c in channels), max(float(c.times[-1]) for c in channels)
        result.append(Animation(name, start, end, _grouped(channels)))
    return tuple(result)


def _channels(file: GltfFile, animation: Any, place: dict[int, int]) -> Iterator[_Channel]:
    for channel in animation.channels:
        node, path = channel.target.node, channel.target.path
        if node is None or path not in ("translation", "rotation", "scale", "weights"):
            continue
        sampler = animation.samplers[channel.sampler]
        times = file.accessor(sampler.input)[:, 0].astype(np.float32)
        if not len(times):
            continue
        parts = 3 if sampler.interpolation == "CUBICSPLINE" else 1
        if not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise InputError(f"{file.path} has an animation whose key times do not increase; export it again.")
        values = file.accessor(sampler.output).astype(np.float32).reshape(len(times), parts, -1)
        if path != "weights" and values.shape[-1] != (4 if path == "rotation" else 3):
            raise InputError(f"{file.path} has an animation with too many or too few values; export it again.")
        yield _Channel(path, sampler.interpolation or "LINEAR", times, place[node], values)


def _grouped(channels: list[_Channel]) -> tuple[ChannelGroup, ...]:
    """One look-up then serves a whole group."""
    groups: dict[tuple[Path, Interpolation, int, bytes], list[_Channel]] = {}
    for c in channels:
        if c.interpolation != "CUBICSPLINE" and (c.values == c.values[:1]).all():
            # A channel at rest needs two keys only, and all such channels share one group.
            c = _Channel(c.path, "STEP", c.times[[0, -1]], c.node, c.values[[0, -1]])
        groups.setdefault((c.path, c.interpolation, c.values.shape[-1], c.times.tobytes()), []).append(c)
    return tuple(
        ChannelGroup(
            path=path,
            interpolation=interpolation,
            times=members[0].times,
            nodes=np.array([c.node for c in members], np.int32),
            values=np.stack([c.values for c in members], 2),
        )
        for (path, interpolation, _, _), members in groups.items()
    )
