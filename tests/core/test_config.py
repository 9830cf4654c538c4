from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from lim_cli.core.config import from_plain, hint_for, leaf_paths, replace_path, to_plain
from lim_cli.core.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    width: int = 4
    rate: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[int, ...] = (1, 2)
    mode: Literal["fast", "slow"] = "fast"
    limit: float | None = None


def test_roundtrip_through_plain_values() -> None:
    config = Outer("a", Inner(8, 0.25), (3,), "slow", 1.5)
    assert from_plain(Outer, to_plain(config)) == config


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'inner\.widht'.*'inner\.width'"):
        from_plain(Outer, {"name": "a", "inner": {"widht": 3}})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": 3},
        {"name": "a", "mode": "other"},
        {"name": "a", "inner": 3},
        {"name": "a", "sizes": 3},
        {"name": "a", "inner": {"width": 1.5}},
        {"name": "a", "inner": {"width": True}},
    ],
)
def test_missing_or_mistyped_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        from_plain(Outer, values)


def test_integers_serve_as_floats() -> None:
    assert from_plain(Outer, {"name": "a", "limit": 2}).limit == 2.0


def test_text_becomes_what_the_option_is() -> None:
    config = from_plain(Outer, {"name": "3", "limit": "1.5", "inner": {"width": "16"}})
    assert (config.name, config.limit, config.inner.width) == ("3", 1.5, 16)
    assert from_plain(Outer, {"name": "a", "limit": "none"}).limit is None


def test_a_leaf_is_found_without_its_path() -> None:
    paths = leaf_paths(Outer)
    assert paths == ["name", "inner.width", "inner.rate", "sizes", "mode", "limit"]
    assert "'inner.width'" in hint_for("width", paths)
    assert "'inner.width'" in hint_for("iner.widht", paths)
    assert hint_for("zzz", paths) == " Known: name, sizes, mode, limit."


def test_replace_path_converts_text_and_leaves_the_original() -> None:
    config = Outer("a")
    assert replace_path(config, "inner.width", "16").inner.width == 16
    assert config.inner.width == 4
    with pytest.raises(ConfigError, match="Did you mean 'inner'"):
        replace_path(config, "iner.width", 1)
