"""Which inputs a call means, and where the results of each go."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lim_cli.core.errors import ConfigError, InputError, OutputError

STDIN = Path("-")


@dataclass(frozen=True)
class Job:
    """One input (`STDIN` for standard input) and where its results go."""

    input_path: Path
    output: Path
    workdir: Path | None = None
    preview: Path | None = None
    sheet: Path | None = None


@dataclass(frozen=True)
class Plan:
    """All jobs of a call. folder: of their results where it is a batch; None for a single clip.

    shard: (i, n), i from 1.
    """

    jobs: tuple[Job, ...]
    folder: Path | None
    shard: tuple[int, int] = (1, 1)

    @property
    def mine(self) -> tuple[Job, ...]:
        """The jobs of this shard: every n-th from the i-th on."""
        part, parts = self.shard
        return self.jobs[part - 1 :: parts]

    @property
    def summary(self) -> Path:
        """The summary of a batch; each shard writes its own."""
        if self.folder is None:
            raise ValueError("a single clip has no summary")
        part, parts = self.shard
        return self.folder / ("batch.json" if parts == 1 else f"batch-{part}-of-{parts}.json")


def plan_jobs(
    inputs: Sequence[str],
    output: Path,
    *,
    workdir: Path | None = None,
    preview: Path | None = None,
    sheet: Path | None = None,
    shard: str | None = None,
) -> Plan:
    """One job per input. Several inputs, a pattern or a shard make a batch, and then all paths are folders.

    Raises:
        ConfigError: the shard is not i/n. InputError: a pattern matches nothing.
        OutputError: the output is neither a .glb file nor, for a batch, a folder.
    """
    paths = expand(inputs)
    patterned = any(_is_pattern(text) for text in inputs)
    if len(paths) == 1 and shard is None and output.suffix and not output.is_dir():
        check_suffix(output)
        return Plan((Job(paths[0], output, workdir, preview, sheet),), None)
    if output.suffix and not output.is_dir():
        raise OutputError(f"With several inputs -o must be a folder, got {output}.")
    jobs = tuple(
        Job(
            path,
            output / f"{name}.glb",
            workdir / name if workdir is not None else None,
            preview / f"{name}.mp4" if preview is not None else None,
            sheet / f"{name}.png" if sheet is not None else None,
        )
        for path, name in zip(paths, names_of(paths), strict=True)
    )
    if len(paths) == 1 and shard is None and not patterned:
        return Plan((Job(paths[0], jobs[0].output, workdir, preview, sheet),), None)
    return Plan(jobs, output, parse_shard(shard))


def parse_shard(text: str | None) -> tuple[int, int]:
    """ "i/n", i from 1 -> (i, n); None is the whole.

    Raises:
        ConfigError: anything else.
    """
    if text is None:
        return 1, 1
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise ConfigError(f"--shard must be i/n with 1 <= i <= n, got {text!r}.")
    return int(first), int(second)


def expand(inputs: Sequence[str]) -> list[Path]:
    """Paths with patterns (`*`, `?`, `[..]`, `**`) replaced by what they match, in natural order; each path once.

    Raises:
        InputError: a pattern matches nothing.
    """
    paths: dict[Path, Path] = {}
    for text in inputs:
        for path in _matches(text) if _is_pattern(text) else [Path(text)]:
            paths.setdefault(path if path == STDIN else path.resolve(), path)
    return list(paths.values())


def names_of(paths: Sequence[Path]) -> list[str]:
    """A result's name for each path: its stem, with its folder and then its suffix where others have the same.

    No two are alike, also where upper and lower case do not differ.
    """
    chosen: list[str | None] = [None] * len(paths)
    taken: set[str] = set()
    for spelling in range(3):
        open_ones = [n for n, name in enumerate(chosen) if name is None]
        tried = [list(_spellings(paths[n]))[spelling] for n in open_ones]
        folded = [name.casefold() for name in tried]
        for n, name, fold in zip(open_ones, tried, folded, strict=True):
            if folded.count(fold) == 1 and fold not in taken:
                chosen[n] = name
        taken |= {name.casefold() for name in chosen if name is not None}
    for n, path in enumerate(paths):
        number = 2
        while chosen[n] is None:
            name = f"{path.resolve().stem}_{number}"
            if name.casefold() not in taken:
                chosen[n] = name
                taken.add(name.casefold())
            number += 1
    return [name for name in chosen if name is not None]


def check_suffix(path: Path) -> None:
    """Raises OutputError if `path` is not called .glb."""
    if path.suffix.lower() != ".glb":
        raise OutputError(f"Output {path} must end in .glb.")


def _spellings(path: Path) -> Iterator[str]:
    whole = path.resolve()
    stem = "stdin" if path == STDIN else whole.name if whole.is_dir() else whole.stem
    yield stem
    yield f"{whole.parent.name}_{stem}"
    yield f"{whole.parent.name}_{stem}_{whole.suffix[1:]}"


def _is_pattern(text: str) -> bool:
    return glob.has_magic(text) and not Path(text).exists()


def _matches(pattern: str) -> list[Path]:
    from lim_cli.video.pictures import natural_key

    found = [Path(name) for name in glob.glob(pattern, recursive=True)]
    if not found:
        raise InputError(f"Nothing matches {pattern}; check the pattern.")
    return sorted(found, key=lambda path: [natural_key(Path(part)) for part in path.parts])
