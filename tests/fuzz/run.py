"""Gives every reader damaged files, thousands of them.

    python -m tests.fuzz.run --count 10000
    python -m tests.fuzz.run --only rigged_glb --number 1234 --keep FOLDER    (one case again; its files stay)

Every case must be read or refused with exit code 2 or 3, within 10 s of computing and 2 GB. Exits with 1 if one is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from tests.fuzz.harness import Failure, materialise, run_cases
from tests.fuzz.subjects import all_subjects


def main(
    count: Annotated[int, typer.Option(help="How many cases.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Number of the first case.")] = 0,
    only: Annotated[str | None, typer.Option(help="Only subjects whose name contains this.")] = None,
    number: Annotated[int | None, typer.Option(help="Only this case.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Where to leave that case's files.")] = None,
) -> None:
    torch.set_num_threads(1)
    subjects = [s for s in all_subjects() if only is None or only in s.name]
    if number is not None:
        for subject in subjects if keep is not None else ():
            print(f"damaged: {keep / subject.name / materialise(subject, number, keep / subject.name)}")
        seed, count = number, 1

    def announce(failure: Failure) -> None:
        print(f"FAILED --only {failure.subject} --number {failure.number}: {failure.what}", flush=True)

    report = run_cases(subjects, range(seed, seed + count), announce=announce)
    print("| subject | read | refused |\n|---|---:|---:|")
    for subject in subjects:
        print(
            f"| {subject.name} | {report.outcomes[subject.name, 'read']} | {report.outcomes[subject.name, 'refused']} |"
        )
    print(
        f"{report.cases} cases in {report.seconds:.0f} s, {len(report.failures)} failed; "
        f"slowest {report.slowest:.1f} s, peak {report.peak_bytes / 1e9:.2f} GB"
    )
    raise typer.Exit(int(bool(report.failures)))


if __name__ == "__main__":
    typer.run(main)
