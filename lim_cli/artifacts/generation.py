"""What is known of views that were generated: the camera they were made for, and how well they agree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lim_cli.core.config import from_plain, to_plain
from lim_cli.core.errors import ConfigError, InputError

FILE_NAME = "generation.json"


@dataclass(frozen=True)
class InputCamera:
    """The camera of a single-camera clip, as the stages take it; it stands at azimuth 0.

    elevation: degrees above the object; spread: its standard deviation, None where it was not estimated. source: of
    the elevation: `given` by the user, `estimated` from the clip, or `assumed`. field_of_view: horizontal degrees.
    """

    elevation: float
    field_of_view: float
    source: Literal["given", "estimated", "assumed"]
    spread: float | None = None


@dataclass(frozen=True)
class Generation:
    """How the views of a clip came about.

    seeds: tried; the first is the run's. scores: the agreement of what each gave. chosen: index of the one kept.
    Of the kept views, by keyframe, 0 to 1: mask, colour: how they agree (see `geometry.view_agreement`), None where
    none can be said; certainty: how sure the generator was of its mattes (see `stages.views.matte_certainty`), None of
    one that decides for itself where it is in doubt.
    """

    camera: InputCamera
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    chosen: int
    mask: tuple[float, ...]
    colour: tuple[float | None, ...]
    certainty: tuple[float, ...] | None

    def __post_init__(self) -> None:
        keyframes = {len(told) for told in (self.mask, self.colour, self.certainty) if told is not None}
        if not 0 <= self.chosen < len(self.seeds) == len(self.scores) or len(keyframes) > 1 or not self.mask:
            raise ConfigError(f"Seeds, scores and agreements do not fit together: {self}.")

    @property
    def agreement(self) -> dict[str, float | None]:
        """Means over all keyframes."""
        known = [value for value in self.colour if value is not None]
        return {
            "mask": round(sum(self.mask) / len(self.mask), 4),
            "colour": round(sum(known) / len(known), 4) if known else None,
            "certainty": round(sum(self.certainty) / len(self.certainty), 4) if self.certainty else None,
        }

    def sentence(self) -> str:
        """For the log."""
        means = self.agreement
        colours = "" if means["colour"] is None else f", colours {means['colour']:.3f}"
        text = f"The views agree with one another: mattes {means['mask']:.3f}{colours}"
        text += "." if means["certainty"] is None else f"; the generator's certainty is {means['certainty']:.2f}."
        if len(self.seeds) > 1:
            scores = ", ".join(f"{score:.4f}" for score in self.scores)
            text += f" Of {len(self.seeds)} tries ({scores}) that of seed {self.seeds[self.chosen]} is kept."
        return text

    def save(self, folder: Path) -> None:
        text = json.dumps(to_plain(self), indent=1, sort_keys=True)
        (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Generation | None:
        """What is known of the views in a folder; None of posed ones.

        Raises:
            InputError: damaged.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            return None
        try:
            return from_plain(cls, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError, ConfigError) as error:
            raise InputError(f"{path} is damaged; run its stage again.") from error
