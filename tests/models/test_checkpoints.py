from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lim_cli.core.config import from_plain, to_plain
from lim_cli.core.errors import WeightsError
from lim_cli.models.checkpoints import (
    find_release,
    list_models,
    list_releases,
    load_model,
    save_model,
    table,
    verify,
    weight_hash,
)


@dataclass(frozen=True)
class TinyConfig:
    width: int = 3


class Tiny(nn.Module):
    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.width, config.width)
        self.register_buffer("steps", torch.tensor([7]))


def build(values: dict[str, Any]) -> Tiny:
    return Tiny(from_plain(TinyConfig, values))


def save(folder: Path, width: int = 3) -> Tiny:
    folder.mkdir(parents=True, exist_ok=True)
    module = Tiny(TinyConfig(width))
    save_model(folder, module, to_plain(module.config))
    return module


def test_roundtrip_stores_half_and_loads_float(tmp_path: Path) -> None:
    module = save(tmp_path / "m")
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert stored["linear.weight"].dtype == torch.bfloat16
    assert stored["steps"].dtype == torch.int64
    loaded = load_model(tmp_path / "m", build)
    assert loaded.linear.weight.dtype == torch.float32
    assert not loaded.training
    torch.testing.assert_close(loaded.linear.weight, module.linear.weight.bfloat16().float())
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]


def rewrite(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors: dict[str, Any] = {**load_file(folder / "model.safetensors"), **changes}
    save_file({k: v for k, v in tensors.items() if v is not None}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"linear.bias": None}, r"lack the tensor 'linear\.bias'"),
        ({"other": torch.zeros(1)}, "unexpected tensor 'other'"),
        ({"linear.bias": torch.zeros(4)}, r"'linear\.bias'.*\(4,\).*\(3,\)"),
    ],
)
def test_loading_is_strict_and_names_the_tensor(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    save(tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(WeightsError, match=message):
        load_model(tmp_path, build)


def test_unknown_key_or_damaged_files_are_weights_errors(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "config.json").write_text('{"widht": 3}')
    with pytest.raises(WeightsError, match="Did you mean 'width'"):
        load_model(tmp_path, build)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="not JSON"):
        load_model(tmp_path, build)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(WeightsError, match="damaged"):
        load_model(tmp_path, build)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="There is no"):
        load_model(tmp_path, build)


def test_shards_are_read_by_their_index(tmp_path: Path) -> None:
    module = save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[:1], "model-00002-of-00002.safetensors": names[1:]}
    for shard, keys in shards.items():
        save_file({k: tensors[k] for k in keys}, tmp_path / shard)
    weight_map = {k: shard for shard, keys in shards.items() for k in keys}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (tmp_path / "model.safetensors").unlink()
    loaded = load_model(tmp_path, build)
    torch.testing.assert_close(loaded.linear.bias, module.linear.bias.bfloat16().float())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsError, match="00002"):
        load_model(tmp_path, build)


def test_releases_are_found_in_natural_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for release in ("v10", "v2"):
        save(tmp_path / release / "lrm")
    (tmp_path / "notes").mkdir()
    assert [r.name for r in list_releases(tmp_path)] == ["v2", "v10"]
    assert find_release(tmp_path).name == "v10"
    assert find_release(tmp_path, "v2").name == "v2"
    assert find_release(tmp_path / "v2") == tmp_path / "v2"
    assert [m.name for m in list_models(tmp_path / "v2")] == ["lrm"]
    monkeypatch.setenv("LIM_WEIGHTS", str(tmp_path))
    assert find_release().name == "v10"
    with pytest.raises(WeightsError, match="known: v2, v10"):
        find_release(tmp_path, "v3")
    with pytest.raises(WeightsError, match="lacks the model lim"):
        find_release(tmp_path, needs=("lrm", "lim"))
    with pytest.raises(WeightsError, match="no weights folder"):
        find_release(tmp_path / "absent")


def test_verify_against_the_table(tmp_path: Path) -> None:
    save(tmp_path / "v1" / "lrm")
    with pytest.raises(WeightsError, match=r"README\.md"):
        verify(tmp_path / "v1")
    (tmp_path / "README.md").write_text("# Weights\n\n" + table(tmp_path / "v1"))
    assert {c.status for c in verify(tmp_path / "v1")} == {"ok"}
    before = weight_hash(tmp_path / "v1" / "lrm")
    (tmp_path / "v1" / "lrm" / "MODEL_CARD.md").write_text("a card")
    assert weight_hash(tmp_path / "v1" / "lrm") == before
    save(tmp_path / "v1" / "lrm", width=4)
    assert weight_hash(tmp_path / "v1" / "lrm") != before
    (tmp_path / "v1" / "lrm" / "extra.json").write_text("{}")
    (tmp_path / "v1" / "lrm" / "config.json").unlink()
    assert {c.name.rsplit("/", 1)[1]: c.status for c in verify(tmp_path / "v1")} == {
        "config.json": "missing",
        "extra.json": "unlisted",
        "model.safetensors": "changed",
    }
