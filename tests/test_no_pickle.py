"""Nothing that can hold code is ever loaded: no pickle in the sources, and none run where a file holds one."""

from __future__ import annotations

import ast
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_release import cached_weights

import lim_cli
from lim_cli.core.errors import LimError
from lim_cli.diffusion.adapter import load_views_pipeline
from lim_cli.models.presets import load_lrm

PACKAGE = Path(lim_cli.__file__).parent
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {
    *("torch.load", "torch.jit.load", "torch.hub.load", "torch.hub.load_state_dict_from_url"),
    *("pandas.read_pickle", "pd.read_pickle", "load_state", "accelerator.load_state"),
}


def offences(tree: ast.AST) -> Iterator[str]:
    """Where a source could reach pickle."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"imports {a.name}" for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"imports {node.module}" for _ in [0] if node.module.split(".")[0] in MODULES)
            yield from (f"imports {node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in CALLS)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if name in CALLS:
                yield f"calls {name}"
            if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
                yield f"calls {name} without allow_pickle=False"
            if given.get("allow_pickle", "False") != "False":
                yield f"calls {name} with allow_pickle"
            if name.endswith(".from_pretrained") and given.get("use_safetensors") != "True":
                yield f"calls {name} without use_safetensors=True"
            if given.get("trust_remote_code", "False") != "False":
                yield f"calls {name} with trust_remote_code"


def test_no_source_can_reach_pickle() -> None:
    sources = sorted(PACKAGE.rglob("*.py"))
    assert len(sources) > 100
    found = {p.name: list(offences(ast.parse(p.read_text(encoding="utf-8")))) for p in sources}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "from torch import load",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "kind.from_pretrained(path)",
        "kind.from_pretrained(path, use_safetensors=False)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(offences(ast.parse(source)))


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_in_the_weights_place_is_never_run(tmp_path: Path) -> None:
    release, sprung = cached_weights() / "v1", tmp_path / "sprung"
    trap = pickle.dumps(Trap(sprung))
    views = shutil.copytree(release / "views", tmp_path / "views")
    (views / "denoiser" / "diffusion_pytorch_model.safetensors").unlink()
    (views / "denoiser" / "diffusion_pytorch_model.bin").write_bytes(trap)
    with pytest.raises(LimError):
        load_views_pipeline(views, "cpu")
    lrm = shutil.copytree(release / "lrm", tmp_path / "lrm")
    (lrm / "model.safetensors").write_bytes(trap)
    with pytest.raises(LimError):
        load_lrm(lrm)
    assert not sprung.exists()
    pickle.loads(trap)
    assert sprung.exists()  # the trap is one
