"""Reconstructs every clip and every posed scene of a data folder with the command line and holds the results to bars.

    python tests/acceptance/run.py DATA_DIR -o report/ [--only NAME ...] [--viewers] [--sheets]

DATA_DIR/clips holds videos and image folders (named by manifest.json if there is one), DATA_DIR/multiview scene
folders. `lim` is the installed one; from a checkout put PYTHONPATH=. in front. Every clip is done afresh. Writes
NAME.glb, NAME.mp4, runs/NAME, logs/NAME and result.json to the report folder, prints a table, and exits with 1 if a
bar fails. --viewers needs what tests/viewers/check_glb.py names; --sheets adds NAME.png, a contact sheet.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from child import run_lim

HERE = Path(__file__).resolve().parent
MOST_SECONDS = 240.0
MOST_BYTES = 6_000_000_000
LEAST_IOU = {"clip": 0.70, "scene": 0.80}
MOST_DISAGREEMENT = 1e-4
VIEWER_SHARES = (0.0, 0.37, 1.0)
"""Where in the animation the viewers are compared, in parts of its length."""


@dataclass(frozen=True)
class Case:
    """kind: `clip` (one camera) or `scene` (posed views)."""

    name: str
    kind: str
    path: Path


@dataclass(frozen=True)
class ViewerReport:
    """Issues of the Khronos validator; largest distance of a viewer's vertices from ours, in parts of the size.

    None where the viewer gave no answer; `problems` says why.
    """

    errors: int | None = None
    warnings: int | None = None
    three: float | None = None
    blender: float | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What one reconstruction cost and made. result: what `lim reconstruct --json` printed, empty if it failed."""

    case: Case
    exit_code: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    result: dict[str, Any]
    said: str
    viewers: ViewerReport | None = None

    @property
    def failures(self) -> list[str]:
        """One text for each bar that is not met."""
        return list(missed_bars(self))


def main(
    data_dir: Annotated[Path, typer.Argument(help="Folder with clips/ and multiview/.", exists=True, file_okay=False)],
    report: Annotated[Path, typer.Option("--output", "-o", help="Report folder.")],
    only: Annotated[list[str] | None, typer.Option(help="Only these names; may be given several times.")] = None,
    viewers: Annotated[bool, typer.Option("--viewers", help="Also open every GLB in other people's viewers.")] = False,
    sheets: Annotated[bool, typer.Option("--sheets", help="Also draw a contact sheet of each.")] = False,
) -> None:
    cases = list(find_cases(data_dir))
    if unknown := sorted(set(only or ()) - {name for case in cases for name in (case.name, case.path.name)}):
        raise typer.BadParameter(f"no clip or scene is called {', '.join(unknown)}")
    outcomes = []
    for case in cases:
        if only and not {case.name, case.path.name} & set(only):
            continue
        outcomes.append(try_case(case, report, viewers=viewers))
        print(f"{case.name}: {'; '.join(outcomes[-1].failures) or 'meets the bars'}", file=sys.stderr)
        if sheets and outcomes[-1].exit_code == 0:
            draw_sheet(report, case.name)
        write_report(report / "result.json", outcomes)  # after each, so that a stopped run leaves what it has
    print(table(outcomes))
    failures = [f"{outcome.case.name}: {text}" for outcome in outcomes for text in outcome.failures]
    print("\n" + ("\n".join(["Bars missed:", *failures]) if failures else "All bars are met."))
    raise typer.Exit(int(bool(failures) or not outcomes))


def find_cases(data_dir: Path) -> Iterator[Case]:
    """Clips as manifest.json lists them, or else all in the folder; then scenes."""
    clips, scenes = data_dir / "clips", data_dir / "multiview"
    manifest = clips / "manifest.json"
    if manifest.is_file():
        for entry in json.loads(manifest.read_text(encoding="utf-8")):
            yield Case(entry["name"], "clip", data_dir / entry["file"])
    elif clips.is_dir():
        for path in sorted(clips.iterdir()):
            yield Case(path.stem, "clip", path)
    for transforms in sorted(scenes.glob("*/transforms.json")):
        yield Case(transforms.parent.name, "scene", transforms.parent)


def try_case(case: Case, report: Path, *, viewers: bool) -> Outcome:
    """Reconstructs one clip and measures it."""
    output = report / f"{case.name}.glb"
    arguments: list[str | Path] = ["reconstruct", case.path, "-o", output, "--workdir", report / "runs" / case.name]
    arguments += ["--preview", report / f"{case.name}.mp4", "--fps", "30", "--json"]
    arguments.append("--fresh")  # or the seconds would say nothing
    run = run_lim(arguments, report / "logs" / case.name)
    result = json.loads(run.stdout) if run.exit_code == 0 else {}
    said = (run.stderr.strip().splitlines() or [""])[-1]
    shown = look_at(output) if viewers and run.exit_code == 0 else None
    return Outcome(case, run.exit_code, run.wall_seconds, run.cpu_seconds, run.peak_bytes, result, said, viewers=shown)


def look_at(glb: Path) -> ViewerReport:
    """The validator's and the viewers' opinion of a file, by tests/viewers/check_glb.py."""
    sys.path.append(str(HERE.parent / "viewers"))
    import check_glb  # late: it loads lim_cli, which a run without viewers can do without

    errors = warnings = None
    largest: dict[str, float] = {}
    problems: list[str] = []
    for viewer in check_glb.VIEWERS:
        if not check_glb.is_available(viewer):
            problems.append(f"{viewer} is not installed")
            continue
        try:
            if viewer == "validator":
                found = check_glb.validate(glb)
                errors, warnings = found["errors"], found["warnings"]
            else:
                distance = check_glb.compare(viewer, glb, shares=VIEWER_SHARES)["largest_error"]
                if math.isfinite(distance):
                    largest[viewer] = distance
                else:
                    problems.append(f"{viewer} has other vertices than we")
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            problems.append(f"{viewer} failed: {str(error).strip().splitlines()[-1]}")
    return ViewerReport(errors, warnings, largest.get("three"), largest.get("blender"), tuple(problems))


def missed_bars(outcome: Outcome) -> Iterator[str]:
    """One text for each bar that is not met."""
    if outcome.exit_code != 0:
        yield f"exit code {outcome.exit_code} ({outcome.said})"
    if outcome.wall_seconds >= MOST_SECONDS:
        yield f"{outcome.wall_seconds:.0f} s, not under {MOST_SECONDS:.0f} s"
    if outcome.peak_bytes >= MOST_BYTES:
        yield f"{outcome.peak_bytes / 1e9:.2f} GB, not under {MOST_BYTES / 1e9:.0f} GB"
    if outcome.exit_code == 0:
        iou, still, least = outcome.result["silhouette_iou"], outcome.result["still_iou"], LEAST_IOU[outcome.case.kind]
        if iou < least:
            yield f"silhouette IoU {iou:.3f}, under {least:.2f}"
        if iou <= still:
            yield f"silhouette IoU {iou:.3f} is no better than the still mesh's {still:.3f}"
    if (viewers := outcome.viewers) is not None:
        yield from viewers.problems
        if viewers.errors or viewers.warnings:
            yield f"the validator finds {viewers.errors} errors and {viewers.warnings} warnings"
        for name, distance in (("three.js", viewers.three), ("Blender", viewers.blender)):
            if distance is not None and not distance <= MOST_DISAGREEMENT:
                yield f"{name} is {distance:.1e} of the size off, over {MOST_DISAGREEMENT:.0e}"


def draw_sheet(report: Path, name: str) -> None:
    """A contact sheet by a process of its own, so that its memory is not ours when the next child starts."""
    run, sheet = report / "runs" / name, report / f"{name}.png"
    subprocess.run([sys.executable, str(HERE / "contact_sheet.py"), str(run), "-o", str(sheet)], check=True)


def write_report(path: Path, outcomes: list[Outcome]) -> None:
    """All outcomes and the bars as JSON."""
    bars = {
        "most_seconds": MOST_SECONDS,
        "most_bytes": MOST_BYTES,
        "least_silhouette_iou": LEAST_IOU,
        "most_disagreement": MOST_DISAGREEMENT,
    }
    rows = [{**asdict(outcome), "failures": outcome.failures} for outcome in outcomes]
    plain = {"bars": bars, "passed": not any(row["failures"] for row in rows), "outcomes": rows}
    path.write_text(json.dumps(plain, indent=2, default=str) + "\n", encoding="utf-8")


def table(outcomes: list[Outcome]) -> str:
    """One Markdown table; a star marks a row with a missed bar."""
    head = ["name", "kind", "exit", "wall s", "CPU s", "peak GB", "frames", "IoU", "still IoU", "vertices", "MB"]
    head += ["errors/warnings", "three.js", "Blender"]
    rows = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for outcome in outcomes:
        made, shown = outcome.result, outcome.viewers
        mark = " *" if outcome.failures else ""
        row = [outcome.case.name + mark, outcome.case.kind, str(outcome.exit_code)]
        row += [f"{outcome.wall_seconds:.0f}", f"{outcome.cpu_seconds:.0f}", f"{outcome.peak_bytes / 1e9:.2f}"]
        row += [str(made["frames"]), f"{made['silhouette_iou']:.3f}", f"{made['still_iou']:.3f}"] if made else ["-"] * 3
        row += [str(made["vertices"]), f"{made['size_bytes'] / 1e6:.2f}"] if made else ["-"] * 2
        row.append(f"{shown.errors}/{shown.warnings}" if shown and shown.errors is not None else "-")
        for distance in (shown.three, shown.blender) if shown else (None, None):
            row.append("-" if distance is None else f"{distance:.1e}")
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    typer.run(main)
