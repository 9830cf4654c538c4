"""`lim weights`: list, find and verify the model weights."""

from __future__ import annotations

from typing import Any

import typer

from lim_cli.cli.options import ReleaseOption, WeightsOption, new_app
from lim_cli.cli.output import JsonOption, Output

app = new_app()


@app.callback()
def _root() -> None:
    """List, find and verify the model weights.

    Example: lim weights verify
    """


@app.command("list")
def list_(weights: WeightsOption = None, json_: JsonOption = False) -> None:
    """List the releases on this machine and the models in each."""
    from lim_cli.core.errors import WeightsError
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
    """Print the folder of the release that would be used."""
    from lim_cli.models.releases import find_release

    found = find_release(weights, release)
    Output(as_json=json_).result({"path": str(found)}, [str(found)])


@app.command()
def verify(weights: WeightsOption = None, release: ReleaseOption = None, json_: JsonOption = False) -> None:
    """Compare every file's SHA-256 with the table in the weights' README.md; exit code 3 if one differs."""
    from lim_cli.models.releases import find_release
    from lim_cli.models.releases import verify as verify_release

    found = find_release(weights, release)
    checks = verify_release(found)
    wrong = [check for check in checks if check.status != "ok"]
    plain = {
        "release": found.name,
        "path": str(found),
        "ok": not wrong,
        "files": [{"file": check.name, "status": check.status} for check in checks],
    }
    lines = [f"{check.status:<10} {check.name}" for check in checks]
    lines.append(f"{found.name}: {len(checks) - len(wrong)} of {len(checks)} files verified")
    Output(as_json=json_).result(plain, lines)
    if wrong:
        raise typer.Exit(3)
