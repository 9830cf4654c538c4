"""The viewer's page: one HTML text that holds three.js and our script, and the models or where to fetch them.

Everything is inside the page, so that it plays from a mail attachment and a server has nothing else to serve. Modules
are data URLs in an import map; `lim_cli/export/viewer` holds them as three.js ships them (version 0.170, MIT).
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lim_cli.core.errors import InputError
from lim_cli.core.files import atomic_path
from lim_cli.export.draco import DRACO
from lim_cli.export.driven_gltf import read_document

FOLDER = Path(__file__).resolve().parent / "viewer"
MODULES = {
    "three": "three.module.min.js",
    "three/addons/controls/OrbitControls.js": "OrbitControls.js",
    "three/addons/environments/RoomEnvironment.js": "RoomEnvironment.js",
    "three/addons/loaders/DRACOLoader.js": "DRACOLoader.js",
    "three/addons/loaders/GLTFLoader.js": "GLTFLoader.js",
    "three/addons/utils/BufferGeometryUtils.js": "BufferGeometryUtils.js",
}
DECODERS = {"draco_wasm_wrapper.js": "text/javascript", "draco_decoder.wasm": "application/wasm"}
"""What three.js loads to read Draco; in the page only where a model needs it."""


@dataclass(frozen=True)
class ViewedModel:
    """name: shown in the page. url: where the page fetches the GLB; None if the file goes into the page."""

    name: str
    path: Path
    url: str | None = None


def viewer_page(models: Sequence[ViewedModel]) -> str:
    """The page as HTML text.

    Raises:
        InputError: a model cannot be read.
    """
    imports = {name: _data_url(_module(file).encode()) for name, file in MODULES.items()}
    needed = DECODERS if any(_is_compressed(model.path) for model in models) else {}
    decoders = {file: _data_url((FOLDER / file).read_bytes(), kind) for file, kind in needed.items()}
    parts = {
        "title": html.escape(", ".join(model.name for model in models)),
        "style": (FOLDER / "style.css").read_text(encoding="utf-8"),
        "imports": json.dumps({"imports": imports}),
        "decoders": json.dumps(decoders),
        "models": "\n    ".join(_entry(model) for model in models),
        "script": (FOLDER / "viewer.js").read_text(encoding="utf-8"),
    }
    pieces = (FOLDER / "page.html").read_text(encoding="utf-8").split("{{")
    text = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        text += [parts[name], rest]
    return "".join(text)


def write_viewer_page(path: Path, models: Sequence[ViewedModel]) -> None:
    """Writes a page that needs no server and no other file.

    Raises:
        InputError: a model cannot be read. OutputError: the page cannot be written.
    """
    page = viewer_page(models)
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")


def check_viewable(path: Path) -> list[str]:
    """Names of the files a GLB refers to, which the viewer does not load.

    Raises:
        InputError: it is no GLB, or cannot be read.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}; give a .glb file.")
    with path.open("rb") as stream:
        if stream.read(4) != b"glTF":
            raise InputError(f"{path} is not a GLB file.")
    document, _ = read_document(path)
    try:
        entries = [*document.get("buffers", []), *document.get("images", [])]
        return [e["uri"] for e in entries if not e.get("uri", "data:").startswith("data:")]
    except (TypeError, AttributeError) as error:
        raise InputError(f"{path} is a damaged GLB file.") from error


def _entry(model: ViewedModel) -> str:
    name = html.escape(model.name, quote=True)
    if model.url is not None:
        return f'<script class="model" type="text/plain" data-name="{name}" data-url="{model.url}"></script>'
    try:
        data = base64.b64encode(model.path.read_bytes()).decode()
    except OSError as error:
        raise InputError(f"Cannot read {model.path}: {error.strerror}.") from error
    return f'<script class="model" type="text/plain" data-name="{name}">{data}</script>'


def _module(file: str) -> str:
    """A module's text; from a data URL it can import by name only."""
    text = (FOLDER / file).read_text(encoding="utf-8")
    return text.replace("'../utils/", "'three/addons/utils/")


def _data_url(data: bytes, kind: str = "text/javascript") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _is_compressed(path: Path) -> bool:
    """Whether a model needs the decoders; of what is no GLB the page will say so."""
    try:
        return DRACO in read_document(path)[0].get("extensionsRequired", [])
    except (InputError, TypeError):
        return False
