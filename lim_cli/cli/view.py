"""`lim view`: plays animated GLB files in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lim_cli.cli.options import new_app
from lim_cli.cli.output import JsonOption, Output, QuietOption

app = new_app()


@app.command()
def view(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.glb...", help="What to play.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write one .html with all in it, and serve nothing.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Play animated GLB files in the browser; with -o as one page that can be mailed.

    Space plays, arrows step, W shows edges, T turns, B darkens, R resets the camera. Nothing is fetched from the
    network. Ctrl-C ends the server, with exit code 0.

    Example: lim view out.glb -o out.html
    """
    from lim_cli.core.errors import OutputError
    from lim_cli.export.viewer_page import ViewedModel, check_viewable, write_viewer_page

    sink = Output(as_json=json_, quiet=quiet)
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"Output {output} must end in .html.")
    for path in files:
        if missing := check_viewable(path):
            sink.log(f"{path.name} refers to other files ({', '.join(missing)}), which are not shown.")
    if output is not None:
        write_viewer_page(output, [ViewedModel(path.name, path) for path in files])
        sink.result({"output": str(output), "size_bytes": output.stat().st_size}, [str(output)])
        return

    from lim_cli.export.viewer_server import ViewerServer

    with ViewerServer(files, port=port) as server:
        sink.result({"url": server.url}, [server.url])
        sink.log("Ctrl-C ends it.")
        try:
            if open_:
                import threading
                import webbrowser

                # beside the server, since a browser of the terminal is waited for
                threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
            server.serve_forever()
        except KeyboardInterrupt:
            return
