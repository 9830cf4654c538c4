"""Many clips in one call: each reported as it finishes, all of them in a summary file."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import lim_cli
from lim_cli.cli.jobs import Job, Plan
from lim_cli.cli.one_clip import Outcome, attempt
from lim_cli.cli.output import Output
from lim_cli.cli.settings import Settings
from lim_cli.core.files import atomic_path

WRITE_EVERY = 2.0
"""Seconds between two writes of the summary while clips finish."""


def run_here(jobs: Sequence[Job], settings: Settings, *, fresh: bool, sink: Output) -> Iterator[Outcome]:
    """One clip after the other in this process, which keeps the models."""
    for job in jobs:
        yield attempt(job, settings, fresh=fresh, progress=sink)


def run_batch(plan: Plan, outcomes: Iterator[Outcome], sink: Output) -> int:
    """Prints every outcome as it comes, writes the summary, and returns the highest exit code."""
    summary = Summary(plan)
    try:
        for outcome in outcomes:
            summary.add(outcome)
            if outcome.error is not None:
                sink.error(f"lim: {outcome.input}: {outcome.error}")
            sink.line(asdict(outcome), f"{outcome.status:8}{outcome.input} ({outcome.seconds:.1f} s)")
    finally:
        summary.write()
    if not sink.as_json:
        sink.line({}, summary.sentence())
    return max((outcome.exit_code for outcome in summary.outcomes), default=0)


class Summary:
    """`batch.json`: every input of this shard in order, also those that still wait."""

    def __init__(self, plan: Plan) -> None:
        self.path: Path = plan.summary
        self._by_output = {str(j.output): Outcome(str(j.input_path), "waiting", str(j.output)) for j in plan.mine}
        self._began = time.monotonic()
        self._written = -WRITE_EVERY

    @property
    def outcomes(self) -> list[Outcome]:
        return list(self._by_output.values())

    def add(self, outcome: Outcome) -> None:
        self._by_output[outcome.output] = outcome
        if time.monotonic() - self._written > WRITE_EVERY:
            self.write()

    def write(self) -> None:
        """Raises OutputError if the summary cannot be written."""
        plain = {
            "lim": lim_cli.__version__,
            **self._counts(),
            "seconds": round(time.monotonic() - self._began, 2),
            "clips": [{k: v for k, v in asdict(outcome).items() if k != "result"} for outcome in self.outcomes],
        }
        with atomic_path(self.path) as partial:
            partial.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        self._written = time.monotonic()

    def sentence(self) -> str:
        counts = self._counts()
        said = ", ".join(f"{counts[status]} {status}" for status in counts if counts[status])
        return f"{len(self.outcomes)} clips: {said or 'nothing to do'}; see {self.path}"

    def _counts(self) -> dict[str, int]:
        found = Counter(outcome.status for outcome in self.outcomes)
        return {status: found[status] for status in ("done", "skipped", "failed", "waiting")}
