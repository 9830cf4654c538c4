"""`lim weights`: list, find, verify and fetch the model weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lim_cli.cli.options import ReleaseOption, WeightsOption, new_app
from lim_cli.cli.output import JsonOption, Output, QuietOption
from lim_cli.core.errors import WeightsError

app = new_app()


@app.callback()
def _root() -> None:
    """List, find, verify and fetch the model weights.

    Example: lim weights verify
    """


@app.command("list")
def list_(weights: WeightsOption = None, json_: JsonOption = False) -> None:
    """List the releases on this machine and the models in each.

    Example: lim weights list --json
    """
    from lim_cli.models.releases import list_models, list_releases

    releases = list_releases(weights)
    if not releases:
        raise WeightsError("No weights found; give --weights DIR or set LIM_WEIGHTS.")
    plain: list[dict[str, Any]] = []
    lines: list[str] = []
    for release in releases:
        models = list_models(release)
        megabytes = {m.name: sum(f.stat().st_size for f in m.rglob("*") if f.is_file()) / 1e6 for m in models}
        plain.append({"release": release.name, "path": str(release), "megabytes": megabytes})
        lines.append(f"{release.name}  {release}")
        lines += [f"  {name:<16} {size:8.1f} MB" for name, size in megabytes.items()]
    Output(as_json=json_).result({"releases": plain}, lines)


@app.command()
def path(weights: WeightsOption = None, release: ReleaseOption = None, json_: JsonOption = False) -> None:
    """Print the folder of the release that would be used.

    Example: lim weights path
    """
    from lim_cli.models.releases import find_release

    found = find_release(weights, release)
    Output(as_json=json_).result({"path": str(found)}, [str(found)])


@app.command()
def verify(weights: WeightsOption = None, release: ReleaseOption = None, json_: JsonOption = False) -> None:
    """Compare every file's SHA-256 with the table in the weights' README.md; exit code 3 if one differs.

    Example: lim weights verify --release v1
    """
    from lim_cli.models.releases import find_release

    plain, lines = _compared(find_release(weights, release))
    Output(as_json=json_).result(plain, lines)
    if not plain["ok"]:
        raise typer.Exit(3)


@app.command()
def pull(
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="A hub repository; @REVISION may follow.", show_default=False)
    ],
    release: Annotated[
        str | None, typer.Option("--release", help="Only this release; all otherwise.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is there already.")] = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch weights from a Hugging Face hub into its local cache, and verify them; goes on where it broke off.

    Afterwards --weights OWNER/NAME, or LIM_WEIGHTS=OWNER/NAME, finds them without the network. HF_HOME, HF_ENDPOINT and
    HF_TOKEN say where to, from where and as whom. Exit code 3 if the hub cannot be reached or a file is not the
    published one.

    Example: lim weights pull OWNER/NAME --release v1
    """
    from lim_cli.models.hub import pull as pull_weights
    from lim_cli.models.releases import find_release, list_releases

    snapshot = pull_weights(repository, release=release, force=force, bars=not quiet and sys.stderr.isatty())
    found = list_releases(snapshot) if release is None else [find_release(snapshot, release)]
    if not found:
        raise WeightsError(f"The repository {repository} holds no weights of lim.")
    compared = [_compared(folder) for folder in found]
    ok = all(plain["ok"] for plain, _ in compared)
    lines = [line for _, text in compared for line in text]
    plain = {"path": str(snapshot), "ok": ok, "releases": [plain for plain, _ in compared]}
    Output(as_json=json_).result(plain, [*lines, f"now lim finds them with --weights {repository}"])
    if not ok:
        raise typer.Exit(3)


def _compared(release: Path) -> tuple[dict[str, Any], list[str]]:
    """How a release's files compare with their table, as JSON values and as lines."""
    from lim_cli.models.releases import verify as verify_release

    checks = verify_release(release)
    right = sum(check.status == "ok" for check in checks)
    files = [{"file": check.name, "status": check.status} for check in checks]
    plain = {"release": release.name, "path": str(release), "ok": right == len(checks), "files": files}
    lines = [f"{check.status:<10} {check.name}" for check in checks]
    return plain, [*lines, f"{release.name}: {right} of {len(checks)} files verified"]
