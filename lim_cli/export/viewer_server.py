"""Serves the viewer's page and the models in it on this machine, and nothing else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lim_cli.core.errors import OutputError
from lim_cli.export.viewer_page import ViewedModel, viewer_page

HOST = "127.0.0.1"


class ViewerServer(ThreadingHTTPServer):
    """`/` is the page, `/models/N.glb` the N-th file; all else is 404. Use as a context manager; see `serve_forever`.

    Other machines do not reach it, and a page of another name that points here is refused.

    Args:
        port: 0 takes a free one.

    Raises:
        OutputError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, paths: Sequence[Path], *, port: int = 0) -> None:
        self.files = {f"/models/{number}.glb": path for number, path in enumerate(paths)}
        models = [ViewedModel(path.name, path, url) for url, path in self.files.items()]
        self.page = viewer_page(models).encode()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise OutputError(f"Cannot serve on port {port}: {error.strerror}; choose another --port.") from error

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of browsers that leave in the middle of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer
    server_version = "lim"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._head("text/html; charset=utf-8", len(self.server.page))
            if with_body:
                self.wfile.write(self.server.page)
            return
        file = self.server.files.get(path)
        try:
            stream = None if file is None else file.open("rb")
        except OSError:  # it was there when the server started
            stream = None
        if file is None or stream is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with stream:
            self._head("model/gltf-binary", file.stat().st_size)
            if with_body:
                shutil.copyfileobj(stream, self.wfile)

    def _head(self, kind: str, length: int) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: stderr is for the user."""
