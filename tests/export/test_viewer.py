from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bending_bar import bar_mesh, bending_bar

from lim_cli.core.errors import InputError, OutputError
from lim_cli.export.gltf import write_glb
from lim_cli.export.viewer_page import (
    DECODERS,
    FOLDER,
    MODULES,
    ViewedModel,
    check_viewable,
    viewer_page,
    write_viewer_page,
)
from lim_cli.export.viewer_server import ViewerServer
from lim_cli.geometry.uv_atlas import unwrap


@pytest.fixture(scope="module")
def glb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("view") / "a <b>.glb"
    write_glb(path, bending_bar(*unwrap(bar_mesh(), 64), frames=3))
    return path


@pytest.fixture
def server(glb: Path) -> Iterator[ViewerServer]:
    with ViewerServer([glb, glb]) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_the_page_and_its_models_are_served(server: ViewerServer, glb: Path) -> None:
    with urllib.request.urlopen(server.url) as answer:
        page = answer.read().decode()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    urls = re.findall(r'data-url="([^"]+)"', page)
    assert len(urls) == 2
    for url in urls:
        with urllib.request.urlopen(server.url.rstrip("/") + url) as answer:
            assert answer.headers["Content-Type"] == "model/gltf-binary"
            assert answer.read() == glb.read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/models/2.glb", "/models/../models/0.glb", "/etc/passwd", "/../../etc/passwd", "//etc/passwd", "/models/", "/x"],
)
def test_no_other_path_is_served(server: ViewerServer, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


def test_other_methods_and_other_hosts_are_refused(server: ViewerServer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(server.url, data=b"x")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(server.url, headers={"Host": "example.org"}))
    with urllib.request.urlopen(urllib.request.Request(server.url, method="HEAD")) as answer:
        assert int(answer.headers["Content-Length"]) == len(server.page)
        assert answer.read() == b""


def test_a_model_that_went_away_is_not_found(glb: Path, tmp_path: Path) -> None:
    copy = tmp_path / "gone.glb"
    copy.write_bytes(glb.read_bytes())
    with ViewerServer([copy]) as running:
        copy.unlink()
        thread = threading.Thread(target=running.handle_request)
        thread.start()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(running.url + "models/0.glb")
        thread.join()


def test_a_browser_that_leaves_is_not_talked_about(
    glb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = tmp_path / "large.glb"
    large.write_bytes(glb.read_bytes() + bytes(30_000_000))
    with ViewerServer([large]) as running:
        thread = threading.Thread(target=running.handle_request)
        thread.start()
        with socket.create_connection(running.server_address[:2]) as browser:
            host = f"127.0.0.1:{running.server_address[1]}"
            browser.sendall(f"GET /models/0.glb HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert browser.recv(1000).startswith(b"HTTP/1.0 200")
        thread.join()
        for other in threading.enumerate():
            if "process_request" in other.name:
                other.join()
    assert capsys.readouterr().err == ""


def test_a_taken_port_is_said(server: ViewerServer, glb: Path) -> None:
    with pytest.raises(OutputError, match="another --port"):
        ViewerServer([glb], port=server.server_address[1])


def test_one_page_holds_everything(glb: Path, tmp_path: Path) -> None:
    write_viewer_page(tmp_path / "page.html", [ViewedModel(glb.name, glb)])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    (name, data) = re.findall(r'data-name="([^"]+)">([^<]+)</script>', page)[0]
    assert name == "a &lt;b&gt;.glb"
    assert base64.b64decode(data) == glb.read_bytes()
    assert "{{" not in page.split("<body>")[0]
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    (text,) = re.findall(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    imports = json.loads(text)["imports"]
    assert set(imports) == set(MODULES)
    for url in imports.values():
        module = base64.b64decode(url.partition(",")[2]).decode()
        for wanted in re.findall(r"^(?:import|\}).* from '([^']+)';$", module, re.MULTILINE):
            assert wanted in imports  # all that a module asks for is in the page


def test_decoders_are_in_the_page_of_a_compressed_model_alone(glb: Path, tmp_path: Path) -> None:
    compressed = tmp_path / "skin.glb"
    write_glb(compressed, bending_bar(*unwrap(bar_mesh(), 64), frames=3), motion="skin", bones=3, draco=True)
    for path, wanted in ((glb, {}), (compressed, {file: (FOLDER / file).read_bytes() for file in DECODERS})):
        page = viewer_page([ViewedModel(path.name, path)])
        (text,) = re.findall(r'id="decoders" type="application/json">(.*?)</script>', page, re.DOTALL)
        found = {file: base64.b64decode(url.partition(",")[2]) for file, url in json.loads(text).items()}
        assert found == wanted


def test_what_ships_is_small_and_has_its_licence() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1_500_000
    assert "MIT" in (FOLDER / "LICENSE.three").read_text()
    assert "Apache License" in (FOLDER / "LICENSE.draco").read_text()


def test_only_glb_files_are_shown(glb: Path, tmp_path: Path) -> None:
    assert check_viewable(glb) == []
    with pytest.raises(InputError, match="no file"):
        check_viewable(tmp_path / "none.glb")
    (tmp_path / "x.glb").write_text("x")
    with pytest.raises(InputError, match="not a GLB"):
        check_viewable(tmp_path / "x.glb")
    assert "viewer" in viewer_page([ViewedModel("x", tmp_path / "x.glb")])


@pytest.mark.parametrize("text", ["[1]", "5", "null", '{"buffers": 7}', '{"images": [1]}', '{"images": [{"uri": 5}]}'])
def test_a_damaged_model_is_a_user_error(tmp_path: Path, text: str) -> None:
    data = text.encode() + b" " * (-len(text) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(data), len(data), 0x4E4F534A)
    (tmp_path / "a.glb").write_bytes(head + data)
    with pytest.raises(InputError, match=r"a\.glb"):
        check_viewable(tmp_path / "a.glb")
