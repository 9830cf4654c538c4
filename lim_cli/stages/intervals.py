"""Which keyframe interval a time lies in, and LIM over one interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lim_cli.artifacts.keyframes import KeyframesArtifact
from lim_cli.models.lim import LIM, InterpolationGuide, InterpolationState, Neighbour, state_of
from lim_cli.models.lrm import LRMOutput
from lim_cli.models.matching_lim import MatchingLIM
from lim_cli.stages.failures import require_finite
from lim_cli.stages.networks import Networks


@dataclass(frozen=True)
class Place:
    """time = keyframe `interval` + alpha of the way to the next."""

    interval: int
    alpha: float


def place(time: float, keyframe_times: np.ndarray) -> Place:
    """Where `time` (seconds) lies among the keyframes; times outside stay at the first or last keyframe."""
    if len(keyframe_times) == 1:
        return Place(0, 0.0)
    interval = int(np.clip(np.searchsorted(keyframe_times, time, side="right") - 1, 0, len(keyframe_times) - 2))
    start, end = keyframe_times[interval], keyframe_times[interval + 1]
    return Place(interval, float(np.clip((time - start) / (end - start), 0.0, 1.0)))


def output_times(keyframe_times: np.ndarray, fps: float) -> np.ndarray:
    """n / fps seconds from the first keyframe to the last, both ends included where they fall on the grid."""
    duration = float(keyframe_times[-1] - keyframe_times[0])
    return keyframe_times[0] + np.arange(int(np.floor(duration * fps + 1e-6)) + 1) / fps


class Interval:
    """LIM and CanonicalLIM between two keyframes' LRM outputs (batch of one)."""

    def __init__(
        self,
        networks: Networks,
        source: LRMOutput,
        target: LRMOutput,
        *,
        before: Neighbour | None = None,
        after: Neighbour | None = None,
        memory: dict[nn.Module, Any] | None = None,
    ) -> None:
        """before, after, memory: see `InterpolationGuide`."""
        self.networks = networks
        self.source, self.target = source, target
        self._guide = InterpolationGuide(
            target.image_tokens, state_of(source), state_of(target), before, after, {} if memory is None else memory
        )
        self._canonical_guide = InterpolationGuide(
            torch.cat([source.image_tokens, target.image_tokens], 1), state_of(source), state_of(target)
        )

    @torch.no_grad()
    def triplane(self, alpha: float) -> Tensor:
        """LIM's triplane [3, channel, h, w]; the keyframes' own at the ends (eq. 1)."""
        if alpha <= 0.0 or alpha >= 1.0:
            return (self.source if alpha <= 0.0 else self.target).triplane[0]
        state = self.networks.lim(state_of(self.source), self._guide, self._alpha(alpha))
        return state.triplane[0]  # type: ignore[no-any-return]

    @torch.no_grad()
    def canonical_triplane(self, state: InterpolationState, alpha: float) -> Tensor:
        """CanonicalLIM's triplane [3, channel, h, w] from CanonicalLRM's state at the source (eq. 5)."""
        if alpha <= 0.0:
            return state.triplane[0]
        found = self.networks.canonical_lim(state, self._canonical_guide, self._alpha(alpha))
        return found.triplane[0]  # type: ignore[no-any-return]

    @torch.no_grad()
    def origins(self, points: np.ndarray, alpha: float, *, by: LIM | MatchingLIM | None = None) -> np.ndarray:
        """Where points [n, 3] of the object at alpha were at the source; `by` CanonicalLIM, if no other LIM is given.

        Raises:
            ConfigError: that model has the residual head. NumericalError: an origin is NaN or infinite.
        """
        lim = by or self.networks.canonical_lim
        places = torch.from_numpy(np.ascontiguousarray(points, np.float32)).to(self.source.triplane.device)
        found = lim.origins(state_of(self.source), self._guide, self._alpha(alpha), places[None])[0]
        origins = np.asarray(found.cpu().numpy())
        require_finite("An origin that CanonicalLIM names", origins)
        return origins

    def _alpha(self, alpha: float) -> Tensor:
        return torch.tensor([alpha], device=self.source.triplane.device)


class Intervals:
    """Intervals of a clip's keyframes, each with its neighbours beyond; four keyframes are in memory at once, and what

    LIM finds between two keyframes is found once for the intervals that follow each other.
    """

    def __init__(self, networks: Networks, keyframes: KeyframesArtifact) -> None:
        self._networks, self._keyframes = networks, keyframes
        self._memory: dict[nn.Module, Any] = {}
        self._outputs: dict[int, LRMOutput] = {}

    def between(self, source: int, target: int) -> Interval:
        """From one keyframe to another, earlier or later; a clip of one keyframe stands still."""
        last = len(self._keyframes) - 1
        step = target - source
        numbers = {k: min(max(k, 0), last) for k in (source - step, source, target, target + step)}
        self._outputs = {k: self._outputs.get(k) or self._output(k) for k in sorted(set(numbers.values()))}
        return Interval(
            self._networks,
            self._outputs[source],
            self._outputs[target],
            before=self._neighbour(numbers[source - step], source, target),
            after=self._neighbour(numbers[target + step], target, source),
            memory=self._memory,
        )

    def _neighbour(self, keyframe: int, end: int, other: int) -> Neighbour | None:
        if keyframe == end:
            return None
        times = self._keyframes.times
        distance = abs(times[keyframe] - times[end]) / abs(times[other] - times[end])
        return Neighbour(self._outputs[keyframe].triplane, float(distance))

    def _output(self, keyframe: int) -> LRMOutput:
        return self._keyframes.output(keyframe, self._networks.device)
